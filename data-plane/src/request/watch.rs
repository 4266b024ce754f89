//! Which of the resources that a modern client wants to hear of it may hear of, and from whom.

use http::HeaderMap;
use vmcp_core::limits;

use crate::asked::{Action, Asked};
use crate::refusal::Refusal;
use crate::request::authenticate::Principal;
use crate::request::authorize::authorize;
use crate::request::credential::credential;
use crate::request::route::{Routed, route};
use crate::snapshot::Server;
use crate::watch::Watch;

/// By backend. What the client may not hear of, or nobody tells, is left out; the acknowledgement says what is left
/// (MCP 2026-07-28, Subscriptions, Acknowledgment).
pub(super) fn watches(
    server: &Server,
    principal: &Principal,
    asked: &Asked<'_>,
) -> Result<Vec<Watch>, Refusal> {
    let filter = asked.request.params.as_ref().and_then(|params| params.get("notifications")?.as_object());
    let Some(wanted) = filter.as_ref().and_then(|filter| filter.get("resourceSubscriptions")) else {
        return Ok(Vec::new());
    };
    let is_wrong = || Refusal::malformed_params("`resourceSubscriptions` must be a list of URIs");
    let mut watches: Vec<Watch> = Vec::new();
    for uri in wanted.as_array().ok_or_else(is_wrong)?.take(limits::WATCHED_RESOURCES) {
        let uri = uri.as_str().ok_or_else(is_wrong)?;
        let routed = authorize(principal, Action::WatchResource(uri.clone()))
            .and_then(|allowed| route(server, allowed, true));
        let Ok(Routed::To(route)) = routed else { continue };
        let backend = &route.target.backend;
        let known = watches.iter_mut().find(|watch| watch.backend.id == backend.id);
        match known {
            Some(watch) if watch.uris.iter().any(|watched| *watched == uri) => {}
            Some(watch) => watch.uris.push(uri.into_owned()),
            None => {
                let mut headers = HeaderMap::new();
                credential(principal, &route)?.write_headers(&mut headers);
                watches.push(Watch { backend: backend.clone(), uris: vec![uri.into_owned()], headers });
            }
        }
    }
    Ok(watches)
}
