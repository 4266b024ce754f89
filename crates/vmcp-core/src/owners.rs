//! Whose an exposed name is, so that a policy that was written for one item never comes to hold for another's.

use std::collections::{BTreeMap, BTreeSet};

use crate::item::Kind;
use crate::name::Name;

/// An exposed name, which is unique among the items of its kind.
pub type Exposure = (Kind, String);

/// Whose a name is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The backend.
    pub backend: Name,
    /// The backend's own name for it.
    pub original_name: String,
}

/// Who owns which exposed name. Stored, and an input of the next resolution.
pub type Owners = BTreeMap<Exposure, Owner>;

/// The exposed names that policies speak of; these do not pass to another owner by themselves.
pub type Guarded = BTreeSet<Exposure>;
