//! Who claims which name, and whose it is.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::item::Kind;
use crate::name::Name;
use crate::owners::Owner;
use crate::resolve::draft::Standing;

/// A name among those of its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) name: Arc<str>,
}

/// Somebody who would have a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) backend: Name,
    /// Its place in the inventory.
    pub(super) item: usize,
    pub(super) original_name: Arc<str>,
    pub(super) standing: Standing,
    /// What it claims outright, if this is its fallback; and the other way round.
    pub(super) other: Option<Arc<str>>,
}

/// Whose a name is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Decision {
    /// Nobody claims it.
    #[default]
    Nobody,
    /// One item's.
    Won { backend: Name, item: usize },
    /// Nothing decides between its claimants.
    Contested,
    /// A policy speaks of it, and it would pass to another.
    Guarded { owner: Owner },
    /// A policy speaks of it, and a backend that comes first has never answered.
    Awaiting { backend: Name },
}

/// What is known of a name.
#[derive(Debug, Default)]
pub(super) struct State {
    /// By backend, then as it lists its items.
    pub(super) claims: SmallVec<[Claim; 1]>,
    /// Several claim it outright and none comes first: each has its fallback instead.
    pub(super) has_fallen_back: bool,
    pub(super) decision: Decision,
    pub(super) owner: Option<Owner>,
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Names {
    states: HashMap<Key, State>,
    guarded: HashSet<Key>,
    /// Those whose claimants have not all got what they wanted.
    pub(super) troubled: BTreeSet<Key>,
}

impl Names {
    pub(super) fn new(owners: impl IntoIterator<Item = (Key, Owner)>, guarded: HashSet<Key>) -> Self {
        let owned =
            owners.into_iter().map(|(key, owner)| (key, State { owner: Some(owner), ..State::default() }));
        Self { states: owned.collect(), guarded, troubled: BTreeSet::new() }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&State> {
        self.states.get(key)
    }

    pub(super) fn add(&mut self, key: Key, claim: Claim) {
        let claims = &mut self.states.entry(key).or_default().claims;
        let place = (&claim.backend, claim.item);
        let at = claims.partition_point(|known| (&known.backend, known.item) <= place);
        claims.insert(at, claim);
    }

    pub(super) fn remove(&mut self, key: &Key, backend: &Name) {
        if let Some(state) = self.states.get_mut(key) {
            state.claims.retain(|claim| claim.backend != *backend);
        }
    }

    /// Those that wait for a backend.
    pub(super) fn awaiting(&self) -> Vec<Key> {
        let is_awaiting = |key: &&Key| {
            self.get(key).is_some_and(|state| matches!(state.decision, Decision::Awaiting { .. }))
        };
        self.troubled.iter().filter(is_awaiting).cloned().collect()
    }

    /// Whose each exposed name is.
    pub(super) fn owners(&self) -> impl Iterator<Item = (&Key, &Owner)> {
        self.states.iter().filter_map(|(key, state)| Some((key, state.owner.as_ref()?)))
    }

    /// Decides whose the touched names are, and returns the backends for which something has changed by it.
    ///
    /// `unanswered` says which backend that would come before a claimant has never answered.
    pub(super) fn decide(
        &mut self,
        mut touched: HashSet<Key>,
        unanswered: impl Fn(&Key, &Claim) -> Option<Name>,
    ) -> BTreeSet<Name> {
        let mut affected = BTreeSet::new();
        // Whether claimants fall back depends on those who claim outright, and nothing else.
        let mut fallbacks = Vec::new();
        for key in &touched {
            let Some(state) = self.states.get_mut(key) else { continue };
            // A fall back would take an item out of the reach of a policy that speaks of its name.
            let falls_back =
                natural(outright(&state.claims)) == Natural::FallsBack && !self.guarded.contains(key);
            if falls_back != state.has_fallen_back {
                state.has_fallen_back = falls_back;
                for claim in outright(&state.claims) {
                    affected.insert(claim.backend.clone());
                    let name = claim.other.clone();
                    fallbacks.extend(name.map(|name| Key { kind: key.kind, name }));
                }
            }
        }
        touched.extend(fallbacks);
        for key in touched {
            self.decide_one(key, &unanswered, &mut affected);
        }
        affected
    }

    fn decide_one(
        &mut self,
        key: Key,
        unanswered: &impl Fn(&Key, &Claim) -> Option<Name>,
        affected: &mut BTreeSet<Name>,
    ) {
        let is_guarded = self.guarded.contains(&key);
        let Some(state) = self.states.get(&key) else { return };
        let fallen = |claim: &&Claim| {
            claim.standing == Standing::Fallback && self.has_fallen_back(key.kind, claim.other.as_ref())
        };
        let mut fallen = state.claims.iter().filter(fallen);
        let natural = match natural(outright(&state.claims)) {
            Natural::Nobody => natural(fallen),
            // What somebody calls his own is no fallback, though nobody may have it.
            Natural::FallsBack if is_guarded || fallen.next().is_some() => Natural::Contested,
            decided => decided,
        };
        let (decided, owner) =
            guard(natural, state.owner.clone(), is_guarded, |claim| unanswered(&key, claim));
        let decision = self.leaving(&key, decided.clone());
        let owner = if decision == decided { owner } else { state.owner.clone() };
        let is_troubled = state.has_fallen_back
            || state.claims.len() > 1
            || matches!(decision, Decision::Guarded { .. } | Decision::Awaiting { .. });
        if decision != state.decision {
            match (&state.decision, &decision) {
                (Decision::Won { backend: before, .. }, Decision::Won { backend: now, .. }) => {
                    affected.extend([before.clone(), now.clone()]);
                }
                _ => affected.extend(state.claims.iter().map(|claim| claim.backend.clone())),
            }
        }
        if is_troubled {
            self.troubled.insert(key.clone());
        } else {
            self.troubled.remove(&key);
        }
        match self.states.entry(key) {
            // Whose a guarded name was is remembered, though nobody is left who offers it.
            Entry::Occupied(state) if state.get().claims.is_empty() && !is_guarded => drop(state.remove()),
            Entry::Occupied(mut state) => {
                (state.get_mut().decision, state.get_mut().owner) = (decision, owner)
            }
            Entry::Vacant(_) => {}
        }
    }

    /// An item that has a guarded name by falling back does not come out of it by itself, even to the name that is its own.
    fn leaving(&self, key: &Key, decision: Decision) -> Decision {
        let Decision::Won { backend, item } = &decision else { return decision };
        let claims = self.get(key).map(|state| state.claims.as_slice()).unwrap_or_default();
        let claim = claims.iter().find(|claim| claim.backend == *backend && claim.item == *item);
        let Some(claim) = claim.filter(|claim| claim.standing != Standing::Fallback) else { return decision };
        let Some(name) = claim.other.clone() else { return decision };
        let fallback = Key { kind: key.kind, name };
        let owner = self.get(&fallback).and_then(|state| state.owner.as_ref());
        let is_left =
            |owner: &&Owner| owner.backend == claim.backend && *owner.original_name == *claim.original_name;
        match owner.filter(is_left) {
            Some(owner) if self.guarded.contains(&fallback) => Decision::Guarded { owner: owner.clone() },
            _ => decision,
        }
    }

    fn has_fallen_back(&self, kind: Kind, name: Option<&Arc<str>>) -> bool {
        name.is_some_and(|name| {
            self.get(&Key { kind, name: name.clone() }).is_some_and(|state| state.has_fallen_back)
        })
    }
}

fn outright(claims: &[Claim]) -> impl Iterator<Item = &Claim> + Clone {
    claims.iter().filter(|claim| claim.standing != Standing::Fallback)
}

/// Whose a name is by its claims alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Natural<'a> {
    Nobody,
    Won(&'a Claim),
    FallsBack,
    Contested,
}

fn natural<'a>(claims: impl Iterator<Item = &'a Claim> + Clone) -> Natural<'a> {
    let mut first = claims.clone();
    let Some(any) = first.next() else { return Natural::Nobody };
    if first.next().is_none() {
        return Natural::Won(any);
    }
    let standings = || claims.clone().map(|claim| claim.standing);
    let is_of_one = claims.clone().all(|claim| claim.backend == any.backend);
    if is_of_one || standings().any(|standing| matches!(standing, Standing::Plain | Standing::Fallback)) {
        return Natural::Contested;
    }
    let ranked = claims.filter_map(|claim| match claim.standing {
        Standing::Ranked(rank) => Some((rank, &claim.backend, claim)),
        Standing::Plain | Standing::Unranked | Standing::Fallback => None,
    });
    let Some((_, backend, claim)) = ranked.clone().min_by_key(|(rank, backend, _)| (*rank, *backend)) else {
        return Natural::FallsBack;
    };
    // The backend that comes first may claim the name for two of its items.
    let is_sole = ranked.filter(|(_, other, _)| *other == backend).count() == 1;
    if is_sole { Natural::Won(claim) } else { Natural::Contested }
}

/// What a policy speaks of passes to nobody by itself.
fn guard(
    natural: Natural<'_>,
    owner: Option<Owner>,
    is_guarded: bool,
    unanswered: impl Fn(&Claim) -> Option<Name>,
) -> (Decision, Option<Owner>) {
    let claim = match natural {
        Natural::Won(claim) => claim,
        Natural::Nobody | Natural::FallsBack => return (Decision::Nobody, owner),
        Natural::Contested => return (Decision::Contested, owner),
    };
    let now = Owner { backend: claim.backend.clone(), original_name: claim.original_name.to_string() };
    if is_guarded {
        match owner {
            Some(owner) if owner != now => return (Decision::Guarded { owner: owner.clone() }, Some(owner)),
            Some(_) => {}
            None => {
                if let Some(backend) = unanswered(claim) {
                    return (Decision::Awaiting { backend }, None);
                }
            }
        }
    }
    (Decision::Won { backend: claim.backend.clone(), item: claim.item }, Some(now))
}
