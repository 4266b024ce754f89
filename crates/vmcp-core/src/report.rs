//! What became of every item, and why: the whole account of a resolution, as data.

use crate::item::Kind;
use crate::name::Name;
use crate::owners::Owner;
use crate::written::Line;

/// One item of one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub backend: Name,
    /// What it is.
    pub kind: Kind,
    /// The backend's own name, URI or URI template.
    pub original_name: String,
    /// What it is called if nothing stands in the way.
    pub wanted_name: String,
    /// What it would be called if it alone claimed that name: the same, unless it has fallen back or is shortened.
    pub claimed_name: String,
    /// What it is called; absent if it has no name.
    pub exposed_name: Option<String>,
    /// What made its name, in order.
    pub naming: Vec<Naming>,
    /// Whether clients see it.
    pub outcome: Outcome,
}

/// What has a hand in an exposed name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// An override, which may have changed other things than the name.
    Override(Line),
    /// The strategy put the prefix before it.
    Prefix,
    /// Several backends offer the name and none is in `priority_order`, so each got its prefix.
    Fallback,
    /// `max_name_length` cut it.
    Shortened,
}

/// Whether clients see an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// They do.
    Exposed,
    /// They do not, though it has a name, by which composite tools may use it.
    Hidden(Hidden),
    /// It has no name.
    Withheld(Withheld),
}

/// Why an item with a name is not listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hidden {
    /// `exclude_all_tools`.
    ExcludeAllTools(Line),
    /// `default_tool_visibility: deny`, and there are no rules for its workload.
    DenyByDefault(Line),
    /// `exclude_all` of its workload.
    ExcludeAll(Line),
    /// Not in its workload's `filter`.
    Filter(Line),
}

/// Why an item has no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// Its backend lists another one of the same name before it.
    ListedTwice,
    /// The name is another's, by the strategy's order or because the other calls his own so.
    Lost {
        /// Whose it is.
        to: Name,
    },
    /// Several claim the name, and nothing decides between them.
    Contested,
    /// A policy speaks of the name, and it belongs to another item, or to none that is still there.
    Guarded {
        /// Whose it is.
        owner: Owner,
    },
    /// A policy speaks of the name, and a backend that would come before this one has never answered.
    Awaiting {
        /// Which.
        backend: Name,
    },
}

impl Hidden {
    /// The line of the manifest that hides.
    pub fn line(&self) -> &Line {
        match self {
            Self::ExcludeAllTools(line)
            | Self::DenyByDefault(line)
            | Self::ExcludeAll(line)
            | Self::Filter(line) => line,
        }
    }

    /// The key that hides.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::ExcludeAllTools(_) => "exclude_all_tools",
            Self::DenyByDefault(_) => "default_tool_visibility",
            Self::ExcludeAll(_) => "exclude_all",
            Self::Filter(_) => "filter",
        }
    }
}
