//! What an operator should know of a name that several claim: which item, by whom, and what to write.

use crate::diagnostic::{Diagnostic, Severity};
use crate::item::Kind;
use crate::limits;
use crate::name::Name;
use crate::resolve::Resolver;
use crate::resolve::draft::Standing;
use crate::resolve::names::{Claim, Decision, Key, State};
use crate::resolve::settle::{Suggested, settle};
use crate::resolve::tell::diagnostic;
use crate::sentence::{enumerate, shown};

/// How much a name matters that several claim, or that a policy guards; `None`: there is nothing to say.
pub(super) fn severity(resolver: &Resolver, key: &Key) -> Option<Severity> {
    let state = resolver.names.get(key)?;
    match &state.decision {
        Decision::Nobody => state.has_fallen_back.then_some(Severity::Warning),
        Decision::Contested | Decision::Guarded { .. } => Some(Severity::Error),
        Decision::Awaiting { .. } => Some(Severity::Warning),
        Decision::Won { backend, item } => {
            let is_lost = |claim: &&Claim| {
                (claim.backend != *backend || claim.item != *item) && is_claimed(resolver, key.kind, claim)
            };
            let mut losers = state.claims.iter().filter(is_lost);
            let first = losers.next()?;
            let mut all = std::iter::once(first).chain(losers);
            match key.kind {
                _ if all.any(|claim| claim.standing == Standing::Fallback) => Some(Severity::Error),
                Kind::Tool | Kind::Prompt => Some(Severity::Note),
                Kind::Resource | Kind::Template => Some(Severity::Warning),
            }
        }
    }
}

/// What there is to say about such a name.
pub(super) fn contest(resolver: &Resolver, key: &Key, suggested: &mut Suggested) -> Option<Diagnostic> {
    let severity = severity(resolver, key)?;
    let state = resolver.names.get(key)?;
    let claims: Vec<&Claim> =
        state.claims.iter().filter(|claim| is_claimed(resolver, key.kind, claim)).collect();
    let mut contest = Contest { resolver, key, severity, claims };
    let item = contest.item();
    Some(match &state.decision {
        Decision::Nobody => contest.fallen_back(),
        Decision::Won { backend, item } => contest.won(backend, *item, suggested),
        Decision::Contested => contest.contested(suggested),
        Decision::Guarded { owner } => {
            let is_owner = |claim: &&Claim| {
                claim.backend == owner.backend && *claim.original_name == *owner.original_name
            };
            contest.claims.retain(|claim| !is_owner(claim));
            let others = match contest.claims.as_slice() {
                [] => "it has come to be called otherwise".to_owned(),
                _ => format!("{} would get the name", contest.claimants()),
            };
            let message = format!(
                "{item} is withheld: a policy speaks of it, it belongs to `{}`, and {others}",
                owner.backend
            );
            let help = match key.kind {
                Kind::Tool => "give it away with a new override that names it, or take it out of the policy",
                Kind::Resource | Kind::Template | Kind::Prompt => "take it out of the policy to let it go",
            };
            contest.say(message, Some(help.to_owned()))
        }
        Decision::Awaiting { backend } => {
            let message = format!(
                "{item} is withheld: a policy speaks of it, and `{backend}`, which could have it before {}, has never answered",
                contest.claimants()
            );
            contest.say(message, None)
        }
    })
}

/// Whether a claim is made outright, or has come to be made by falling back.
fn is_claimed(resolver: &Resolver, kind: Kind, claim: &Claim) -> bool {
    claim.standing != Standing::Fallback || is_fallen(resolver, kind, claim)
}

struct Contest<'r> {
    resolver: &'r Resolver,
    key: &'r Key,
    severity: Severity,
    /// By backend, then as it lists them.
    claims: Vec<&'r Claim>,
}

impl Contest<'_> {
    fn fallen_back(&self) -> Diagnostic {
        let backends = self.backends();
        let backends = enumerate(backends.iter().map(|backend| format!("`{backend}`")));
        let message = format!(
            "{} is called by its prefix: {backends} offer it, and none of them is in `priority_order`",
            self.item()
        );
        let help = "put the one that shall have the name into it".to_owned();
        self.say(message, Some(help))
    }

    fn won(mut self, backend: &Name, item: usize, suggested: &mut Suggested) -> Diagnostic {
        self.claims.retain(|claim| claim.backend != *backend || claim.item != item);
        if self.severity == Severity::Error {
            // Those that lost by order are as they should be.
            self.claims = only_fallen(&self.claims);
            let (item, losers) = (self.item(), self.claimants());
            let message = format!("{item} of {losers} is withheld: `{backend}` has the name outright");
            return self.unsettled(message, suggested);
        }
        let (item, losers) = (self.item(), self.claimants());
        let message = match self.key.kind {
            Kind::Tool | Kind::Prompt => {
                format!("{item} is `{backend}`'s by `priority_order`; {losers} lost it")
            }
            Kind::Resource | Kind::Template => {
                format!("{item} is read from `{backend}`; {losers} offered it too")
            }
        };
        self.say(message, None)
    }

    /// With one claim less than there are, nothing is contested.
    fn contested(mut self, suggested: &mut Suggested) -> Diagnostic {
        let item = self.item();
        let fallen = only_fallen(&self.claims);
        if !fallen.is_empty() && fallen.len() < self.claims.len() {
            self.claims = fallen;
            let message = format!("{item} of {} is withheld: others call theirs so", self.claimants());
            return self.unsettled(message, suggested);
        }
        let message = format!("{item} is withheld: {} claim the name", self.claimants());
        self.unsettled(message, suggested)
    }

    /// The item in a sentence.
    fn item(&self) -> String {
        format!("{} `{}`", self.key.kind.noun(), shown(&self.key.name))
    }

    /// Who claims the name, each with its own name for the item where that is another.
    fn claimants(&self) -> String {
        enumerate(self.claims.iter().map(|claim| match &claim.original_name {
            own if *own == self.key.name => format!("`{}`", claim.backend),
            own => format!("`{}` with its `{}`", claim.backend, shown(own)),
        }))
    }

    fn unsettled(&self, message: String, suggested: &mut Suggested) -> Diagnostic {
        let help = match self.key.kind {
            Kind::Tool => settle(self.resolver, &moving(self.resolver, self.key), suggested),
            _ => Some("choose a `prefix_format` under which they do not meet".to_owned()),
        };
        self.say(message, help)
    }

    fn say(&self, message: String, help: Option<String>) -> Diagnostic {
        let mut backends = self.backends();
        backends.truncate(limits::NAMED_BACKENDS);
        Diagnostic { help, ..diagnostic(self.resolver, self.severity, backends, message) }
    }

    fn backends(&self) -> Vec<Name> {
        let mut backends: Vec<Name> = self.claims.iter().map(|claim| claim.backend.clone()).collect();
        backends.dedup();
        backends
    }
}

/// Those that have fallen back to the name, and come behind everybody who calls his own so.
fn only_fallen<'r>(claims: &[&'r Claim]) -> Vec<&'r Claim> {
    claims.iter().copied().filter(|claim| claim.standing == Standing::Fallback).collect()
}

/// Those of equal claimants that are to be called otherwise.
fn all_but_one<'r>(key: &Key, claims: &[&'r Claim]) -> Vec<&'r Claim> {
    let rank = |claim: &&Claim| match claim.standing {
        Standing::Ranked(rank) => rank,
        Standing::Unranked => usize::MAX,
        Standing::Plain | Standing::Fallback => 0,
    };
    // By an order, those that come later lose the name anyway.
    let first = claims.iter().map(rank).min().unwrap_or_default();
    let mut moving: Vec<&Claim> = claims.iter().copied().filter(|claim| rank(claim) == first).collect();
    // Who calls it so himself keeps the name.
    let stays = moving.iter().position(|claim| claim.original_name == key.name).unwrap_or_default();
    if !moving.is_empty() {
        moving.remove(stays);
    }
    moving
}

fn is_fallen(resolver: &Resolver, kind: Kind, claim: &Claim) -> bool {
    let Some(name) = claim.other.clone().filter(|_| claim.standing == Standing::Fallback) else {
        return false;
    };
    resolver.names.get(&Key { kind, name }).is_some_and(|state: &State| state.has_fallen_back)
}

/// Those that are to be called otherwise, so that nothing is contested any more.
pub(super) fn moving<'r>(resolver: &'r Resolver, key: &Key) -> Vec<&'r Claim> {
    let Some(state) = resolver.names.get(key) else { return Vec::new() };
    let claims: Vec<&Claim> =
        state.claims.iter().filter(|claim| is_claimed(resolver, key.kind, claim)).collect();
    let fallen = only_fallen(&claims);
    match (severity(resolver, key), &state.decision) {
        (Some(Severity::Error), Decision::Won { .. }) => fallen,
        (Some(Severity::Error), Decision::Contested) if !fallen.is_empty() && fallen.len() < claims.len() => {
            fallen
        }
        (Some(Severity::Error), Decision::Contested) => all_but_one(key, &claims),
        _ => Vec::new(),
    }
}
