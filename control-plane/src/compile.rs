//! Desired state and inventories become parts and diagnostics. What comes out is a function of what goes in and of the owners
//! of names; what else is kept between two compilations only saves work.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use vmcp_core::backend::{Backend, BackendId};
use vmcp_core::catalog::Share;
use vmcp_core::desired::{Desired, Endpoints, VirtualServer};
use vmcp_core::diagnostic::Diagnostic;
use vmcp_core::inventory::Inventory;
use vmcp_core::name::Name;
use vmcp_core::owners::{Owner, Owners};
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
    /// Backends whose names have an owner in the store; looked at once.
    stored: BTreeSet<Name>,
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
                    catalog.encoded.keys().map(|backend| ((name.clone(), backend.clone()), Owners::new()));
                compiled.owners.extend(gone);
            }
            stays
        });
        let mut presented = BTreeMap::new();
        for server in desired.virtual_servers.values() {
            let members = backends.keys().filter(|id| id.group == server.group);
            let served = ServedServer::of(server, members.map(|id| id.name.clone()).collect());
            compiled.parts.push(encode_virtual_server(&served));
            let policies = server.authorization.as_ref();
            compiled.parts.extend(policies.map(|policies| encode_policy_set(&server.name, policies)));
            let catalog = self.catalog(server);
            let group = backends.iter().filter(|(id, _)| id.group == server.group);
            let offered: Offered = group
                .map(|(id, seen)| (id.name.clone(), seen.as_ref().map(|seen| seen.inventory.clone())))
                .collect();
            catalog.resolver.update(&offered);
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
                        Catalog { resolver, judged, ..catalog }
                    }
                    None => {
                        let backends = stored.values().map(|owner| owner.backend.clone()).collect();
                        let resolver = Resolver::new(server.clone(), stored, &guarded);
                        Catalog { resolver, judged, encoded: HashMap::new(), stored: backends }
                    }
                }
            }
        };
        self.by_server.entry(server.name.clone()).or_insert(catalog)
    }
}

impl Catalog {
    /// Every share as a part, and the owners of the names of those that have changed.
    fn encode(&mut self, server: &VirtualServer) -> (Vec<Part>, Vec<(Name, Owners)>) {
        let mut encoded = HashMap::with_capacity(self.encoded.len());
        let mut parts = Vec::with_capacity(self.encoded.len());
        let mut owners = Vec::new();
        for share in self.resolver.shares() {
            let part = match self.encoded.remove(&share.backend) {
                Some((before, part)) if Arc::ptr_eq(&before, share) => part,
                _ => {
                    owners.push((share.backend.clone(), owners_of(share)));
                    encode_share(&server.name, &server.group, share)
                }
            };
            parts.push(part.clone());
            encoded.insert(share.backend.clone(), (share.clone(), part));
        }
        let gone =
            std::mem::take(&mut self.stored).into_iter().filter(|backend| !encoded.contains_key(backend));
        owners.extend(gone.map(|backend| (backend, Owners::new())));
        owners.extend(self.encoded.drain().map(|(backend, _)| (backend, Owners::new())));
        self.encoded = encoded;
        (parts, owners)
    }
}

fn owners_of(share: &Share) -> Owners {
    let owned = share.items.iter().map(|item| {
        let owner = Owner { backend: share.backend.clone(), original_name: item.original_name.clone() };
        ((item.kind, item.exposed_name.clone()), owner)
    });
    owned.collect()
}

#[cfg(test)]
mod tests {
    use vmcp_core::aggregation::{Aggregation, ConflictResolution};
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
