//! The one function that decides, for both eras and whatever is asked.

use std::sync::Arc;

use vmcp_authz::Decision;

use crate::asked::{Action, Asked, Client};
use crate::principal::{Identity, Principal, Scope};
use crate::refusal::Refusal;
use crate::session::Sessions;
use crate::snapshot::Server;

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
    let index = &server.index;
    let of_uri;
    let guard = match &action {
        Action::CallTool(name) => index.tool(name).and_then(|target| target.guard.as_ref()),
        Action::GetPrompt(name) | Action::CompletePrompt(name) => {
            index.prompt(name).and_then(|target| target.guard.as_ref())
        }
        Action::CompleteTemplate(uri) => index.template(uri).and_then(|target| target.guard.as_ref()),
        Action::ReadResource(uri) | Action::WatchResource(uri) => {
            of_uri = guards.of_uri(index, uri);
            of_uri.as_ref()
        }
        Action::UseTask(id) => {
            let task = sessions.open_task(Scope { server: &server.name, principal }, id);
            task.and_then(|task| index.tool(&task.tool)).and_then(|target| target.guard.as_ref())
        }
    };
    let arguments = match &action {
        Action::CallTool(_) | Action::GetPrompt(_) => guards.arguments(guard, asked)?,
        _ => Vec::new(),
    };
    let decided = guards.decision(identity, guard, &arguments);
    if decided.as_ref().is_some_and(|decision| decision.is_allowed) {
        return Ok(Authorized { principal, action, decision: decided });
    }
    // What is denied for its arguments alone the caller sees.
    let is_seen = !arguments.is_empty() && guards.allows(identity, guard);
    Err(refused(&action, is_seen, asked.client == Client::Modern).denied(decided))
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
