//! All items that one backend offers, as it said them.

use crate::item::{Item, Kind};

/// What a backend offers, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// How it is spoken to.
    pub eras: Eras,
    /// Its items: by kind, then as it listed them.
    pub items: Vec<Item>,
    /// Whether it completes arguments.
    pub completes: bool,
    /// What it wants a model to know.
    pub instructions: Option<String>,
    /// What was wrong with its lists; what is not named here arrived whole.
    pub faults: Vec<String>,
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
    /// Its items of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.kind == kind)
    }

    /// How many there are of each kind, in the order of [`Kind::ALL`].
    pub fn counts(&self) -> [usize; 4] {
        Kind::ALL.map(|kind| self.of(kind).count())
    }
}
