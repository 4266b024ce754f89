//! What an operator should know about a catalog.

use crate::name::Name;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something is served otherwise than it was offered.
    Note,
    /// Something is not served, or may not work with every client.
    Warning,
}

/// One thing to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// Where.
    pub virtual_server: Name,
    /// Whose item it is about, if it is about one backend.
    pub backend: Option<Name>,
    /// What, why, and what to do.
    pub message: String,
}
