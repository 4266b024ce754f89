//! What servers offer.

use bytes::Bytes;
use vmcp_json::{Edits, Object, Value, quote};

use crate::aggregation::Override;
use crate::limits;
use crate::template::{TooComplex, UriTemplate};

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Called with `tools/call`.
    Tool,
    /// Read with `resources/read`, under its own URI.
    Resource,
    /// Read with `resources/read`, under the URIs that it describes.
    Template,
    /// Got with `prompts/get`.
    Prompt,
}

impl Kind {
    /// Every kind, in the order in which they are reported.
    pub const ALL: [Self; 4] = [Self::Tool, Self::Resource, Self::Template, Self::Prompt];

    /// The member of a definition that identifies the item.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tool | Self::Prompt => "name",
            Self::Resource => "uri",
            Self::Template => "uriTemplate",
        }
    }

    /// The member of a list result that holds the items.
    pub const fn list(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Resource => "resources",
            Self::Template => "resourceTemplates",
            Self::Prompt => "prompts",
        }
    }

    /// In a sentence.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::Template => "resource template",
            Self::Prompt => "prompt",
        }
    }
}

/// One item as its backend offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its name, URI or URI template, decoded.
    pub original_name: String,
    /// Its definition, byte for byte as the backend wrote it.
    pub definition: Bytes,
}

/// Why a definition is not an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidItem {
    /// Not an object, too deep or too large.
    #[error("it is not an object within the limits")]
    NotAnObject,
    /// No name, or one that is not a string, or two.
    #[error("it has no `{0}`, or more than one")]
    Unnamed(&'static str),
    /// A URI template that nobody could be expected to match.
    #[error("its template cannot be used: {0}")]
    Template(#[from] TooComplex),
}

impl Item {
    /// Reads a definition as a backend listed it.
    ///
    /// # Errors
    /// [`InvalidItem`], by which one bad item loses only itself.
    pub fn read(kind: Kind, definition: &str) -> Result<Self, InvalidItem> {
        let object =
            Object::parse(definition.as_bytes(), &limits::ITEM).map_err(|_| InvalidItem::NotAnObject)?;
        let unnamed = InvalidItem::Unnamed(kind.key());
        if object.members().filter(|member| member.is_named(kind.key())).count() != 1 {
            return Err(unnamed);
        }
        let name = object.get(kind.key()).and_then(|name| name.as_str()).ok_or(unnamed)?;
        if name.is_empty() {
            return Err(unnamed);
        }
        let original_name = name.into_owned();
        if kind == Kind::Template {
            UriTemplate::parse(&original_name)?;
        }
        Ok(Self { kind, original_name, definition: Bytes::copy_from_slice(definition.as_bytes()) })
    }

    /// The definition under another name and as an override wants it, everything else as it was.
    pub fn defined_as(&self, exposed_name: &str, changes: Option<&Override>) -> Bytes {
        let description = changes.and_then(|changes| changes.description.as_deref());
        let annotations: Vec<_> =
            changes.map(|changes| changes.annotations.set().collect()).unwrap_or_default();
        if exposed_name == self.original_name && description.is_none() && annotations.is_empty() {
            return self.definition.clone();
        }
        // The definition was read with the same limits when the item was made.
        let Ok(object) = Object::parse(&self.definition, &limits::ITEM) else {
            return self.definition.clone();
        };
        let mut edits = Edits::new();
        if exposed_name != self.original_name
            && let Some(name) = object.get(self.kind.key())
        {
            edits.replace_with(name, quote(exposed_name).into_bytes());
        }
        let mut wanted = Members::new();
        wanted.extend(description.map(|description| ("description", quote(description))));
        if !annotations.is_empty() {
            match only(&object, "annotations").and_then(|value| value.as_object()) {
                Some(inner) => put(&mut edits, &inner, &annotations),
                None => wanted.push(("annotations", written(&annotations))),
            }
        }
        put(&mut edits, &object, &wanted);
        edits.apply(&self.definition).into()
    }
}

/// Members that an object is to have, each with its JSON.
type Members = Vec<(&'static str, String)>;

/// Each member in its place if it is there once, else behind all others. Of one that is there twice nothing stays, since
/// readers disagree about which counts.
fn put(edits: &mut Edits<'_>, object: &Object<'_>, wanted: &Members) {
    let is_twice = |name: &str| object.members().filter(|member| member.is_named(name)).count() > 1;
    edits.remove(object, |name| wanted.iter().any(|(wanted, _)| *wanted == name) && is_twice(name));
    for (name, value) in wanted {
        match only(object, name) {
            Some(old) => edits.replace_with(old, value.clone().into_bytes()),
            None => edits.add(object, name, value.as_bytes()),
        }
    }
}

/// What a member holds that is there once.
fn only<'a>(object: &Object<'a>, name: &str) -> Option<Value<'a>> {
    let mut written = object.members().filter(|member| member.is_named(name));
    let first = written.next()?;
    written.next().is_none().then_some(first.value)
}

fn written(members: &Members) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{}:{value}", quote(name))).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregation::Annotations;
    use crate::written::Line;

    #[test]
    fn a_definition_keeps_everything_but_its_name() {
        let text = r#"{ "title":"S", "name" : "se\u0061rch","n":12345678901234567890123,"x":1.10,"inputSchema":{"name":"q"} }"#;
        let item = Item::read(Kind::Tool, text).unwrap();
        assert_eq!(item.original_name, "search");
        assert_eq!(item.defined_as("search", None), text);
        assert_eq!(item.defined_as("web_search", None), text.replace(r#""se\u0061rch""#, r#""web_search""#));
    }

    #[test]
    fn an_override_changes_what_it_names_and_nothing_else() {
        let changes = |description: Option<&str>, annotations| Override {
            line: Line { file: "m".into(), number: 1 },
            name: None,
            description: description.map(ToOwned::to_owned),
            annotations,
        };
        let hints = Annotations {
            title: Some("T".into()),
            read_only_hint: Some(true),
            destructive_hint: Some(false),
            ..Annotations::default()
        };
        let d = changes(Some("n\"w"), Annotations::default());
        let a = changes(None, hints.clone());
        let both = changes(Some("new"), hints);
        for (text, changes, expected) in [
            (
                r#"{"name":"x", "description":"old","n":1.10}"#,
                &d,
                r#"{"name":"x", "description":"n\"w","n":1.10}"#,
            ),
            (r#"{"name":"x"}"#, &d, r#"{"name":"x","description":"n\"w"}"#),
            (r#"{"description":1,"name":"x","description":2}"#, &d, r#"{"name":"x","description":"n\"w"}"#),
            (
                r#"{"name":"x","annotations":{"readOnlyHint":false,"own":1.0}}"#,
                &a,
                r#"{"name":"x","annotations":{"readOnlyHint":true,"own":1.0,"title":"T","destructiveHint":false}}"#,
            ),
            (
                r#"{"annotations":null,"name":"x"}"#,
                &both,
                r#"{"annotations":{"title":"T","readOnlyHint":true,"destructiveHint":false},"name":"x","description":"new"}"#,
            ),
            (
                r#"{"name":"x"}"#,
                &both,
                r#"{"name":"x","description":"new","annotations":{"title":"T","readOnlyHint":true,"destructiveHint":false}}"#,
            ),
            (
                r#"{"name":"x","annotations":{}}"#,
                &a,
                r#"{"name":"x","annotations":{"title":"T","readOnlyHint":true,"destructiveHint":false}}"#,
            ),
        ] {
            let item = Item::read(Kind::Tool, text).unwrap();
            assert_eq!(item.defined_as("x", Some(changes)), expected, "{text}");
        }
    }

    #[test]
    fn an_item_without_one_name_is_none() {
        for text in ["{}", "[]", r#"{"name":1}"#, r#"{"name":""}"#, r#"{"name":"a","name":"b"}"#] {
            assert!(Item::read(Kind::Tool, text).is_err(), "{text}");
        }
    }
}
