//! The immutable whole that requests read: virtual servers with their indexes and rendered lists.

mod held;
mod index;
mod lists;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use vmcp_core::backend::BackendId;
use vmcp_core::catalog::Share;
use vmcp_core::name::Name;
use vmcp_core::operational::{Breaker, Operational, Timeouts};
use vmcp_mcp::ProtocolVersion;
use vmcp_revision::codec::Decoded;
use vmcp_revision::{Part, PartName, Serving};

use crate::backend::Live;
pub use held::Decode;
pub(crate) use held::{Held, forget, take};
pub(crate) use index::{Index, Reading, Target};
pub(crate) use lists::{Lists, Page, Position};

type Parts = Arc<BTreeMap<PartName, Part>>;

/// What is served, whole.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    servers: HashMap<Name, Arc<Server>>,
    default: Option<Arc<Server>>,
    /// Published, and never good here.
    unserved: HashSet<Name>,
    is_default_unserved: bool,
    is_ready: bool,
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
    built_from: Parts,
}

/// A place to send calls to.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) id: BackendId,
    pub(crate) modern: bool,
    pub(crate) legacy: Option<Legacy>,
    pub(crate) completes: bool,
    /// How long a call may take.
    pub(crate) timeouts: Timeouts,
    /// When it is left alone.
    pub(crate) breaker: Breaker,
    /// What this replica knows of it by its own calls.
    pub(crate) live: Arc<Live>,
}

/// How legacy requests reach it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Legacy {
    pub(crate) version: ProtocolVersion,
    pub(crate) has_sessions: bool,
}

impl Snapshot {
    /// Cannot fail: what refers to something that is not held is not there. A virtual server whose parts are what they were is
    /// the same value as before, with its indexes and rendered lists.
    pub(crate) fn build(previous: &Self, serving: &Serving, held: &Held) -> Self {
        let mut servers = HashMap::new();
        for (name, whole) in &serving.servers {
            let before =
                previous.servers.get(name).filter(|before| Arc::ptr_eq(&before.built_from, &whole.parts));
            let server = match before {
                Some(server) => Some(server.clone()),
                None => {
                    let before = previous.servers.get(name).map(Arc::as_ref);
                    Server::build(before, name.clone(), whole.parts.clone(), held).map(Arc::new)
                }
            };
            servers.extend(server.map(|server| (name.clone(), server)));
        }
        let chosen = chosen(serving, held, &servers);
        let default = chosen.as_ref().and_then(|name| servers.get(name)).cloned();
        let unserved: HashSet<Name> =
            serving.names.iter().filter(|name| !servers.contains_key(*name)).cloned().collect();
        let is_default_unserved = chosen.is_some_and(|name| !servers.contains_key(&name));
        let is_ready = serving.is_ready();
        Self { default, servers, unserved, is_default_unserved, is_ready }
    }

    /// Whether a virtual server that was published cannot be used here, so that another replica is to be asked.
    pub(crate) fn lacks(&self, name: Option<&str>) -> bool {
        let is_unserved = |name: &str| name.parse::<Name>().is_ok_and(|name| self.unserved.contains(&name));
        !self.is_ready || name.map_or(self.is_default_unserved, is_unserved)
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
    /// What is known of its backends by calls stays known, unless they have moved.
    fn build(before: Option<&Self>, name: Name, built_from: Parts, held: &Held) -> Option<Self> {
        let Decoded::VirtualServer(served) = find(&PartName::VirtualServer(name.clone()), &built_from, held)?
        else {
            return None;
        };
        let mut offered: Vec<(Arc<Backend>, &Share)> = Vec::new();
        for part in built_from.keys() {
            let PartName::Catalog { backend, .. } = part else { continue };
            let Some(Decoded::Share(share)) = find(part, &built_from, held) else { continue };
            let backend = find(&PartName::Backend(backend.clone()), &built_from, held);
            if let Some(Decoded::Backend(backend)) = backend {
                let urls = &backend.endpoints.urls;
                let known =
                    before.and_then(|before| before.backends.iter().find(|known| known.id == backend.id));
                let live = known.map(|known| known.live.clone()).filter(|live| live.is_at(urls));
                let live = live.unwrap_or_else(|| Arc::new(Live::new(urls)));
                offered.push((
                    Arc::new(Backend::new(backend, &served.operational, share.completes, live)),
                    share,
                ));
            }
        }
        let instructions = lists::instructions(offered.iter().map(|(_, share)| *share));
        let completes = offered.iter().any(|(backend, _)| backend.completes);
        let index = Index::build(&offered);
        let lists = Lists::build(&offered);
        let backends = offered.into_iter().map(|(backend, _)| backend).collect();
        let is_default = served.is_default;
        Some(Self { name, is_default, index, lists, backends, instructions, completes, built_from })
    }
}

impl Backend {
    fn new(
        backend: &vmcp_core::backend::Backend,
        operational: &Operational,
        completes: bool,
        live: Arc<Live>,
    ) -> Self {
        let legacy = backend.eras.legacy.as_ref().and_then(|legacy| {
            let version = ProtocolVersion::parse(&legacy.version)?;
            Some(Legacy { version, has_sessions: legacy.has_sessions })
        });
        let (id, modern) = (backend.id.clone(), backend.eras.modern);
        let (timeouts, breaker) = (operational.timeouts(&id.name), operational.breaker);
        Self { id, modern, legacy, completes, timeouts, breaker, live }
    }
}

/// The virtual server that is served at `/mcp` too: the one that says so in the newest revision, or the only one of it. What this
/// replica cannot use changes nothing of that.
fn chosen(serving: &Serving, held: &Held, servers: &HashMap<Name, Arc<Server>>) -> Option<Name> {
    let newest = &serving.held.parts;
    let says_so = |name: &&Name| {
        let part = newest.get(&PartName::VirtualServer((*name).clone()));
        let decoded = part.and_then(|part| held.get(&(part.name.clone(), part.digest)));
        match decoded.map(Arc::as_ref) {
            Some(Decoded::VirtualServer(served)) => served.is_default,
            // What it says now nobody here can read; what it said when it was last good stays.
            _ => servers.get(*name).is_some_and(|server| server.is_default),
        }
    };
    let only = || serving.names.first().filter(|_| serving.names.len() == 1);
    serving.names.iter().find(says_so).or_else(only).cloned()
}

/// The value of a part of a virtual server.
fn find<'h>(name: &PartName, parts: &Parts, held: &'h Held) -> Option<&'h Decoded> {
    let digest = parts.get(name)?.digest;
    held.get(&(name.clone(), digest)).map(Arc::as_ref)
}

#[cfg(test)]
mod tests;
