//! What an operator should know of a name that several claim: which item, by whom, and what to write.

use crate::diagnostic::{Diagnostic, Severity};
use crate::item::Kind;
use crate::name::Name;
use crate::resolve::Resolver;
use crate::resolve::draft::Standing;
use crate::resolve::names::{Claim, Decision, Key, State};
use crate::resolve::settle::settle;
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
pub(super) fn contest(resolver: &Resolver, key: &Key) -> Option<Diagnostic> {
    let severity = severity(resolver, key)?;
    let state = resolver.names.get(key)?;
    let claims: Vec<&Claim> =
        state.claims.iter().filter(|claim| is_claimed(resolver, key.kind, claim)).collect();
    let contest = Contest { resolver, key, severity, claims };
    let claimants = || contest.claimants();
    let item = contest.item();
    Some(match &state.decision {
        Decision::Nobody => contest.fallen_back(),
        Decision::Won { backend, item } => contest.won(backend, *item),
        Decision::Contested => {
            contest.unsettled(format!("{item} is withheld: {} claim the name", claimants()), false)
        }
        Decision::Guarded { owner } => {
            let message = format!(
                "{item} is withheld: a policy speaks of it, it belongs to `{}`, and {} would get it",
                owner.backend,
                claimants()
            );
            let help = "give it away with an override that names it, or take it out of the policy";
            contest.say(message, Some(help.to_owned()))
        }
        Decision::Awaiting { backend } => {
            let message = format!(
                "{item} is withheld: a policy speaks of it, and `{backend}`, which comes before {}, has never answered",
                claimants()
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
        let backends = enumerate(self.claims.iter().map(|claim| format!("`{}`", claim.backend)));
        let message = format!(
            "{} is called by its prefix: {backends} offer it, and none of them is in `priority_order`",
            self.item()
        );
        let help = "put the one that shall have the name into it".to_owned();
        self.say(message, Some(help))
    }

    fn won(mut self, backend: &Name, item: usize) -> Diagnostic {
        self.claims.retain(|claim| claim.backend != *backend || claim.item != item);
        let (item, losers) = (self.item(), self.claimants());
        if self.severity == Severity::Error {
            let message = format!("{item} of {losers} is withheld: `{backend}` has the name outright");
            return self.unsettled(message, true);
        }
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

    /// When all but one are called otherwise, there is no conflict; when somebody has the name outright, all are to be.
    fn unsettled(&self, message: String, all: bool) -> Diagnostic {
        if self.key.kind != Kind::Tool {
            let help = "choose a `prefix_format` under which they do not meet".to_owned();
            return self.say(message, Some(help));
        }
        let mut moving = self.claims.clone();
        moving.dedup_by_key(|claim| &claim.backend);
        if moving.len() == 1 {
            // Two tools of one backend: the last one moves.
            moving = self.claims.last().copied().into_iter().collect();
        } else if !all {
            moving.remove(0);
        }
        self.say(message, settle(self.resolver, &moving))
    }

    fn say(&self, message: String, help: Option<String>) -> Diagnostic {
        let mut backends: Vec<Name> = self.claims.iter().map(|claim| claim.backend.clone()).collect();
        backends.dedup();
        Diagnostic { help, ..diagnostic(self.resolver, self.severity, backends, message) }
    }
}

fn is_fallen(resolver: &Resolver, kind: Kind, claim: &Claim) -> bool {
    let Some(name) = claim.other.clone().filter(|_| claim.standing == Standing::Fallback) else {
        return false;
    };
    resolver.names.get(&Key { kind, name }).is_some_and(|state: &State| state.has_fallen_back)
}
