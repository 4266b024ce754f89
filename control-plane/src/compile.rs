//! Desired state and inventories become parts and diagnostics. What comes out is a function of what goes in and of the owners
//! of names; what else is kept between two compilations only saves work.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use vmcp_core::aggregation::Aggregation;
use vmcp_core::backend::{Backend, BackendId};
use vmcp_core::catalog::Share;
use vmcp_core::desired::{Address, Desired, Endpoints, Inventories, VirtualServer};
use vmcp_core::diagnostic::Diagnostic;
use vmcp_core::inventory::Inventory;
use vmcp_core::name::Name;
use vmcp_core::owners::{Exposure, Owners};
use vmcp_core::resolve::{Offered, Resolver};
use vmcp_revision::Part;
use vmcp_revision::codec::{
    ServedServer, encode_backend, encode_policy_set, encode_share, encode_virtual_server,
};

use crate::policies::{Judged, diagnostics, guarded};

/// A backend that has been observed.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) endpoints: Endpoints,
    pub(crate) inventory: Arc<Inventory>,
}

/// Every backend, and what was observed of it; `None` for one that has never answered.
pub(crate) type Backends = BTreeMap<BackendId, Option<Observed>>;

/// What is published, and what there is to say about it.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    pub(crate) parts: Vec<Part>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Whose the names of each share are that is not what it was; empty where there is none any more.
    pub(crate) owners: Vec<((Name, Name), Owners)>,
}

/// The catalogs of all virtual servers, as they were last compiled.
#[derive(Debug, Default)]
pub(crate) struct Catalogs {
    by_server: BTreeMap<Name, Catalog>,
    /// Who owned the names of virtual servers that have not been compiled yet.
    stored: BTreeMap<Name, Owners>,
}

#[derive(Debug)]
struct Catalog {
    resolver: Resolver,
    /// What decides about it, if anything does.
    judged: Option<Judged>,
    /// Shares as parts, by backend; a share that is the same value is the same part.
    encoded: HashMap<Name, (Arc<Share>, Part)>,
    /// Whose names are by backend, as it was last said to the store.
    told: BTreeMap<Name, Owners>,
    /// Rules have changed since.
    is_untold: bool,
}

impl Catalogs {
    /// Begins with the owners of names that were stored.
    pub(crate) fn new(stored: BTreeMap<Name, Owners>) -> Self {
        Self { by_server: BTreeMap::new(), stored }
    }

    /// What each virtual server offers of each backend.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (&Name, &Arc<Share>)> {
        self.by_server
            .iter()
            .flat_map(|(name, catalog)| catalog.resolver.shares().map(move |share| (name, share)))
    }

    /// Every virtual server, every observed backend that one of them presents, and each one's share.
    pub(crate) fn compile(&mut self, desired: &Desired, backends: &Backends) -> Compiled {
        let mut compiled = Compiled::default();
        self.by_server.retain(|name, catalog| {
            let stays = desired.virtual_servers.contains_key(name);
            if !stays {
                let gone =
                    catalog.told.keys().map(|backend| ((name.clone(), backend.clone()), Owners::new()));
                compiled.owners.extend(gone);
            }
            stays
        });
        let mut presented = BTreeMap::new();
        for server in desired.virtual_servers.values() {
            let members = backends.keys().filter(|id| id.group == server.group);
            let mut served = ServedServer::of(server, members.map(|id| id.name.clone()).collect());
            let catalog = self.catalog(server);
            let group = backends.iter().filter(|(id, _)| id.group == server.group);
            let offered: Offered = group
                .map(|(id, seen)| (id.name.clone(), seen.as_ref().map(|seen| seen.inventory.clone())))
                .collect();
            catalog.resolver.update(&offered);
            served.resolution = resolution(desired, server);
            if served.resolution.is_some() {
                served.held_names = catalog.held_names(|backend| is_per_principal(desired, server, backend));
            }
            compiled.parts.push(encode_virtual_server(&served));
            let policies = server.authorization.as_ref();
            compiled.parts.extend(policies.map(|policies| encode_policy_set(&server.name, policies)));
            compiled.diagnostics.extend(catalog.resolver.diagnostics());
            let odd = diagnostics(catalog.judged.as_ref(), server, catalog.resolver.shares());
            compiled.diagnostics.extend(odd);
            let (parts, owners) = catalog.encode(server);
            compiled.parts.extend(parts);
            compiled
                .owners
                .extend(owners.into_iter().map(|(backend, owners)| ((server.name.clone(), backend), owners)));
            for share in catalog.resolver.shares() {
                let id = BackendId { group: server.group.clone(), name: share.backend.clone() };
                presented.extend(backends.get_key_value(&id));
            }
        }
        for (server, owners) in std::mem::take(&mut self.stored) {
            let backends: BTreeSet<Name> = owners.into_values().map(|owner| owner.backend).collect();
            compiled
                .owners
                .extend(backends.into_iter().map(|backend| ((server.clone(), backend), Owners::new())));
        }
        for (id, seen) in presented {
            let Some(Observed { endpoints, inventory }) = seen else { continue };
            let (endpoints, eras) = (endpoints.clone(), inventory.eras.clone());
            compiled.parts.push(encode_backend(&Backend { id: id.clone(), endpoints, eras }));
        }
        compiled
    }

    /// The catalog of a virtual server. Where its rules have changed it begins anew, and names keep their owners.
    fn catalog(&mut self, server: &VirtualServer) -> &mut Catalog {
        let before = self.by_server.remove(&server.name);
        let stored = self.stored.remove(&server.name).unwrap_or_default();
        let catalog = match before {
            Some(catalog) if catalog.resolver.server() == server => catalog,
            changed => {
                let judged = Judged::of(server);
                let guarded = guarded(judged.as_ref());
                match changed {
                    Some(catalog) => {
                        let resolver = catalog.resolver.successor(server.clone(), &guarded);
                        Catalog { resolver, judged, is_untold: true, ..catalog }
                    }
                    None => {
                        let told = by_backend(stored.clone());
                        let resolver = Resolver::new(server.clone(), stored, &guarded);
                        Catalog { resolver, judged, encoded: HashMap::new(), told, is_untold: true }
                    }
                }
            }
        };
        self.by_server.entry(server.name.clone()).or_insert(catalog)
    }
}

impl Catalog {
    /// Every share as a part, and whose the names are of those backends for which something has changed. A name that a policy guards has an
    /// owner even while nobody is shown it, and that outlives us, too.
    fn encode(&mut self, server: &VirtualServer) -> (Vec<Part>, Vec<(Name, Owners)>) {
        let mut encoded = HashMap::with_capacity(self.encoded.len());
        let mut parts = Vec::with_capacity(self.encoded.len());
        for share in self.resolver.shares() {
            let part = match self.encoded.remove(&share.backend) {
                Some((before, part)) if Arc::ptr_eq(&before, share) => part,
                _ => {
                    self.is_untold = true;
                    encode_share(&server.name, &server.group, share)
                }
            };
            parts.push(part.clone());
            encoded.insert(share.backend.clone(), (share.clone(), part));
        }
        let is_untold = std::mem::take(&mut self.is_untold) || !self.encoded.is_empty();
        self.encoded = encoded;
        if !is_untold {
            return (parts, Vec::new());
        }
        let owners = by_backend(self.resolver.owners());
        let gone = self.told.keys().filter(|backend| !owners.contains_key(*backend));
        let mut changed: Vec<_> = gone.map(|backend| (backend.clone(), Owners::new())).collect();
        let now = owners.iter().filter(|(backend, theirs)| self.told.get(*backend) != Some(*theirs));
        changed.extend(now.map(|(backend, theirs)| (backend.clone(), theirs.clone())));
        self.told = owners;
        (parts, changed)
    }

    /// The names that policies speak of and that a backend owns or claims which offers everybody the same.
    fn held_names(&self, is_per_principal: impl Fn(&Name) -> bool) -> Vec<Exposure> {
        let guarded = guarded(self.judged.as_ref());
        if guarded.is_empty() {
            return Vec::new();
        }
        let owned = self.resolver.owners().into_iter().map(|(key, owner)| (owner.backend, key));
        let claimed = self.resolver.report().map(|entry| (entry.backend, (entry.kind, entry.claimed_name)));
        let all =
            owned.chain(claimed).filter(|(backend, key)| guarded.contains(key) && !is_per_principal(backend));
        let all: BTreeSet<Exposure> = all.map(|(_, key)| key).collect();
        all.into_iter().collect()
    }
}

/// Whose each name is, by backend.
fn by_backend(owners: Owners) -> BTreeMap<Name, Owners> {
    let mut all: BTreeMap<Name, Owners> = BTreeMap::new();
    for (key, owner) in owners {
        all.entry(owner.backend.clone()).or_default().insert(key, owner);
    }
    all
}

/// Whether it offers each caller something else.
fn is_per_principal(desired: &Desired, server: &VirtualServer, backend: &Name) -> bool {
    let address = desired.groups.get(&server.group).and_then(|group| group.workloads.get(backend));
    matches!(address, Some(Address::Remote(endpoints)) if endpoints.inventory == Inventories::PerPrincipal)
}

/// The rules for backends that offer each caller something else, if there are any.
fn resolution(desired: &Desired, server: &VirtualServer) -> Option<Aggregation> {
    let group = desired.groups.get(&server.group)?;
    let is_theirs = |name: &Name| is_per_principal(desired, server, name);
    if !group.workloads.keys().any(is_theirs) {
        return None;
    }
    let rules = server.aggregation.tools.iter().filter(|(name, _)| is_theirs(name));
    let tools = rules.map(|(name, rules)| (name.clone(), rules.clone())).collect();
    Some(Aggregation { tools, ..server.aggregation.clone() })
}

#[cfg(test)]
mod tests {
    use vmcp_core::aggregation::{Aggregation, ConflictResolution};
    use vmcp_core::boundary::Authorization;
    use vmcp_core::desired::Group;
    use vmcp_core::item::{Item, Kind};
    use vmcp_revision::codec::{Decoded, decode};

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn desired(servers: &[(&str, &str)], conflict_resolution: &ConflictResolution) -> Desired {
        let servers = servers.iter().map(|(server, group)| VirtualServer {
            aggregation: Aggregation {
                conflict_resolution: conflict_resolution.clone(),
                ..Aggregation::default()
            },
            ..VirtualServer::new(name(server), name(group))
        });
        let virtual_servers = servers.map(|server| (server.name.clone(), server)).collect();
        Desired { virtual_servers, ..Desired::default() }
    }

    fn observed(tool: &str) -> Option<Observed> {
        let items = vec![Item::read(Kind::Tool, &format!(r#"{{"name":"{tool}"}}"#)).unwrap()];
        let inventory = Arc::new(Inventory { items, ..Inventory::default() });
        Some(Observed { endpoints: Endpoints::at("http://127.0.0.1:1/mcp".parse().unwrap()), inventory })
    }

    fn id(group: &str, backend: &str) -> BackendId {
        BackendId { group: name(group), name: name(backend) }
    }

    fn names(compiled: &Compiled) -> Vec<String> {
        compiled.parts.iter().map(|part| part.name.to_string()).collect()
    }

    /// The exposed names of each share.
    fn exposed(compiled: &Compiled) -> Vec<String> {
        let shares = compiled.parts.iter().filter_map(|part| match decode(part).unwrap() {
            Decoded::Share(share) => Some(share.items.into_iter().map(|item| item.exposed_name)),
            _ => None,
        });
        shares.flatten().collect()
    }

    fn guarding(policies: &[&str]) -> Desired {
        let mut desired = desired(&[("all", "g")], &ConflictResolution::Manual);
        let policies = policies.iter().map(|text| (*text).to_owned()).collect();
        let authorization = Authorization { policies, ..Authorization::default() };
        desired.virtual_servers.get_mut(&name("all")).unwrap().authorization = Some(authorization);
        desired
    }

    /// What the store would hold after these, by backend.
    fn stored(all: &[&Compiled]) -> BTreeMap<String, Vec<String>> {
        let mut rows = BTreeMap::new();
        for ((_, backend), owners) in all.iter().flat_map(|compiled| &compiled.owners) {
            let names: Vec<String> = owners.keys().map(|(_, name)| name.clone()).collect();
            rows.insert(backend.to_string(), names);
        }
        rows.retain(|_, names| !names.is_empty());
        rows
    }

    #[test]
    fn the_store_has_one_owner_of_a_name_however_it_came_to_that() {
        let (by_name, open) =
            (r#"permit(principal, action, resource == Tool::"x");"#, "permit(principal, action, resource);");
        let (a, b) = (
            Backends::from([(id("g", "a"), observed("x"))]),
            Backends::from([(id("g", "b"), observed("x"))]),
        );
        let mut catalogs = Catalogs::default();
        let first = catalogs.compile(&guarding(&[by_name]), &a);
        // It goes, and keeps the name, until no policy speaks of it.
        let gone = catalogs.compile(&guarding(&[by_name]), &b);
        assert_eq!(stored(&[&first, &gone]), BTreeMap::from([("a".to_owned(), vec!["x".to_owned()])]));
        let free = catalogs.compile(&guarding(&[open]), &b);
        let back = catalogs.compile(&guarding(&[by_name]), &b);
        let all = [&first, &gone, &free, &back];
        assert_eq!(stored(&all), BTreeMap::from([("b".to_owned(), vec!["x".to_owned()])]));
        let removed = catalogs.compile(&Desired::default(), &b);
        assert_eq!(stored(&[&first, &gone, &free, &back, &removed]), BTreeMap::new());
    }

    #[test]
    fn a_name_that_policies_speak_of_is_held_back_from_single_callers_while_somebody_has_it() {
        let mut desired = guarding(&[r#"permit(principal, action, resource == Tool::"x");"#]);
        let mut own = Endpoints::at("http://127.0.0.1:1/mcp".parse().unwrap());
        own.inventory = Inventories::PerPrincipal;
        let workloads = BTreeMap::from([(name("own"), Address::Remote(own))]);
        desired.groups.insert(name("g"), Group { name: name("g"), workloads, toolhive: None });
        let held = |catalogs: &mut Catalogs, backends: &[(&str, &str)]| {
            let seen = backends.iter().map(|(backend, tool)| (id("g", backend), observed(tool)));
            let compiled = catalogs.compile(&desired, &seen.collect());
            let served = compiled.parts.iter().find_map(|part| match decode(part).unwrap() {
                Decoded::VirtualServer(served) => Some(served),
                _ => None,
            });
            served.unwrap().held_names
        };
        let mut catalogs = Catalogs::default();
        assert_eq!(held(&mut catalogs, &[("a", "y"), ("own", "x")]), []);
        let mut catalogs = Catalogs::default();
        for backends in [&[("a", "x"), ("own", "z")][..], &[("a", "y"), ("own", "z")], &[]] {
            assert_eq!(held(&mut catalogs, backends), [(Kind::Tool, "x".to_owned())]);
        }
    }

    #[test]
    fn each_virtual_server_presents_its_own_group() {
        let backends = Backends::from([
            (id("g", "b"), observed("x")),
            (id("g", "late"), None),
            (id("h", "b"), observed("y")),
            (id("unused", "b"), observed("z")),
        ]);
        let desired =
            desired(&[("first", "g"), ("second", "h"), ("empty", "i")], &ConflictResolution::Prefix);
        let compiled = Catalogs::default().compile(&desired, &backends);
        assert_eq!(
            names(&compiled),
            [
                "virtual_server/empty",
                "virtual_server/first",
                "catalog/first/g/b",
                "virtual_server/second",
                "catalog/second/h/b",
                "backend/g/b",
                "backend/h/b",
            ]
        );
        assert_eq!(exposed(&compiled), ["b_x", "b_y"]);
    }

    #[test]
    fn what_is_kept_changes_nothing_but_the_work() {
        let before = Backends::from([(id("g", "a"), observed("x")), (id("g", "b"), observed("x"))]);
        let after = Backends::from([(id("g", "a"), observed("x")), (id("g", "b"), observed("y"))]);
        let mut lasting = Catalogs::default();
        for rules in [ConflictResolution::Manual, ConflictResolution::Prefix] {
            let desired = desired(&[("all", "g")], &rules);
            for backends in [&before, &after, &before] {
                let kept = lasting.compile(&desired, backends);
                let fresh = Catalogs::default().compile(&desired, backends);
                assert_eq!(kept.parts, fresh.parts);
                assert_eq!(kept.diagnostics, fresh.diagnostics);
            }
        }
        assert!(names(&lasting.compile(&Desired::default(), &before)).is_empty());
    }
}
