//! What one virtual server offers of one backend, with the way back.

use bytes::Bytes;

use crate::item::Kind;
use crate::name::Name;

/// The share of one backend in the catalog of a virtual server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Whose items these are.
    pub backend: Name,
    /// By kind, then as the backend listed them.
    pub items: Vec<Exposed>,
    /// Whether the backend completes arguments.
    pub completes: bool,
    /// What the backend wants a model to know.
    pub instructions: Option<String>,
}

/// One item as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// What it is.
    pub kind: Kind,
    /// The name, URI or URI template that clients see.
    pub exposed_name: String,
    /// The backend's own.
    pub original_name: String,
    /// Its definition under the exposed name.
    pub definition: Bytes,
}
