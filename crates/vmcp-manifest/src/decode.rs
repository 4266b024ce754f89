//! One decoder that walks a tree and gathers every fault: unknown keys with a suggestion, keys that are not built yet,
//! values of the wrong kind, keys written twice.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

use vmcp_core::desired::Found;
use vmcp_core::limits;
use vmcp_core::sentence::{nearest, shown};
use vmcp_core::written::Line;

use crate::fault::{Fault, Place};
use crate::tree::{Node, Value};

/// A key that a mapping may have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key {
    /// It works.
    Built(&'static str),
    /// It is part of the product and not of this version.
    Later(&'static str),
    /// Another spelling, of what stands behind it.
    Synonym(&'static str, &'static str),
}

/// The keys of one kind of mapping, or the words that one value can be, under the name that the schema has for them.
#[derive(Debug)]
pub(crate) struct Table {
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the schema to it"))]
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [Key],
}

/// Something outside that a manifest refers to, which whoever uses it must find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it is written.
    pub place: Place,
    /// The same as keys and positions.
    pub path: String,
    /// A variable, or a file that is read.
    pub to: Found,
}

/// Whether programs that manifests describe are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hosting {
    /// By whoever reads them.
    #[default]
    Here,
    /// By nobody.
    Nowhere,
}

/// Gathers what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    pub(crate) faults: Vec<Fault>,
    /// Whether programs are started.
    pub(crate) hosting: Hosting,
    /// What the sources are called.
    pub(crate) files: Vec<Arc<str>>,
    /// What stands in them.
    pub(crate) texts: Vec<Arc<str>>,
    /// What is found outside.
    pub(crate) references: Vec<Reference>,
    /// A document that describes a group could not be used, so a group that is missing may be that one.
    pub(crate) has_lost_a_group: bool,
}

/// The members of a mapping that are known, each once.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    /// Where the mapping stands.
    pub(crate) place: &'n Place,
    path: String,
    members: Vec<(&'static str, &'n Node)>,
    /// What unknown keys probably meant; that these are missing has been said thereby.
    misspelt: Vec<&'static str>,
}

impl Decoder {
    /// Says what is wrong.
    pub(crate) fn fault(&mut self, place: &Place, path: &str, message: String, help: Option<String>) {
        if !self.is_full() {
            self.faults.push(Fault { place: *place, path: path.to_owned(), message, help });
        }
    }

    /// Notes what must be found outside.
    pub(crate) fn refers(&mut self, node: &Node, path: &str, to: &Found) {
        self.references.push(Reference { place: node.place, path: path.to_owned(), to: to.clone() });
    }

    /// Whether so much is wrong that nothing more is said, so that nothing more needs to be looked for.
    pub(crate) fn is_full(&self) -> bool {
        self.faults.len() >= limits::MANIFEST_FAULTS
    }

    /// The line on which something stands.
    pub(crate) fn line(&self, place: &Place) -> Line {
        let file = self.files.get(place.source as usize).cloned().unwrap_or_else(|| "".into());
        Line { file, number: place.line as usize }
    }

    /// Says that something works in a later version only.
    pub(crate) fn not_built(&mut self, place: &Place, path: &str, what: &str) {
        let help = Some("take it out for now; the changelog names what each version brings".to_owned());
        self.fault(place, path, format!("{what} is not built yet"), help);
    }

    /// The members of a mapping. Spellings in camelCase are synonyms.
    pub(crate) fn mapping<'n>(&mut self, node: &'n Node, path: &str, table: &Table) -> Option<Fields<'n>> {
        let known = table.keys;
        let Value::Mapping(written) = &node.value else {
            self.fault(&node.place, path, format!("expected a mapping, found {}", node.noun()), None);
            return None;
        };
        let mut members: Vec<(&'static str, &Node)> = Vec::new();
        let mut misspelt = Vec::new();
        for (key_node, value) in written {
            if self.is_full() {
                return None;
            }
            let Value::Scalar { text, .. } = &key_node.value else {
                self.fault(&key_node.place, path, "a key must be a text".to_owned(), None);
                continue;
            };
            let spelled = snake_case(text);
            let key = known.iter().find(|known| known.name() == spelled);
            let here = join(path, key.map_or(&shown(text), |key| key.meaning()));
            match key {
                Some(key) if members.iter().any(|(earlier, _)| *earlier == key.meaning()) => {
                    self.fault(&key_node.place, &here, format!("`{}` is written twice", key.meaning()), None);
                }
                Some(Key::Built(name) | Key::Synonym(_, name)) => members.push((name, value)),
                Some(Key::Later(_)) => self.not_built(&key_node.place, &here, &format!("`{text}`")),
                None => {
                    let message = format!("unknown key `{}`", shown(text));
                    misspelt.extend(meant(&spelled, known).map(|key| key.meaning()));
                    self.fault(&key_node.place, path, message, suggest(&spelled, known));
                }
            }
        }
        Some(Fields { place: &node.place, path: path.to_owned(), members, misspelt })
    }

    /// A text that a type can be made of.
    pub(crate) fn text<T>(&mut self, node: &Node, path: &str) -> Option<T>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let Value::Scalar { text, .. } = &node.value else {
            self.fault(&node.place, path, format!("expected a text, found {}", node.noun()), None);
            return None;
        };
        if node.is_nothing() {
            self.fault(&node.place, path, "expected a text, found nothing".to_owned(), None);
            return None;
        }
        match text.parse() {
            Ok(value) => Some(value),
            Err(why) => {
                self.fault(&node.place, path, format!("`{}`: {why}", shown(text)), None);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, node: &Node, path: &str) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, is_plain: true } if matches!(&**text, "true" | "True" | "TRUE") => {
                Some(true)
            }
            Value::Scalar { text, is_plain: true } if matches!(&**text, "false" | "False" | "FALSE") => {
                Some(false)
            }
            _ => {
                let message = format!("expected `true` or `false`, found {}", node.noun());
                self.fault(&node.place, path, message, None);
                None
            }
        }
    }

    /// The items of a list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, path: &str) -> &'n [Node] {
        match &node.value {
            Value::Sequence(items) => items,
            _ => {
                let help = node.is_nothing().then(|| "an empty list is `[]`".to_owned());
                self.fault(&node.place, path, format!("expected a list, found {}", node.noun()), help);
                &[]
            }
        }
    }

    /// The members of a mapping whose keys people choose, each once.
    pub(crate) fn free_mapping<'n>(&mut self, node: &'n Node, path: &str) -> Vec<(&'n Node, &'n Node)> {
        let Value::Mapping(written) = &node.value else {
            self.fault(&node.place, path, format!("expected a mapping, found {}", node.noun()), None);
            return Vec::new();
        };
        let mut seen = HashSet::with_capacity(written.len());
        let mut members = Vec::with_capacity(written.len());
        for (key, value) in written {
            let Value::Scalar { text, .. } = &key.value else {
                self.fault(&key.place, path, format!("expected a text, found {}", key.noun()), None);
                continue;
            };
            if key.is_nothing() {
                self.fault(&key.place, path, "expected a text, found nothing".to_owned(), None);
            } else if seen.insert(&**text) {
                members.push((key, value));
            } else {
                let here = join(path, &shown(text));
                self.fault(&key.place, &here, format!("`{}` is written twice", shown(text)), None);
            }
        }
        members
    }

    /// One of several words, some of which work in a later version only.
    pub(crate) fn word(&mut self, node: &Node, path: &str, table: &Table) -> Option<&'static str> {
        let known = table.keys;
        let text: String = self.text(node, path)?;
        match known.iter().find(|known| known.name() == text) {
            Some(Key::Built(word) | Key::Synonym(_, word)) => Some(word),
            Some(Key::Later(_)) => {
                self.not_built(&node.place, path, &format!("`{text}`"));
                None
            }
            None => {
                let built = known.iter().filter(|known| matches!(known, Key::Built(_)));
                let words: Vec<String> = built.map(|known| format!("`{}`", known.name())).collect();
                let message = format!("unknown value `{}`; it can be {}", shown(&text), words.join(", "));
                self.fault(&node.place, path, message, suggest(&text, known));
                None
            }
        }
    }
}

impl<'n> Fields<'n> {
    /// What a member holds, and the way to it.
    pub(crate) fn get(&self, name: &str) -> Option<(&'n Node, String)> {
        let (_, node) = self.members.iter().find(|(known, _)| *known == name)?;
        Some((node, join(&self.path, name)))
    }

    /// The same; says so if it is missing.
    pub(crate) fn require(
        &self,
        decoder: &mut Decoder,
        name: &str,
        help: &str,
    ) -> Option<(&'n Node, String)> {
        let found = self.get(name);
        if found.is_none() && !self.misspelt.contains(&name) {
            let message = format!("`{name}` is missing");
            decoder.fault(self.place, &join(&self.path, name), message, Some(help.to_owned()));
        }
        found
    }
}

impl Key {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Built(name) | Self::Later(name) | Self::Synonym(name, _) => name,
        }
    }

    /// The name of what it stands for.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Built(name) | Self::Later(name) | Self::Synonym(_, name) => name,
        }
    }
}

/// The way one step further.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `prefixFormat` is `prefix_format`. What is neither of the two spellings stays as it is.
pub(crate) fn snake_case(text: &str) -> String {
    let is_camel = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.contains('_');
    if !is_camel {
        return text.to_owned();
    }
    let mut snake = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// The nearest of what is known, if it is near.
fn suggest(text: &str, known: &[Key]) -> Option<String> {
    did_you_mean(text, known.iter().map(|known| known.name()))
}

fn meant(text: &str, known: &[Key]) -> Option<Key> {
    let name = nearest(text, known.iter().map(|known| known.name()))?;
    known.iter().find(|known| known.name() == name).copied()
}

/// The nearest of what is known, if it is near, as a question.
pub(crate) fn did_you_mean<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(text, known).map(|known| format!("did you mean `{known}`?"))
}
