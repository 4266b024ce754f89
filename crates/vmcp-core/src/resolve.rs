//! Conflict resolution: which backend's item is exposed under which name. What comes out is a function of the rules, the
//! inventories, the owners of names and the names that policies guard; what is kept between two updates only saves work.

mod account;
mod contest;
mod draft;
mod names;
mod settle;
mod tell;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use crate::aggregation::ConflictResolution;
use crate::catalog::{Exposed, Share};
use crate::desired::VirtualServer;
use crate::diagnostic::{Diagnostic, Severity};
use crate::inventory::Inventory;
use crate::item::Kind;
use crate::limits;
use crate::name::Name;
use crate::owners::{Guarded, Owners};
use crate::report::{Entry, Outcome};
use draft::{Draft, Standing, claimed_as, drafts};
use names::{Claim, Key, Names};
use settle::Suggested;

/// The workloads of a group, by name, with what each offers; `None` for one that has never answered.
pub type Offered = BTreeMap<Name, Option<Arc<Inventory>>>;

/// Makes the catalog of one virtual server, and makes it anew where something has changed.
///
/// What is called how:
///
/// * A tool's name is what an override says, else its own. `prefix` puts the prefix before it; `priority` and `manual` leave
///   it.
/// * A name that several claim is the first one's in `priority_order`; if none of them is in it, each gets its prefix. Without
///   an order it is withheld from all of them, and so is a name that one backend would give to two of its tools.
/// * Prompts get the prefix, except those of workloads in `priority_order`. Resources and templates keep their URIs; of
///   several the first backend by name is asked.
/// * What is hidden keeps its name: hiding gives nothing to others.
/// * A name that a policy guards never passes to another owner by itself; see [`Resolver::successor`].
#[derive(Debug)]
pub struct Resolver {
    server: VirtualServer,
    names: Names,
    backends: BTreeMap<Name, Held>,
    unanswered: BTreeSet<Name>,
    /// Names that have come with an owner and have not been looked at yet.
    fresh: HashSet<Key>,
}

/// One backend that has answered.
#[derive(Debug)]
struct Held {
    inventory: Arc<Inventory>,
    drafts: Vec<Draft>,
    share: Arc<Share>,
    /// What there is to say about this backend alone.
    told: Vec<Diagnostic>,
}

impl Resolver {
    /// Offers nothing yet.
    pub fn new(server: VirtualServer, owners: Owners, guarded: &Guarded) -> Self {
        let key = |kind, name: &str| Key { kind, name: name.into() };
        let owners: Vec<_> =
            owners.into_iter().map(|((kind, name), owner)| (key(kind, &name), owner)).collect();
        let fresh = owners.iter().map(|(key, _)| key.clone()).collect();
        let names = Names::new(owners, guarded.iter().map(|(kind, name)| key(*kind, name)).collect());
        Self { server, names, backends: BTreeMap::new(), unanswered: BTreeSet::new(), fresh }
    }

    /// The resolver of changed rules, or of other names that are guarded: names keep their owners, except those that an override
    /// gives away which was not there before. That is how an operator moves a guarded name.
    pub fn successor(&self, server: VirtualServer, guarded: &Guarded) -> Self {
        let mut owners = if server.group == self.server.group { self.owners() } else { Owners::new() };
        for (backend, rules) in &server.aggregation.tools {
            let before = self.server.aggregation.tools.get(backend);
            for (own, changes) in &rules.overrides {
                let name_before = before
                    .and_then(|rules| rules.overrides.get(own))
                    .and_then(|changes| changes.name.as_ref());
                let Some(name) = changes.name.as_ref().filter(|name| Some(*name) != name_before) else {
                    continue;
                };
                let exposed = claimed_as(&server.aggregation, backend, name.as_str());
                owners.remove(&(Kind::Tool, exposed.to_string()));
            }
        }
        Self::new(server, owners, guarded)
    }

    /// Whose catalog it is.
    pub fn server(&self) -> &VirtualServer {
        &self.server
    }

    /// Takes what the workloads offer now. Takes time in proportion to what has changed: an inventory that is the same value
    /// as before is not read again.
    pub fn update(&mut self, offered: &Offered) {
        let mut touched = std::mem::take(&mut self.fresh);
        let is_same = |held: &Held, now: Option<&Option<Arc<Inventory>>>| {
            now.and_then(Option::as_ref).is_some_and(|now| Arc::ptr_eq(now, &held.inventory))
        };
        let gone: Vec<Name> = self
            .backends
            .iter()
            .filter(|(name, held)| !is_same(held, offered.get(*name)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &gone {
            self.leave(name, &mut touched);
        }
        let mut affected = BTreeSet::new();
        for (name, inventory) in offered {
            if let Some(inventory) = inventory
                && !self.backends.contains_key(name)
            {
                self.join(name, inventory, &mut touched);
                affected.insert(name.clone());
            }
        }
        let unanswered: BTreeSet<Name> = offered
            .iter()
            .filter(|(_, inventory)| inventory.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        if unanswered != self.unanswered {
            self.unanswered = unanswered;
            touched.extend(self.names.awaiting());
        }
        let first = first_unanswered(&self.server, &self.unanswered);
        affected.extend(self.names.decide(touched, first));
        for name in affected {
            self.share(&name);
        }
    }

    /// The catalog, ordered by backend name. A share that is the same value as before has not changed.
    pub fn shares(&self) -> impl Iterator<Item = &Arc<Share>> {
        self.backends.values().map(|held| &held.share)
    }

    /// Whose each name is now; what the next resolver is to be given.
    pub fn owners(&self) -> Owners {
        let owners = self.names.owners();
        owners.map(|(key, owner)| ((key.kind, key.name.to_string()), owner.clone())).collect()
    }

    /// What there is to know, what matters most first, up to a bound; [`Resolver::report`] has the rest.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let rules = tell::rules(self);
        let told = self.backends.values().flat_map(|held| &held.told).chain(&rules);
        let told = told.map(|diagnostic| (diagnostic.severity, Subject::Told(diagnostic)));
        let contests = self.names.troubled.iter();
        let contests =
            contests.filter_map(|key| Some((contest::severity(self, key)?, Subject::Contest(key))));
        let mut subjects: Vec<(Severity, Subject<'_>)> = told.chain(contests).collect();
        subjects.sort_by_key(|(severity, _)| *severity);
        let more = subjects.len().saturating_sub(limits::DIAGNOSTICS);
        subjects.truncate(limits::DIAGNOSTICS);
        let mut suggested = Suggested::new();
        let mut all: Vec<Diagnostic> = subjects
            .into_iter()
            .filter_map(|(_, subject)| match subject {
                Subject::Told(diagnostic) => Some(diagnostic.clone()),
                Subject::Contest(key) => contest::contest(self, key, &mut suggested),
            })
            .collect();
        all.sort();
        all.extend((more > 0).then(|| tell::more(self, more)));
        all
    }

    /// What became of every item, by backend, then as the backend listed them.
    pub fn report(&self) -> impl Iterator<Item = Entry> {
        self.backends.iter().flat_map(|(backend, held)| {
            let items = held.inventory.items.iter().zip(&held.drafts).enumerate();
            items.map(|(index, (item, draft))| account::entry(self, backend, item, index, draft))
        })
    }

    fn leave(&mut self, backend: &Name, touched: &mut HashSet<Key>) {
        let Some(held) = self.backends.remove(backend) else { return };
        for (item, draft) in held.inventory.items.iter().zip(&held.drafts) {
            for key in draft.keys(item.kind) {
                self.names.remove(&key, backend);
                touched.insert(key);
            }
        }
    }

    fn join(&mut self, backend: &Name, inventory: &Arc<Inventory>, touched: &mut HashSet<Key>) {
        let drafts = drafts(&self.server.aggregation, backend, inventory);
        for (index, (item, draft)) in inventory.items.iter().zip(&drafts).enumerate() {
            if draft.is_repeated {
                continue;
            }
            let claim = Claim {
                backend: backend.clone(),
                item: index,
                original_name: item.original_name.as_str().into(),
                standing: draft.standing,
                other: draft.fallback.clone(),
            };
            if let Some(name) = &draft.fallback {
                let other = Some(draft.claimed.clone());
                let fallback = Claim { standing: Standing::Fallback, other, ..claim.clone() };
                self.names.add(Key { kind: item.kind, name: name.clone() }, fallback);
            }
            self.names.add(Key { kind: item.kind, name: draft.claimed.clone() }, claim);
            touched.extend(draft.keys(item.kind));
        }
        let share = Arc::new(Share::empty(backend.clone()));
        let held = Held { inventory: inventory.clone(), drafts, share, told: Vec::new() };
        self.backends.insert(backend.clone(), held);
    }

    /// Makes the share of a backend anew.
    fn share(&mut self, backend: &Name) {
        let Some(held) = self.backends.get(backend) else { return };
        let mut items = Vec::with_capacity(held.drafts.len());
        for (index, (item, draft)) in held.inventory.items.iter().zip(&held.drafts).enumerate() {
            let (name, outcome) = account::outcome(self, backend, item.kind, index, draft);
            let Some(name) = name else { continue };
            let changes = draft::changes(&self.server.aggregation, backend, item);
            items.push(Exposed {
                kind: item.kind,
                exposed_name: name.to_string(),
                original_name: item.original_name.clone(),
                definition: item.defined_as(name, changes),
                is_hidden: outcome != Outcome::Exposed,
            });
        }
        let Inventory { abilities, instructions, .. } = held.inventory.as_ref();
        let share = Share {
            backend: backend.clone(),
            items,
            abilities: *abilities,
            instructions: instructions.clone(),
        };
        let told = tell::backend(self, backend, held, &share);
        if let Some(held) = self.backends.get_mut(backend) {
            (held.share, held.told) = (Arc::new(share), told);
        }
    }
}

/// Something to know that has not been put into words yet, which takes longer than to find it.
enum Subject<'r> {
    Told(&'r Diagnostic),
    Contest(&'r Key),
}

impl Draft {
    /// The names that it may come to have.
    fn keys(&self, kind: Kind) -> impl Iterator<Item = Key> {
        std::iter::once(&self.claimed).chain(&self.fallback).map(move |name| Key { kind, name: name.clone() })
    }
}

/// Which backend has never answered that would come before a claimant, or claim the name as well as it.
fn first_unanswered<'a>(
    server: &'a VirtualServer,
    unanswered: &'a BTreeSet<Name>,
) -> impl Fn(&Key, &Claim) -> Option<Name> + 'a {
    let aggregation = &server.aggregation;
    let order = match &aggregation.conflict_resolution {
        ConflictResolution::Priority(order) => order.as_slice(),
        ConflictResolution::Prefix | ConflictResolution::Manual => &[],
    };
    let has_prefix = move |key: &Key, name: &Name| {
        // A name that has been shortened may have had any beginning but this.
        key.name.starts_with(&aggregation.prefix_format.apply(name, ""))
            || aggregation.max_name_length.is_some()
    };
    move |key, claim| {
        let could_claim = |name: &&Name| match (key.kind, claim.standing) {
            (Kind::Resource | Kind::Template, _) => **name < claim.backend,
            (_, Standing::Ranked(rank)) => order[..rank].contains(*name),
            (Kind::Tool, _) if aggregation.conflict_resolution != ConflictResolution::Prefix => true,
            _ => order.contains(*name) || has_prefix(key, name),
        };
        unanswered.iter().find(could_claim).cloned()
    }
}

#[cfg(test)]
mod tests;
