//! A workload as the planes see it: a place to send calls to.

use std::fmt;

use crate::desired::Endpoints;
use crate::inventory::Eras;
use crate::name::Name;

/// Which backend: a workload of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId {
    /// The group.
    pub group: Name,
    /// The workload in it.
    pub name: Name,
}

/// A place to send calls to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Which one.
    pub id: BackendId,
    /// Where it is called.
    pub endpoints: Endpoints,
    /// How it is spoken to.
    pub eras: Eras,
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.name)
    }
}
