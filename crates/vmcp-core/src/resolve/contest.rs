//! What an operator should know of a name that several claim: which item, by whom, and what to write.

use vmcp_json::quote;

use crate::aggregation::ConflictResolution;
use crate::diagnostic::{Diagnostic, Severity};
use crate::item::Kind;
use crate::limits;
use crate::name::Name;
use crate::resolve::Resolver;
use crate::resolve::draft::Standing;
use crate::resolve::names::{Claim, Decision, Key, State};
use crate::resolve::tell::diagnostic;
use crate::sentence::{enumerate, shown};
use crate::tool_name::{ToolName, unusual_character};

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
            contest.unsettled(format!("{item} is withheld: {} claim the name", claimants()))
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
            return self.unsettled(message);
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

    fn unsettled(&self, message: String) -> Diagnostic {
        let help = self.claims.last().and_then(|claim| settle(self.resolver, self.key, claim));
        self.say(message, help)
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

/// What to write so that a claimant has a name of its own.
fn settle(resolver: &Resolver, key: &Key, claim: &Claim) -> Option<String> {
    if key.kind != Kind::Tool {
        return Some("choose a `prefix_format` under which they do not meet".to_owned());
    }
    let usual =
        |text: &str| text.replace(|c: char| unusual_character(c.encode_utf8(&mut [0; 4])).is_some(), "_");
    let aggregation = &resolver.server.aggregation;
    let base = format!("{}_{}", claim.backend, usual(&claim.original_name));
    let base: String = base.chars().take(limits::NAME_CHARACTERS).collect();
    let candidates = std::iter::once(base.clone()).chain((2..10).map(|number| format!("{base}_{number}")));
    let new = candidates.into_iter().find(|new| !is_taken(resolver, &claim.backend, new))?;
    let own = match claim.original_name.parse::<ToolName>() {
        Ok(plain) => plain.to_string(),
        Err(_) => quote(&claim.original_name),
    };
    let (backend, place) = (&claim.backend, aggregation.tools.get(&claim.backend));
    Some(match place {
        Some(rules) => {
            format!("add to the `overrides` of `{backend}` ({}): `{own}: {{name: {new}}}`", rules.line)
        }
        None => format!(
            "add to `aggregation.tools`: `- {{workload: {backend}, overrides: {{{own}: {{name: {new}}}}}}}`"
        ),
    })
}

/// Whether somebody claims the name that an override would make of this one.
fn is_taken(resolver: &Resolver, backend: &Name, new: &str) -> bool {
    let aggregation = &resolver.server.aggregation;
    let name = match aggregation.conflict_resolution {
        ConflictResolution::Prefix => aggregation.prefix_format.apply(backend, new),
        ConflictResolution::Priority(_) | ConflictResolution::Manual => new.to_owned(),
    };
    let key = Key { kind: Kind::Tool, name: name.into() };
    resolver.names.get(&key).is_some_and(|state| !state.claims.is_empty())
}
