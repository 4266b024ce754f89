//! All items that one backend offers, as it said them.

use crate::item::{Item, Kind};

/// What a backend offers, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// How it is spoken to.
    pub eras: Eras,
    /// Its items: by kind, then as it listed them.
    pub items: Vec<Item>,
    /// What it can do besides.
    pub abilities: Abilities,
    /// What it wants a model to know.
    pub instructions: Option<String>,
    /// What was wrong with its lists; what is not named here arrived whole.
    pub faults: Vec<String>,
    /// The kinds whose list could not be read to its end.
    pub unread: Vec<Kind>,
}

/// What a backend has declared that it can do besides answering for its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// It completes arguments.
    pub completes: bool,
    /// It says what it does, as much as it is asked to.
    pub logs: bool,
    /// It says when a resource has changed, to those who want to hear it.
    pub subscribes: bool,
    /// What else of MCP it speaks.
    pub extensions: Extensions,
}

/// The extensions that a backend has declared, of those that are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// `io.modelcontextprotocol/tasks`: calls that go on after they have been answered.
    pub tasks: bool,
    /// `io.modelcontextprotocol/ui`: tools with a page.
    pub apps: bool,
}

impl Abilities {
    /// What one of the two can do.
    pub fn or(self, other: Self) -> Self {
        Self {
            completes: self.completes || other.completes,
            logs: self.logs || other.logs,
            subscribes: self.subscribes || other.subscribes,
            extensions: Extensions {
                tasks: self.extensions.tasks || other.extensions.tasks,
                apps: self.extensions.apps || other.extensions.apps,
            },
        }
    }
}

/// The eras in which a backend can be spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Eras {
    /// It answers modern requests.
    pub modern: bool,
    /// It answers `initialize`.
    pub legacy: Option<Legacy>,
}

/// How legacy requests reach a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legacy {
    /// The protocol version that it agreed to.
    pub version: String,
    /// Whether it hands out session ids; if not, requests need no session.
    pub has_sessions: bool,
}

impl Inventory {
    /// This inventory, with what `previous` had of each list that could not be read: unknown is not empty.
    pub fn keeping(mut self, previous: &Self) -> Self {
        let unread = self.unread.clone();
        let kept = previous.items.iter().filter(|item| unread.contains(&item.kind)).cloned();
        self.items.retain(|item| !unread.contains(&item.kind) || previous.of(item.kind).next().is_none());
        self.items.extend(kept);
        self.items.sort_by_key(|item| item.kind);
        self
    }

    /// Its items of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.kind == kind)
    }

    /// How many there are of each kind, in the order of [`Kind::ALL`].
    pub fn counts(&self) -> [usize; 4] {
        Kind::ALL.map(|kind| self.of(kind).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(items: &[(Kind, &str)], unread: &[Kind]) -> Inventory {
        let items = items
            .iter()
            .map(|(kind, name)| Item::read(*kind, &format!(r#"{{"{}":"{name}"}}"#, kind.key())).unwrap());
        Inventory { items: items.collect(), unread: unread.to_vec(), ..Inventory::default() }
    }

    #[test]
    fn a_list_that_could_not_be_read_keeps_what_it_was() {
        let before = inventory(&[(Kind::Tool, "a"), (Kind::Tool, "b"), (Kind::Prompt, "p")], &[]);
        let now = inventory(&[(Kind::Tool, "a"), (Kind::Resource, "r")], &[Kind::Tool]).keeping(&before);
        let names: Vec<&str> = now.items.iter().map(|item| item.original_name.as_str()).collect();
        assert_eq!(names, ["a", "b", "r"], "prompts were read, and there are none");
        let first = inventory(&[(Kind::Tool, "a")], &[Kind::Tool]).keeping(&Inventory::default());
        assert_eq!(first.counts(), [1, 0, 0, 0], "part of a list is better than nothing");
    }
}
