//! What became of one item, from the drafts and the decisions.

use std::sync::Arc;

use crate::item::{Item, Kind};
use crate::name::Name;
use crate::report::{Entry, Naming, Outcome, Withheld};
use crate::resolve::Resolver;
use crate::resolve::draft::{self, Draft};
use crate::resolve::names::{Decision, Key};

/// The name of an item, if it has one, and whether clients see it.
pub(super) fn outcome<'d>(
    resolver: &Resolver,
    backend: &Name,
    kind: Kind,
    index: usize,
    draft: &'d Draft,
) -> (Option<&'d str>, Outcome) {
    if draft.is_repeated {
        return (None, Outcome::Withheld(Withheld::ListedTwice));
    }
    let name = claimed(resolver, kind, draft);
    let decision = resolver.names.get(&Key { kind, name: name.clone() }).map(|state| &state.decision);
    let withheld = match decision {
        Some(Decision::Won { backend: winner, item }) if winner == backend && *item == index => {
            let outcome = draft.hidden.clone().map_or(Outcome::Exposed, Outcome::Hidden);
            return (Some(name), outcome);
        }
        Some(Decision::Won { backend: winner, .. }) => Withheld::Lost { to: winner.clone() },
        Some(Decision::Guarded { owner }) => Withheld::Guarded { owner: owner.clone() },
        Some(Decision::Awaiting { backend }) => Withheld::Awaiting { backend: backend.clone() },
        Some(Decision::Contested | Decision::Nobody) | None => Withheld::Contested,
    };
    (None, Outcome::Withheld(withheld))
}

/// The whole account of one item.
pub(super) fn entry(resolver: &Resolver, backend: &Name, item: &Item, index: usize, draft: &Draft) -> Entry {
    let (name, outcome) = outcome(resolver, backend, item.kind, index, draft);
    let changes = draft::changes(&resolver.server.aggregation, backend, item);
    let mut naming: Vec<Naming> =
        changes.iter().map(|changes| Naming::Override(changes.line.clone())).collect();
    naming.extend(draft.is_prefixed.then_some(Naming::Prefix));
    let is_fallen = has_fallen_back(resolver, item.kind, draft);
    naming.extend(is_fallen.then_some(Naming::Fallback));
    let is_shortened = match (&draft.fallback, is_fallen) {
        (Some(fallback), true) => {
            let called = draft::called(item, changes);
            **fallback != *resolver.server.aggregation.prefix_format.apply(backend, called)
        }
        _ => draft.claimed != draft.wanted,
    };
    naming.extend(is_shortened.then_some(Naming::Shortened));
    Entry {
        backend: backend.clone(),
        kind: item.kind,
        original_name: item.original_name.clone(),
        wanted_name: draft.wanted.to_string(),
        claimed_name: claimed(resolver, item.kind, draft).to_string(),
        exposed_name: name.map(ToOwned::to_owned),
        naming,
        outcome,
    }
}

/// The name that it claims as things are.
fn claimed<'d>(resolver: &Resolver, kind: Kind, draft: &'d Draft) -> &'d Arc<str> {
    match &draft.fallback {
        Some(fallback) if has_fallen_back(resolver, kind, draft) => fallback,
        _ => &draft.claimed,
    }
}

fn has_fallen_back(resolver: &Resolver, kind: Kind, draft: &Draft) -> bool {
    let key = Key { kind, name: draft.claimed.clone() };
    draft.fallback.is_some() && resolver.names.get(&key).is_some_and(|state| state.has_fallen_back)
}
