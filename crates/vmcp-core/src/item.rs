//! What servers offer.

use bytes::Bytes;
use vmcp_json::{Edits, Object, quote};

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

    /// The definition under another name, everything else as it was.
    pub fn defined_as(&self, exposed_name: &str) -> Bytes {
        if exposed_name == self.original_name {
            return self.definition.clone();
        }
        // The definition was read with the same limits when the item was made.
        let Ok(object) = Object::parse(&self.definition, &limits::ITEM) else {
            return self.definition.clone();
        };
        let Some(name) = object.get(self.kind.key()) else { return self.definition.clone() };
        let quoted = quote(exposed_name);
        let mut edits = Edits::new();
        edits.replace(name, quoted.as_bytes());
        edits.apply(&self.definition).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_keeps_everything_but_its_name() {
        let text = r#"{ "title":"S", "name" : "se\u0061rch","n":12345678901234567890123,"x":1.10,"inputSchema":{"name":"q"} }"#;
        let item = Item::read(Kind::Tool, text).unwrap();
        assert_eq!(item.original_name, "search");
        assert_eq!(item.defined_as("search"), text);
        assert_eq!(item.defined_as("web_search"), text.replace(r#""se\u0061rch""#, r#""web_search""#));
    }

    #[test]
    fn an_item_without_one_name_is_none() {
        for text in ["{}", "[]", r#"{"name":1}"#, r#"{"name":""}"#, r#"{"name":"a","name":"b"}"#] {
            assert!(Item::read(Kind::Tool, text).is_err(), "{text}");
        }
    }
}
