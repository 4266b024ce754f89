//! What an attribute of a claim or an argument is: found out from how policies use it.

use std::collections::BTreeMap;
use std::collections::HashMap;

use cedar_policy::RestrictedExpression;
use serde_json::{Value, json};

/// A type of Cedar's, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Shape {
    /// Nothing asks for more than whether it is there.
    #[default]
    Unknown,
    Bool,
    Long,
    Text,
    /// One of Cedar's extensions, by name.
    Extension(&'static str),
    Set(Box<Shape>),
    Record(BTreeMap<String, Shape>),
    Entity(String),
}

/// Two uses that exclude each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict(pub(crate) String);

impl Shape {
    pub(crate) fn set_of(shape: Self) -> Self {
        Self::Set(Box::new(shape))
    }

    /// What both are.
    pub(crate) fn join(self, other: Self) -> Result<Self, Conflict> {
        Ok(match (self, other) {
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (Self::Set(one), Self::Set(other)) => Self::set_of(one.join(*other)?),
            (Self::Record(mut one), Self::Record(other)) => {
                for (name, shape) in other {
                    let known = one.remove(&name).unwrap_or_default();
                    one.insert(name, known.join(shape)?);
                }
                Self::Record(one)
            }
            (one, other) if one == other => one,
            (one, other) => return Err(Conflict(format!("{} here and {} there", one.noun(), other.noun()))),
        })
    }

    /// In a sentence.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Unknown => "anything",
            Self::Bool => "a boolean",
            Self::Long => "a whole number",
            Self::Text => "a text",
            Self::Extension("decimal") => "a decimal",
            Self::Extension("ipaddr") => "an address",
            Self::Extension(_) => "a time",
            Self::Set(_) => "a set",
            Self::Record(_) => "a record",
            Self::Entity(_) => "an entity",
        }
    }

    /// As Cedar's schema has it. Members of records need not be there.
    pub(crate) fn schema(&self) -> Value {
        match self {
            Self::Unknown | Self::Text => json!({"type": "String"}),
            Self::Bool => json!({"type": "Boolean"}),
            Self::Long => json!({"type": "Long"}),
            Self::Extension(name) => json!({"type": "Extension", "name": name}),
            Self::Set(of) => json!({"type": "Set", "element": of.schema()}),
            Self::Record(members) => record(members),
            Self::Entity(name) => json!({"type": "Entity", "name": name}),
        }
    }

    /// A JSON value as one of this shape; `None`: it is not.
    pub(crate) fn value(&self, value: &Value) -> Option<RestrictedExpression> {
        use RestrictedExpression as Expression;
        Some(match (self, value) {
            // Only whether it is there matters.
            (Self::Unknown, _) => Expression::new_string(String::new()),
            (Self::Text, Value::String(text)) => Expression::new_string(text.clone()),
            (Self::Bool, Value::Bool(is)) => Expression::new_bool(*is),
            (Self::Long, Value::Number(number)) => Expression::new_long(whole(number)?),
            (Self::Extension("decimal"), Value::Number(number)) => Expression::new_decimal(decimal(number)?),
            (Self::Extension("decimal"), Value::String(text)) => Expression::new_decimal(text),
            (Self::Extension("ipaddr"), Value::String(text)) => Expression::new_ip(text),
            (Self::Extension("datetime"), Value::String(text)) => Expression::new_datetime(text),
            (Self::Extension("duration"), Value::String(text)) => Expression::new_duration(text),
            (Self::Set(of), Value::Array(items)) => {
                Expression::new_set(items.iter().map(|item| of.value(item)).collect::<Option<Vec<_>>>()?)
            }
            (Self::Record(members), Value::Object(object)) => {
                let mut fields = HashMap::new();
                for (name, shape) in members {
                    if let Some(value) = object.get(name).filter(|value| !value.is_null()) {
                        fields.insert(name.clone(), shape.value(value)?);
                    }
                }
                Expression::new_record(fields).ok()?
            }
            _ => return None,
        })
    }
}

/// A record none of whose members need be there.
pub(crate) fn record(members: &BTreeMap<String, Shape>) -> Value {
    let attributes = members.iter().map(|(name, shape)| {
        let mut schema = shape.schema();
        schema["required"] = Value::Bool(false);
        (name.clone(), schema)
    });
    json!({"type": "Record", "attributes": attributes.collect::<serde_json::Map<_, _>>()})
}

/// `5` and `5.0`, not `5.5`.
fn whole(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let text = number.to_string();
        let (whole, fraction) = text.split_once('.')?;
        (fraction.bytes().all(|digit| digit == b'0')).then(|| whole.parse().ok())?
    })
}

/// With one to four digits behind the point, as Cedar wants it.
fn decimal(number: &serde_json::Number) -> Option<String> {
    let text = number.to_string();
    match text.split_once('.') {
        None => {
            text.bytes().all(|digit| digit.is_ascii_digit() || digit == b'-').then(|| format!("{text}.0"))
        }
        Some((_, fraction)) => {
            (fraction.len() <= 4 && fraction.bytes().all(|d| d.is_ascii_digit())).then_some(text)
        }
    }
}
