//! The one function that decides, for both eras and whatever is asked.

use std::sync::Arc;

use vmcp_authz::{Decision, Guarded};
use vmcp_core::limits;
use vmcp_json::{Limits, Value};

use crate::asked::{Action, Asked, Client};
use crate::principal::{Identity, Principal, Scope};
use crate::refusal::Refusal;
use crate::relay::Standing;
use crate::session::Sessions;
use crate::snapshot::{Guard, Guards, Server};

/// The permission to do it; routing takes nothing else. Made here only.
#[derive(Debug)]
pub(super) struct Authorized<'a> {
    principal: Principal,
    action: Action<'a>,
    decision: Option<Arc<Decision>>,
}

/// Whether a principal may do it. What may not be done and what is not there have one answer.
pub(super) fn authorize<'a>(
    (server, sessions): (&Server, &Sessions),
    identity: &Identity,
    action: Action<'a>,
    asked: &Asked<'_>,
) -> Result<Authorized<'a>, Refusal> {
    let principal = identity.principal;
    let Some(guards) = &server.guards else { return Ok(Authorized { principal, action, decision: None }) };
    let guard = guard(server, guards, (sessions, principal), &action);
    let is_modern = asked.client == Client::Modern;
    let arguments = || asked.arguments_value();
    let decision = decide(guards, guard.as_deref(), identity, &action, (arguments, is_modern))?;
    Ok(Authorized { principal, action, decision: Some(decision) })
}

/// What guards the item that it is done with. `None`: it is not there.
fn guard(
    server: &Server,
    guards: &Guards,
    (sessions, principal): (&Sessions, Principal),
    action: &Action<'_>,
) -> Option<Guard> {
    let index = &server.index;
    match action {
        Action::CallTool(name) => index.tool(name)?.guard.clone(),
        Action::GetPrompt(name) | Action::CompletePrompt(name) => index.prompt(name)?.guard.clone(),
        Action::CompleteTemplate(uri) => index.template(uri)?.guard.clone(),
        Action::ReadResource(uri) | Action::WatchResource(uri) => guards.of_uri(index, uri),
        Action::UseTask(id) => {
            let task = sessions.open_task(Scope { server: &server.name, principal }, id)?;
            index.tool(&task.tool)?.guard.clone()
        }
    }
}

/// What permits it.
fn decide<'v>(
    guards: &Guards,
    guard: Option<&Guarded>,
    identity: &Identity,
    action: &Action<'_>,
    (arguments, is_modern): (impl FnOnce() -> Option<Value<'v>>, bool),
) -> Result<Arc<Decision>, Refusal> {
    let are_read = guard.is_some_and(Guarded::reads_arguments);
    let read = match action {
        Action::CallTool(_) | Action::GetPrompt(_) if are_read => guards.arguments(arguments()),
        _ => Ok(Vec::new()),
    };
    let arguments = match read {
        Ok(arguments) => arguments,
        Err(malformed) if guards.allows(identity, guard) => return Err(malformed),
        // Who may not use it hears what everybody hears of what is not there.
        Err(_) => {
            return Err(refused(action, false, is_modern).denied(guards.decision(identity, guard, &[])));
        }
    };
    let decided = guards.decision(identity, guard, &arguments);
    match decided {
        Some(decision) if decision.is_allowed => Ok(decision),
        decided => {
            // What is denied for its arguments alone the caller sees.
            let is_seen = !arguments.is_empty() && guards.allows(identity, guard);
            Err(refused(action, is_seen, is_modern).denied(decided))
        }
    }
}

fn refused(action: &Action<'_>, is_seen: bool, is_modern: bool) -> Refusal {
    match action {
        Action::CallTool(name) if is_seen => Refusal::denied_arguments("tool", name),
        Action::GetPrompt(name) if is_seen => Refusal::denied_arguments("prompt", name),
        Action::CallTool(name) => Refusal::unknown("tool", name),
        Action::GetPrompt(name) | Action::CompletePrompt(name) => Refusal::unknown("prompt", name),
        Action::CompleteTemplate(uri) | Action::ReadResource(uri) | Action::WatchResource(uri) => {
            Refusal::unknown_resource(uri, is_modern)
        }
        Action::UseTask(_) => Refusal::unknown_task(),
    }
}

impl<'a> Authorized<'a> {
    /// What may be done.
    pub(super) fn action(&self) -> &Action<'a> {
        &self.action
    }

    /// By which policies, if there are any.
    pub(super) fn decision(&self) -> Option<&Arc<Decision>> {
        self.decision.as_ref()
    }

    /// Who may.
    pub(super) fn principal(&self) -> Principal {
        self.principal
    }
}

/// What was permitted and goes on for a while is decided again when policies change, also where nobody offers it any more, or only the
/// caller was offered it. `None`: nothing is guarded.
pub(super) fn standing(
    (server, sessions): (&Server, &Sessions),
    identity: &Identity,
    asked: &Asked<'_>,
) -> Option<Standing> {
    let guards = server.guards.as_ref()?;
    let action = asked.action().ok()??.into_owned();
    let before = guard(server, guards, (sessions, identity.principal), &action)?;
    let arguments = asked.arguments_value().filter(|_| guards.read_arguments());
    let arguments: Option<Box<str>> = arguments.map(|arguments| arguments.raw().into());
    let (name, identity, is_modern) = (server.name.clone(), identity.clone(), asked.client == Client::Modern);
    Some(Standing::new(move |plane| {
        let snapshot = plane.snapshot.load();
        let server = snapshot.server(name.as_str())?;
        if !server.may_come_in(&identity) {
            return Some(refused(&action, false, is_modern));
        }
        let guards = server.guards.as_ref()?;
        let now = guard(server, guards, (&plane.sessions, identity.principal), &action);
        let now = now.unwrap_or_else(|| guards.again(&before));
        let arguments = || {
            let raw = arguments.as_deref()?.as_bytes();
            Value::parse(raw, &Limits::new(raw.len(), limits::DEPTH).with_lone_surrogates()).ok()
        };
        decide(guards, Some(&now), &identity, &action, (arguments, is_modern)).err()
    }))
}
