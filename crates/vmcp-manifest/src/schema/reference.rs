//! The schema as rows that people read.

use serde_json::Value;

use crate::schema::definitions;

/// One kind of mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What the schema calls it.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Its keys, in the order in which people write them.
    pub rows: Vec<Row>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: String,
    /// What it holds: `text`, `list of Workload`, or words to choose from.
    pub value: String,
    /// `required`, or what it is if it is not written; empty if that is nothing.
    pub default: String,
    /// What it means.
    pub description: String,
}

/// Every kind of mapping, the two kinds of document first.
pub fn reference() -> Vec<Section> {
    const FIRST: [&str; 2] = ["VirtualServer", "Group"];
    let definitions = definitions();
    let others = definitions.keys().map(String::as_str).filter(|name| !FIRST.contains(name));
    let names = FIRST.into_iter().chain(others);
    let sections = names.filter_map(|name| {
        let definition = definitions.get(name)?;
        let properties = definition.get("properties")?.as_object()?;
        let required: Vec<&str> = strings(&definition["required"]).collect();
        let rows = properties.iter().map(|(key, value)| {
            let default = if required.contains(&key.as_str()) {
                "required".to_owned()
            } else {
                value.get("default").filter(|default| !default.is_null()).map(plain).unwrap_or_default()
            };
            Row { key: key.clone(), value: holds(value, &definitions), default, description: text(value) }
        });
        Some(Section { name: name.to_owned(), description: text(definition), rows: rows.collect() })
    });
    sections.collect()
}

fn text(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().replace('\n', " ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// What a value is, in a few words.
fn holds(value: &Value, definitions: &serde_json::Map<String, Value>) -> String {
    if let Some(name) = value["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        let definition = definitions.get(name).unwrap_or(&Value::Null);
        let words: Vec<String> = strings(&definition["enum"]).map(|word| format!("`{word}`")).collect();
        return match name {
            "TextOrReference" => "text or Reference".to_owned(),
            "OneOrSeveral" => "Oidc or list of Oidc".to_owned(),
            "TimeOrBounds" => "text or TimeBounds".to_owned(),
            _ if words.is_empty() => name.to_owned(),
            _ => words.join(", "),
        };
    }
    let some = value["anyOf"].as_array().into_iter().flatten().find(|choice| choice["type"] != "null");
    if let Some(some) = some {
        return holds(some, definitions);
    }
    let kinds = &value["type"];
    match kinds.as_str().or_else(|| strings(kinds).find(|kind| *kind != "null")) {
        Some("array") => format!("list of {}", holds(&value["items"], definitions)),
        Some("object") => format!("mapping to {}", holds(&value["additionalProperties"], definitions)),
        Some("integer") => "number".to_owned(),
        Some("string") => "text".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    }
}
