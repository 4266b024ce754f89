//! The immutable whole that requests read: virtual servers with their indexes and rendered lists.

mod guards;
mod held;
mod index;
mod lists;
mod normal;
mod personal;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use vmcp_core::backend::BackendId;
use vmcp_core::boundary::Incoming;
use vmcp_core::catalog::Share;
use vmcp_core::inventory::Abilities;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_core::operational::PartialFailure;
use vmcp_mcp::Origins;
use vmcp_oauth::{Trusted, hash};
use vmcp_revision::codec::{Decoded, ServedServer};
use vmcp_revision::{Part, PartName, Serving};

use crate::audit::{Audit, Ledgers};
use crate::backend::{Backend, Live, Told};
use crate::outgoing::trusted;
use crate::principal::Identity;
pub(crate) use guards::{Guard, Guards};
pub use held::Decode;
pub(crate) use held::{Held, Usable, forget, take};
pub(crate) use index::{Index, Reading, Target};
pub(crate) use lists::{Lists, Page, Position};
pub(crate) use personal::{Personal, PersonalBackend};

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
    /// Where records go, whatever is served.
    ledgers: Ledgers,
}

/// Whether files that backends refer to are read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilesRead {
    /// Where a virtual server has changed.
    Changed,
    /// Everywhere.
    Again,
}

/// One virtual server, whole.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: Name,
    is_default: bool,
    group: Name,
    /// Every workload of the group, in order.
    workloads: Vec<Name>,
    /// Those that have never said what they offer.
    unknown: Vec<Name>,
    /// Who may come in.
    pub(crate) incoming: Incoming,
    /// Whose tokens are taken.
    pub(crate) trusted: Vec<Trusted>,
    /// What those who come in may do. `None`: everything.
    pub(crate) guards: Option<Guards>,
    /// What is recorded of requests.
    pub(crate) audit: Option<Arc<Audit>>,
    /// Names under which it may be addressed.
    pub(crate) allowed_hosts: Vec<String>,
    /// Under which address clients know it.
    pub(crate) public_url: Option<Uri>,
    /// What becomes of its lists while a backend is unavailable.
    pub(crate) partial_failure: PartialFailure,
    reports_every: Option<Duration>,
    pub(crate) index: Index,
    pub(crate) lists: Lists,
    /// Those whose items it offers.
    pub(crate) backends: Vec<Arc<Backend>>,
    /// What clients are told at the beginning, by backend.
    sections: Vec<(Name, String)>,
    /// What any backend can do.
    pub(crate) abilities: Abilities,
    /// Some backend is called with what stands in a file.
    has_references: bool,
    /// Tells what was read for it, files included, from all else.
    mark: [u8; 32],
    /// What is needed to make one for a single caller, if any backend offers callers something else.
    pub(crate) personal: Option<Personal>,
    /// The parts that it was built from; if they are the same, so is it.
    built_from: Parts,
}

impl Snapshot {
    /// Cannot fail: what refers to something that is not held is not there. A virtual server whose parts are what they were is
    /// the same value as before, with its indexes and rendered lists.
    pub(crate) fn build(previous: &Self, serving: &Serving, held: &Held, files: FilesRead) -> Self {
        let mut servers = HashMap::new();
        for (name, whole) in &serving.servers {
            let before = previous.servers.get(name).filter(|before| {
                let is_read_again = files == FilesRead::Again && before.has_references;
                Arc::ptr_eq(&before.built_from, &whole.parts) && !is_read_again
            });
            let server = match before {
                Some(server) => Some(server.clone()),
                None => {
                    let before = previous.servers.get(name);
                    Server::build(before, name.clone(), whole.parts.clone(), held, &previous.ledgers)
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
        let ledgers = previous.ledgers.clone();
        Self { default, servers, unserved, is_default_unserved, is_ready, ledgers }
    }

    /// Whether it serves the very same as another one.
    pub(crate) fn serves_like(&self, other: &Self) -> bool {
        let is_same = |(name, server): (&Name, &Arc<Server>)| {
            other.servers.get(name).is_some_and(|known| Arc::ptr_eq(known, server))
        };
        self.servers.len() == other.servers.len() && self.servers.iter().all(is_same)
    }

    /// Nothing, until something is published.
    pub(crate) fn empty(ledgers: Ledgers) -> Self {
        Self { ledgers, ..Self::default() }
    }

    /// The places that records are written to.
    pub(crate) fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    /// Whose tokens are taken anywhere.
    pub(crate) fn trusted(&self) -> impl Iterator<Item = &Trusted> {
        self.servers.values().flat_map(|server| &server.trusted)
    }

    /// Whether anything that is called refers to a file, which may have been replaced.
    pub(crate) fn has_references(&self) -> bool {
        self.servers.values().any(|server| server.has_references)
    }

    /// Whether a virtual server that was published cannot be used here, so that another replica is to be asked.
    pub(crate) fn lacks(&self, name: Option<&str>) -> bool {
        let is_unserved = |name: &str| name.parse::<Name>().is_ok_and(|name| self.unserved.contains(&name));
        !self.is_ready || name.map_or(self.is_default_unserved, is_unserved)
    }

    /// Backends that are not called now, since calls to them fail; in order, up to a bound.
    pub(crate) fn avoided(&self) -> Vec<BackendId> {
        let backends = self.servers.values().flat_map(|server| server.backends.iter());
        let avoided: BTreeSet<&BackendId> =
            backends.filter(|backend| backend.is_avoided()).map(|backend| &backend.id).collect();
        avoided.into_iter().take(limits::UNWELL_BACKENDS).cloned().collect()
    }

    /// What is special about the servers that backends are at.
    pub(crate) fn origins(&self) -> Origins {
        let mut origins = Origins::default();
        for backend in self.servers.values().flat_map(|server| server.backends.iter()) {
            for url in backend.live.urls() {
                origins.add(url, backend.timeouts.connect, backend.roots.as_deref());
            }
        }
        origins
    }

    /// How often the control plane is told how this replica fares.
    pub(crate) fn reports_every(&self) -> Duration {
        let said = self.servers.values().filter_map(|server| server.reports_every);
        said.min().unwrap_or(limits::REPORT_TIME)
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
    /// What is known of its backends by calls stays known, unless they have moved. Where parts and files are what they were, so is it.
    fn build(
        before: Option<&Arc<Self>>,
        name: Name,
        built_from: Parts,
        held: &Held,
        ledgers: &Ledgers,
    ) -> Option<Arc<Self>> {
        let whole = find(&PartName::VirtualServer(name.clone()), &built_from, held)?;
        let Decoded::VirtualServer(served) = &whole.decoded else {
            return None;
        };
        let (trusted, is_read_again) = trusted(&served.incoming);
        let found = found(before.map(Arc::as_ref), served, &built_from, held);
        let read = trusted.iter().map(Trusted::mark).chain(found.iter().map(|(backend, _)| backend.mark));
        let mark = hash(&[read.collect::<Vec<[u8; 32]>>().as_flattened()]);
        let is_same =
            |before: &&Arc<Self>| Arc::ptr_eq(&before.built_from, &built_from) && before.mark == mark;
        if let Some(same) = before.filter(is_same) {
            return Some(same.clone());
        }
        let guards = match find(&PartName::PolicySet(name.clone()), &built_from, held) {
            Some(usable) if usable.policies.is_some() => {
                usable.policies.as_ref().map(|policies| Guards::new(policies.clone()))
            }
            // Without the policies that it should have, nobody may do anything.
            _ if served.has_policies => return None,
            _ => None,
        };
        let audit = served.audit.as_ref();
        let audit = audit
            .map(|settings| Audit::kept(before.and_then(|before| before.audit.as_ref()), settings, ledgers));
        let personal = Personal::of(&name, &built_from, held, &found);
        let offered: Vec<(Arc<Backend>, &Share)> = found
            .iter()
            .filter_map(|(backend, shared)| Some((backend.clone(), personal::share_of(shared)?)))
            .collect();
        let (sections, abilities) = summed(&offered);
        let has_share = |name: &Name| offered.iter().any(|(backend, _)| backend.id.name == *name);
        let unknown = served.workloads.iter().filter(|name| !has_share(name)).cloned().collect();
        let has_references = is_read_again || found.iter().any(|(backend, _)| backend.has_references);
        let index = Index::build(&offered, guards.as_ref());
        let lists = Lists::build(&offered, &index);
        let backends = offered.into_iter().map(|(backend, _)| backend).collect();
        Some(Arc::new(Self {
            name,
            is_default: served.is_default,
            group: served.group.clone(),
            unknown,
            workloads: served.workloads.clone(),
            incoming: served.incoming.clone(),
            trusted,
            guards,
            audit,
            allowed_hosts: allowed_hosts(served),
            public_url: served.public_url.clone(),
            partial_failure: served.operational.partial_failure,
            reports_every: served.operational.status_reporting_interval,
            index,
            lists,
            backends,
            sections,
            abilities,
            has_references,
            mark,
            personal,
            built_from,
        }))
    }

    /// What it takes, about; definitions are shared with what it was made from.
    pub(crate) fn bytes(&self) -> u32 {
        u32::try_from(self.lists.bytes().saturating_mul(2).saturating_add(16 * 1024)).unwrap_or(u32::MAX)
    }

    /// What a caller is told at the beginning: of backends that offer it something.
    pub(crate) fn instructions(&self, identity: &Identity) -> Option<String> {
        let guarded = self.guards.as_ref().map(|guards| guards.lists(identity, &self.lists));
        let told = self
            .sections
            .iter()
            .filter(|(backend, _)| guarded.as_ref().is_none_or(|lists| lists.has_any_of(backend)));
        let whole: String = told.map(|(_, section)| section.as_str()).collect();
        let whole = whole.trim_end();
        (!whole.is_empty()).then(|| whole.to_owned())
    }

    /// Whether everybody is answered alike: no caller is told from another, here or by a backend.
    pub(crate) fn is_public(&self) -> bool {
        self.guards.is_none() && self.trusted.is_empty()
    }

    /// Whether who has come in may still be here, now that this may have changed.
    pub(crate) fn may_come_in(&self, identity: &Identity) -> bool {
        match (&identity.token, &self.incoming) {
            (None, Incoming::Anonymous | Incoming::Local) => true,
            (Some(token), Incoming::Oidc(issuers)) => {
                let issuer = issuers.iter().find(|issuer| issuer.issuer == token.verified.issuer);
                issuer.is_some_and(|issuer| {
                    token.verified.is_for(&issuer.audience)
                        && !token.verified.lacks_any(&issuer.required_scopes)
                })
            }
            (None, Incoming::Oidc(_)) | (Some(_), Incoming::Anonymous | Incoming::Local) => false,
        }
    }

    /// Its workloads of which nothing is to be expected now: those that have never answered, those of which the control plane says so,
    /// and those that our own calls avoid. In order.
    pub(crate) fn unavailable<'a>(&'a self, told: &'a Told) -> Vec<&'a Name> {
        let avoided =
            self.backends.iter().filter(|backend| backend.is_avoided()).map(|backend| &backend.id.name);
        let told =
            told.unavailable(&self.group).iter().filter(|name| self.workloads.binary_search(name).is_ok());
        let mut all: Vec<&Name> = self.unknown.iter().chain(told).chain(avoided).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Backends that can be called, each with its share.
fn found(
    before: Option<&Server>,
    served: &ServedServer,
    built_from: &Parts,
    held: &Held,
) -> Vec<(Arc<Backend>, Arc<Usable>)> {
    let mut found: Vec<(Arc<Backend>, Arc<Usable>)> = Vec::new();
    for part in built_from.keys() {
        let PartName::Catalog { backend, .. } = part else { continue };
        let Some(shared) = find(part, built_from, held) else { continue };
        let Decoded::Share(share) = &shared.decoded else { continue };
        let backend = find(&PartName::Backend(backend.clone()), built_from, held);
        if let Some(Decoded::Backend(backend)) = backend.map(|part| &part.decoded) {
            let urls = &backend.endpoints.urls;
            let known = before.and_then(|before| before.backends.iter().find(|known| known.id == backend.id));
            let live = known.map(|known| known.live.clone()).filter(|live| live.is_at(urls));
            let live = live.unwrap_or_else(|| Arc::new(Live::new(urls)));
            found.push((Arc::new(Backend::new(backend, served, share.abilities, live)), shared.clone()));
        }
    }
    found
}

/// Names under which a virtual server may be addressed: those that are said, and that of its address.
fn allowed_hosts(served: &ServedServer) -> Vec<String> {
    let public = served.public_url.as_ref().and_then(Uri::authority);
    let public = public.map(|authority| authority.as_str().to_ascii_lowercase());
    served.allowed_hosts.iter().cloned().chain(public).collect()
}

/// The virtual server that is served at `/mcp` too: the one that says so in the newest revision, or the only one of it. What this
/// replica cannot use changes nothing of that.
fn chosen(serving: &Serving, held: &Held, servers: &HashMap<Name, Arc<Server>>) -> Option<Name> {
    let newest = &serving.held.parts;
    let says_so = |name: &&Name| {
        let part = newest.get(&PartName::VirtualServer((*name).clone()));
        let decoded = part.and_then(|part| held.get(&(part.name.clone(), part.digest)));
        match decoded.map(|usable| &usable.decoded) {
            Some(Decoded::VirtualServer(served)) => served.is_default,
            // What it says now nobody here can read; what it said when it was last good stays.
            _ => servers.get(*name).is_some_and(|server| server.is_default),
        }
    };
    let only = || serving.names.first().filter(|_| serving.names.len() == 1);
    serving.names.iter().find(says_so).or_else(only).cloned()
}

/// The value of a part of a virtual server.
fn find<'h>(name: &PartName, parts: &Parts, held: &'h Held) -> Option<&'h Arc<Usable>> {
    let digest = parts.get(name)?.digest;
    held.get(&(name.clone(), digest))
}

/// What all backends say together: what clients are told at the beginning, and what any of them can do.
fn summed(offered: &[(Arc<Backend>, &Share)]) -> (Vec<(Name, String)>, Abilities) {
    let sections = lists::sections(offered.iter().map(|(_, share)| *share));
    let all = offered.iter().map(|(backend, _)| backend.abilities);
    (sections, all.fold(Abilities::default(), Abilities::or))
}

#[cfg(test)]
mod tests;
