//! The one function that decides, for both eras and whatever is asked.

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
}

/// Whether a principal may do it. What may not be done and what is not there have one answer.
pub(super) fn authorize<'a>(
    (server, sessions): (&Server, &Sessions),
    identity: &Identity,
    action: Action<'a>,
    asked: &Asked<'_>,
) -> Result<Authorized<'a>, Refusal> {
    let principal = identity.principal;
    if let Some(guards) = &server.guards {
        let is_modern = asked.client == Client::Modern;
        let scope = Scope { server: &server.name, principal };
        let (is_allowed, unknown): (bool, &dyn Fn() -> Refusal) = match &action {
            Action::CallTool(name) => {
                let guard = server.index.tool(name).and_then(|target| target.guard.as_ref());
                let arguments = guards.arguments(guard, asked)?;
                (guards.allows(identity, guard, &arguments), &|| Refusal::unknown("tool", name))
            }
            Action::GetPrompt(name) => {
                let guard = server.index.prompt(name).and_then(|target| target.guard.as_ref());
                let arguments = guards.arguments(guard, asked)?;
                (guards.allows(identity, guard, &arguments), &|| Refusal::unknown("prompt", name))
            }
            Action::CompletePrompt(name) => {
                let guard = server.index.prompt(name).and_then(|target| target.guard.as_ref());
                (guards.allows(identity, guard, &[]), &|| Refusal::unknown("prompt", name))
            }
            Action::CompleteTemplate(uri) => {
                let guard = server.index.template(uri).and_then(|target| target.guard.as_ref());
                (guards.allows(identity, guard, &[]), &|| Refusal::unknown_resource(uri, is_modern))
            }
            Action::ReadResource(uri) | Action::WatchResource(uri) => {
                let guard = guards.of_uri(&server.index, uri);
                (guards.allows(identity, guard.as_ref(), &[]), &|| Refusal::unknown_resource(uri, is_modern))
            }
            Action::UseTask(id) => {
                let task = sessions.open_task(scope, id);
                let target = task.and_then(|task| server.index.tool(&task.tool).cloned());
                let guard = target.as_ref().and_then(|target| target.guard.as_ref());
                (guards.allows(identity, guard, &[]), &Refusal::unknown_task)
            }
        };
        if !is_allowed {
            return Err(unknown());
        }
    }
    Ok(Authorized { principal, action })
}

impl<'a> Authorized<'a> {
    /// What may be done.
    pub(super) fn action(&self) -> &Action<'a> {
        &self.action
    }

    /// Who may.
    pub(super) fn principal(&self) -> Principal {
        self.principal
    }
}
