//! What an operator should know about a catalog.

use crate::name::Name;
use crate::written::Line;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A name is withheld until the operator settles it.
    Error,
    /// Something is not served, or may not work with every client, or was written for nothing.
    Warning,
    /// Something is served otherwise than it was offered.
    Note,
}

impl Severity {
    /// As it stands in data and in front of sentences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing to know. Ordered by virtual server, then by what matters most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diagnostic {
    /// Where.
    pub virtual_server: Name,
    /// How much it matters.
    pub severity: Severity,
    /// Whose items it is about.
    pub backends: Vec<Name>,
    /// What, and why.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The line of the manifest that it follows from, if it follows from one.
    pub line: Option<Line>,
}
