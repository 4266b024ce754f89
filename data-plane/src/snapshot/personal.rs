//! A virtual server as one caller alone sees it: what everybody is offered, and what some backends offer this caller besides.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::sync::Semaphore;
use vmcp_core::aggregation::{Aggregation, ConflictResolution};
use vmcp_core::backend::{Backend as Described, BackendId};
use vmcp_core::catalog::Share;
use vmcp_core::desired::{Inventories, VirtualServer};
use vmcp_core::inventory::Inventory;
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_core::owners::{Guarded, Owners};
use vmcp_core::resolve::{Offered, Resolver};
use vmcp_revision::codec::{Decoded, ServedServer};
use vmcp_revision::{Digest, PartName};

use super::{Backend, Guards, Held, Index, Lists, Parts, Server, Usable, find, summed};

/// What a server for one caller is made from.
#[derive(Debug)]
pub(crate) struct Personal {
    served: Arc<Usable>,
    rules: Aggregation,
    /// What everybody is offered.
    shared: Vec<(Arc<Backend>, Arc<Usable>)>,
    /// Backends that offer each caller something else.
    pub(crate) asked: Vec<PersonalBackend>,
}

/// A backend that offers each caller something else.
#[derive(Debug, Clone)]
pub(crate) struct PersonalBackend {
    /// As everybody sees it: nothing of what it offers is known.
    pub(crate) backend: Arc<Backend>,
    /// Where it is, as it was published.
    pub(crate) described: Arc<Usable>,
    /// What it is asked by: itself and its virtual server. What was said to others of them is not what it says now.
    pub(crate) asked_by: [Digest; 2],
    /// Places for those who ask it: one that is slow keeps nobody from asking another.
    pub(crate) at_once: Arc<Semaphore>,
}

impl Personal {
    /// `None`: everybody is offered the same.
    pub(super) fn of(
        name: &Name,
        parts: &Parts,
        held: &Held,
        offered: &[(Arc<Backend>, Arc<Usable>)],
    ) -> Option<Self> {
        let part_name = PartName::VirtualServer(name.clone());
        let served = find(&part_name, parts, held)?.clone();
        let Decoded::VirtualServer(server) = &served.decoded else { return None };
        let rules = server.resolution.clone()?;
        let mut asked = Vec::new();
        for (backend, _) in offered {
            let backend_name = PartName::Backend(backend.id.clone());
            let Some(described) = find(&backend_name, parts, held) else { continue };
            if matches!(&described.decoded, Decoded::Backend(known) if known.endpoints.inventory == Inventories::PerPrincipal)
                && let (Some(own), Some(its)) = (parts.get(&part_name), parts.get(&backend_name))
            {
                let asked_by = [own.digest, its.digest];
                asked.push(PersonalBackend {
                    backend: backend.clone(),
                    described: described.clone(),
                    asked_by,
                    at_once: Arc::new(Semaphore::new(limits::PERSONAL_ASKED_AT_ONCE)),
                });
            }
        }
        Some(Self { served, rules, shared: offered.to_vec(), asked })
    }

    /// Whether a backend offers each caller something else.
    pub(crate) fn asks(&self, backend: &BackendId) -> bool {
        self.asked.iter().any(|asked| asked.backend.id == *backend)
    }

    /// How many of those that offer each caller something else could have a name.
    fn claimants(&self, kind: Kind, name: &str) -> usize {
        let rules = &self.rules;
        let has_prefix = rules.conflict_resolution == ConflictResolution::Prefix
            && matches!(kind, Kind::Tool | Kind::Prompt);
        let could_be = |asked: &&PersonalBackend| {
            !has_prefix || name.starts_with(&rules.prefix_format.apply(&asked.backend.id.name, ""))
        };
        self.asked.iter().filter(could_be).count()
    }

    fn served(&self) -> Option<&ServedServer> {
        match &self.served.decoded {
            Decoded::VirtualServer(served) => Some(served),
            _ => None,
        }
    }
}

impl PersonalBackend {
    /// Where it is, and how it is spoken to.
    pub(crate) fn described(&self) -> Option<&Described> {
        match &self.described.decoded {
            Decoded::Backend(backend) => Some(backend),
            _ => None,
        }
    }
}

impl Server {
    /// What one caller is offered that others are not.
    fn own(
        &self,
        personal: &Personal,
        served: &ServedServer,
        inventories: &BTreeMap<Name, Arc<Inventory>>,
    ) -> BTreeMap<Name, Share> {
        let rules = VirtualServer {
            aggregation: personal.rules.clone(),
            ..VirtualServer::new(self.name.clone(), self.group.clone())
        };
        let mut resolver = Resolver::new(rules, Owners::new(), &Guarded::new());
        let offered: Offered =
            inventories.iter().map(|(name, inventory)| (name.clone(), Some(inventory.clone()))).collect();
        resolver.update(&offered);
        let held = served.held_names.iter().map(|(kind, name)| (*kind, name.as_str()));
        let taken: HashSet<(Kind, &str)> = personal
            .shared
            .iter()
            .flat_map(|(_, share)| share_of(share))
            .flat_map(|share| share.items.iter().map(|item| (item.kind, item.exposed_name.as_str())))
            .chain(held)
            .collect();
        let mut own: BTreeMap<Name, Share> = BTreeMap::new();
        for share in resolver.shares() {
            let mut share = Share::clone(share);
            share.items.retain(|item| {
                let (kind, name) = (item.kind, item.exposed_name.as_str());
                // For another caller it would be another one's.
                let is_guarded = self.guards.as_ref().is_some_and(|guards| guards.names(kind, name));
                let is_anothers = is_guarded && personal.claimants(kind, name) > 1;
                !is_anothers && !taken.contains(&(kind, name))
            });
            own.insert(share.backend.clone(), share);
        }
        own
    }

    /// The same for one caller, whom these backends offer this; those that are not named offer nothing now. What everybody is offered
    /// goes before: a name that is taken is not given to what one caller sees.
    pub(crate) fn for_one(&self, inventories: &BTreeMap<Name, Arc<Inventory>>) -> Option<Self> {
        let personal = self.personal.as_ref()?;
        let served = personal.served()?;
        let own = self.own(personal, served, inventories);
        let mut all: Vec<(Arc<Backend>, &Share)> = Vec::with_capacity(personal.shared.len());
        for (backend, shared) in &personal.shared {
            let asked = personal.asked.iter().find(|asked| asked.backend.id == backend.id);
            let mine = own.get(&backend.id.name).zip(inventories.get(&backend.id.name));
            match (asked.and_then(PersonalBackend::described), mine) {
                (Some(described), Some((share, inventory))) => {
                    let described = Described { eras: inventory.eras.clone(), ..described.clone() };
                    let live = backend.live.clone();
                    all.push((Arc::new(Backend::new(&described, served, share.abilities, live)), share));
                }
                _ => all.extend(share_of(shared).map(|share| (backend.clone(), share))),
            }
        }
        let guards = self.guards.as_ref().map(Guards::anew);
        let index = Index::build(&all, guards.as_ref());
        let lists = Lists::build(&all, &index);
        let (sections, abilities) = summed(&all);
        let missing = personal.asked.iter().map(|asked| &asked.backend.id.name);
        let missing = missing.filter(|name| !inventories.contains_key(*name)).cloned();
        Some(Self {
            name: self.name.clone(),
            is_default: self.is_default,
            group: self.group.clone(),
            workloads: self.workloads.clone(),
            unknown: self.unknown.iter().cloned().chain(missing).collect(),
            incoming: self.incoming.clone(),
            trusted: self.trusted.clone(),
            guards,
            audit: self.audit.clone(),
            allowed_hosts: self.allowed_hosts.clone(),
            public_url: self.public_url.clone(),
            partial_failure: self.partial_failure,
            reports_every: self.reports_every,
            index,
            lists,
            backends: all.into_iter().map(|(backend, _)| backend).collect(),
            sections,
            abilities,
            has_references: self.has_references,
            mark: self.mark,
            personal: None,
            built_from: self.built_from.clone(),
        })
    }
}

pub(super) fn share_of(usable: &Arc<Usable>) -> Option<&Share> {
    match &usable.decoded {
        Decoded::Share(share) => Some(share),
        _ => None,
    }
}
