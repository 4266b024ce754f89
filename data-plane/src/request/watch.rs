//! Which of the resources and tasks that a modern client wants to hear of it may hear of, and from whom.

use std::borrow::Cow;
use std::sync::Arc;

use vmcp_core::limits;
use vmcp_json::Object;
use vmcp_mcp::extension;

use crate::asked::{Action, Asked};
use crate::plane::Plane;
use crate::principal::{Identity, Scope};
use crate::refusal::Refusal;
use crate::request::Arrived;
use crate::request::authorize::authorize;
use crate::request::credential::credential;
use crate::request::route::{Route, Routed, route};
use crate::watch::{Watch, WatchedTask};

/// By backend. What the client may not hear of, or nobody tells, is left out; the acknowledgement says what is left
/// (MCP 2026-07-28, Subscriptions, Acknowledgment; SEP-2663, Task Status Notifications).
pub(super) async fn watches(arrived: Arrived<'_>, asked: &Asked<'_>) -> Result<Vec<Watch>, Refusal> {
    let Arrived { plane, server, identity, .. } = arrived;
    let filter = asked.request.params.as_ref().and_then(|params| params.get("notifications")?.as_object());
    let Some(filter) = filter else { return Ok(Vec::new()) };
    let mut watches = Vec::new();
    let routed = |action| {
        let allowed = authorize((server, &plane.sessions), identity, action, asked)?;
        Ok::<_, Refusal>(match route(server, &plane.sessions, allowed, true) {
            Ok(Routed::To(route)) => Some(route),
            Ok(Routed::NothingToComplete) | Err(_) => None,
        })
    };
    for uri in wanted(&filter, "resourceSubscriptions")? {
        match routed(Action::WatchResource(uri.clone())) {
            Ok(Some(route)) => {
                let watch = at(&mut watches, (plane, identity), &route).await?;
                if !watch.uris.iter().any(|watched| *watched == uri) {
                    watch.uris.push(uri.into_owned());
                }
            }
            Ok(None) => {}
            Err(refusal) => left_out(arrived, asked, &uri, &refusal).await?,
        }
    }
    let tasks = wanted(&filter, "taskIds")?;
    if !tasks.is_empty() && !asked.extends(extension::TASKS) {
        return Err(Refusal::missing_extension(extension::TASKS));
    }
    for id in tasks {
        match routed(Action::UseTask(id.clone())) {
            Ok(Some(route)) => {
                let scope = Scope { server: &server.name, principal: identity.principal };
                let tool = plane.sessions.open_task(scope, &id).map(|task| task.tool).unwrap_or_default();
                let watch = at(&mut watches, (plane, identity), &route).await?;
                let theirs = route.target.original_name.to_string();
                watch.tasks.push(WatchedTask { theirs, ours: id.into_owned(), tool });
            }
            Ok(None) => {}
            Err(refusal) => left_out(arrived, asked, &id, &refusal).await?,
        }
    }
    Ok(watches)
}

/// The client does not learn of it, but a denial is on record.
async fn left_out(
    arrived: Arrived<'_>,
    asked: &Asked<'_>,
    name: &str,
    refusal: &Refusal,
) -> Result<(), Refusal> {
    if refusal.decision().is_some() {
        let mut entry = arrived.entry().await?;
        entry.asks(asked);
        entry.names(name);
        entry.refused(refusal);
    }
    Ok(())
}

/// The texts of a list, as many as are looked at.
fn wanted<'a>(filter: &Object<'a>, name: &str) -> Result<Vec<Cow<'a, str>>, Refusal> {
    let is_wrong = || Refusal::malformed_params(&format!("`{name}` must be a list of strings"));
    let Some(all) = filter.get(name) else { return Ok(Vec::new()) };
    let all = all.as_array().ok_or_else(is_wrong)?.take(limits::WATCHED_RESOURCES);
    all.map(|text| text.as_str().ok_or_else(is_wrong)).collect()
}

/// What is watched where a route leads.
async fn at<'w>(
    watches: &'w mut Vec<Watch>,
    (plane, identity): (&Plane, &Identity),
    route: &Route<'_>,
) -> Result<&'w mut Watch, Refusal> {
    let backend = &route.target.backend;
    let known = watches.iter().position(|watch| Arc::ptr_eq(&watch.backend, backend));
    let place = match known {
        Some(place) => place,
        None => {
            // Where there is none the client hears so at once.
            credential(plane, identity, route).await?;
            watches.push(Watch { backend: backend.clone(), uris: Vec::new(), tasks: Vec::new() });
            watches.len() - 1
        }
    };
    Ok(&mut watches[place])
}
