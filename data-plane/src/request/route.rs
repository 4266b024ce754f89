//! Which backend owns what is asked for.

use std::borrow::Cow;
use std::sync::Arc;

use crate::asked::Action;
use crate::principal::Scope;
use crate::refusal::Refusal;
use crate::request::authorize::Authorized;
use crate::session::Sessions;
use crate::snapshot::{Index, Reading, Server, Target};
use crate::task::TaskId;

/// The owner of what is asked for. Made here only, from what has been authorized.
#[derive(Debug)]
pub(super) struct Route<'s> {
    pub(super) target: Cow<'s, Target>,
    /// Whether the request names the item by its exposed name, which the backend does not know.
    pub(super) is_renamed: bool,
}

/// Where to go on.
#[derive(Debug)]
pub(super) enum Routed<'s> {
    To(Route<'s>),
    /// The owner completes nothing.
    NothingToComplete,
}

/// Finds the owner. What is hidden and what does not exist have one answer.
pub(super) fn route<'s>(
    server: &'s Server,
    sessions: &Sessions,
    authorized: Authorized<'_>,
    is_modern: bool,
) -> Result<Routed<'s>, Refusal> {
    let index = &server.index;
    let (target, name) = match authorized.action() {
        Action::CallTool(name) => (index.tool(name).ok_or_else(|| Refusal::unknown("tool", name))?, name),
        Action::GetPrompt(name) => {
            (index.prompt(name).ok_or_else(|| Refusal::unknown("prompt", name))?, name)
        }
        Action::CompletePrompt(name) => {
            let target = index.prompt(name).ok_or_else(|| Refusal::unknown("prompt", name))?;
            if !target.backend.abilities.completes {
                return Ok(Routed::NothingToComplete);
            }
            (target, name)
        }
        Action::CompleteTemplate(uri) => {
            let target = index.template(uri).ok_or_else(|| Refusal::unknown_resource(uri, is_modern))?;
            if !target.backend.abilities.completes {
                return Ok(Routed::NothingToComplete);
            }
            return Ok(Routed::To(Route { target: Cow::Borrowed(target), is_renamed: false }));
        }
        Action::UseTask(id) => {
            let scope = Scope { server: &server.name, principal: authorized.principal() };
            let target = sessions.open_task(scope, id).and_then(|task| owner(server, task));
            let target = Cow::Owned(target.ok_or_else(Refusal::unknown_task)?);
            return Ok(Routed::To(Route { target, is_renamed: true }));
        }
        Action::ReadResource(uri) => return reading(index, uri, is_modern).map(Routed::To),
        Action::WatchResource(uri) => {
            let route = reading(index, uri, is_modern)?;
            // What the other era says of it is not bridged yet.
            if !route.target.backend.tells_of_resources(is_modern) {
                return Err(Refusal::cannot_watch(uri));
            }
            return Ok(Routed::To(route));
        }
    };
    let is_renamed = name.as_ref() != target.original_name.as_ref();
    Ok(Routed::To(Route { target: Cow::Borrowed(target), is_renamed }))
}

/// The backend whose task it is, as long as it is there.
fn owner(server: &Server, task: TaskId) -> Option<Target> {
    let mut backends = server.backends.iter().filter(|backend| backend.modern);
    let backend = backends.find(|backend| backend.id.name == task.backend)?.clone();
    Some(Target { backend, original_name: task.id.into(), mirrors: Arc::default(), guard: None })
}

/// Whoever lists a URI reads it.
fn reading<'s>(index: &'s Index, uri: &str, is_modern: bool) -> Result<Route<'s>, Refusal> {
    match index.resource(uri) {
        Reading::One(target) => Ok(Route { target: Cow::Borrowed(target), is_renamed: false }),
        Reading::Nobody => Err(Refusal::unknown_resource(uri, is_modern)),
        Reading::Ambiguous => Err(Refusal::ambiguous_resource(uri)),
    }
}
