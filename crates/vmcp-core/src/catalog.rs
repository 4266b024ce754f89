//! What one virtual server offers of one backend, with the way back.

use bytes::Bytes;

use crate::inventory::Abilities;
use crate::item::Kind;
use crate::name::Name;

/// The share of one backend in the catalog of a virtual server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Whose items these are.
    pub backend: Name,
    /// By kind, then as the backend listed them.
    pub items: Vec<Exposed>,
    /// What the backend can do besides.
    pub abilities: Abilities,
    /// What the backend wants a model to know.
    pub instructions: Option<String>,
}

impl Share {
    /// Of a backend that offers nothing.
    pub fn empty(backend: Name) -> Self {
        Self { backend, items: Vec::new(), abilities: Abilities::default(), instructions: None }
    }

    /// What clients see of it.
    pub fn visible(&self) -> impl Iterator<Item = &Exposed> {
        self.items.iter().filter(|item| !item.is_hidden)
    }
}

/// One item under the name that it has for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// What it is.
    pub kind: Kind,
    /// The name, URI or URI template that clients use.
    pub exposed_name: String,
    /// The backend's own.
    pub original_name: String,
    /// Its definition under the exposed name.
    pub definition: Bytes,
    /// Neither listed nor called by clients; composite tools may use it.
    pub is_hidden: bool,
}
