//! The immutable whole that requests read: virtual servers with their indexes and rendered lists.

mod held;
mod index;
mod lists;

use std::collections::HashMap;
use std::sync::Arc;

use vmcp_core::backend::BackendId;
use vmcp_core::catalog::Share;
use vmcp_core::name::Name;
use vmcp_mcp::ProtocolVersion;
use vmcp_revision::codec::Decoded;
use vmcp_revision::{Digest, PartName, Published};

pub(crate) use held::{Held, Rejected, take};
pub(crate) use index::{Index, Reading, Target};
pub(crate) use lists::{Lists, Page, Position};

/// What is served, whole.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    servers: HashMap<Name, Arc<Server>>,
    default: Option<Arc<Server>>,
}

/// One virtual server, whole.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: Name,
    is_default: bool,
    pub(crate) index: Index,
    pub(crate) lists: Lists,
    /// Those whose items it offers.
    pub(crate) backends: Vec<Arc<Backend>>,
    /// What clients are told at the beginning.
    pub(crate) instructions: Option<String>,
    /// Whether any backend completes arguments.
    pub(crate) completes: bool,
    /// The parts that it was built from; if they are the same, so is it.
    built_from: Vec<(PartName, Digest)>,
}

/// A place to send calls to.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) id: BackendId,
    pub(crate) url: ::http::Uri,
    pub(crate) modern: bool,
    pub(crate) legacy: Option<Legacy>,
    pub(crate) completes: bool,
}

/// How legacy requests reach it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Legacy {
    pub(crate) version: ProtocolVersion,
    pub(crate) has_sessions: bool,
}

impl Snapshot {
    /// Cannot fail: what refers to something never good is not there. A virtual server with a rejected part stays what it
    /// was, whole; one whose parts are what they were is the same value as before, with its indexes and rendered lists.
    pub(crate) fn build(previous: &Self, published: &Published, held: &Held, rejected: &Rejected) -> Self {
        let mut servers = HashMap::new();
        for part in published.parts.keys() {
            let PartName::VirtualServer(name) = part else { continue };
            let parts = parts_of(name, published);
            let before = previous.servers.get(name);
            let server = if parts.iter().any(|(part, _)| rejected.contains_key(part)) {
                before.cloned()
            } else {
                match before {
                    Some(server) if server.built_from == parts => Some(server.clone()),
                    _ => Server::build(name.clone(), parts, held).map(Arc::new),
                }
            };
            servers.extend(server.map(|server| (name.clone(), server)));
        }
        let chosen = servers.values().filter(|server| server.is_default).min_by_key(|server| &server.name);
        let only = if servers.len() == 1 { servers.values().next() } else { None };
        Self { revision: published.revision, default: chosen.or(only).cloned(), servers }
    }

    /// The virtual server at `/<name>/mcp`.
    pub(crate) fn server(&self, name: &str) -> Option<&Arc<Server>> {
        self.servers.get(&name.parse::<Name>().ok()?)
    }

    /// The virtual server at `/mcp`.
    pub(crate) fn default_server(&self) -> Option<&Arc<Server>> {
        self.default.as_ref()
    }
}

impl Server {
    fn build(name: Name, built_from: Vec<(PartName, Digest)>, held: &Held) -> Option<Self> {
        let (_, decoded) = held.get(&PartName::VirtualServer(name.clone()))?;
        let Decoded::VirtualServer(served) = decoded.as_ref() else { return None };
        let is_default = served.is_default;
        let mut offered: Vec<(Arc<Backend>, &Share)> = Vec::new();
        for (part, _) in &built_from {
            let PartName::Catalog { backend, .. } = part else { continue };
            let Some((_, share)) = held.get(part) else { continue };
            let Decoded::Share(share) = share.as_ref() else { continue };
            if let Some(backend) = Backend::held(backend, share.completes, held) {
                offered.push((Arc::new(backend), share));
            }
        }
        let instructions = lists::instructions(offered.iter().map(|(_, share)| *share));
        let completes = offered.iter().any(|(backend, _)| backend.completes);
        let index = Index::build(&offered);
        let lists = Lists::build(&offered);
        let backends = offered.into_iter().map(|(backend, _)| backend).collect();
        Some(Self { name, is_default, index, lists, backends, instructions, completes, built_from })
    }
}

impl Backend {
    fn held(id: &BackendId, completes: bool, held: &Held) -> Option<Self> {
        let (_, decoded) = held.get(&PartName::Backend(id.clone()))?;
        let Decoded::Backend(backend) = decoded.as_ref() else { return None };
        let legacy = backend.eras.legacy.as_ref().and_then(|legacy| {
            let version = ProtocolVersion::parse(&legacy.version)?;
            Some(Legacy { version, has_sessions: legacy.has_sessions })
        });
        let (url, modern) = (backend.url.clone(), backend.eras.modern);
        Some(Self { id: backend.id.clone(), url, modern, legacy, completes })
    }
}

/// The parts that a virtual server is made of, ordered: its own, its shares, and their backends.
fn parts_of(server: &Name, published: &Published) -> Vec<(PartName, Digest)> {
    let mut parts = vec![PartName::VirtualServer(server.clone())];
    for name in published.parts.keys() {
        if let PartName::Catalog { virtual_server, backend } = name
            && virtual_server == server
        {
            parts.push(name.clone());
            parts.push(PartName::Backend(backend.clone()));
        }
    }
    parts.sort();
    parts.into_iter().filter_map(|name| published.parts.get(&name).map(|part| (name, part.digest))).collect()
}

#[cfg(test)]
mod tests;
