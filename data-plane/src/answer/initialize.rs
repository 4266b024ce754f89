//! The handshake of legacy clients: from memory, but for sessions with backends that the client is to carry.

use std::sync::Arc;

use axum::response::Response;
use futures_util::{StreamExt, stream};
use http::HeaderValue;
use vmcp_core::desired::Sessions;
use vmcp_core::limits;
use vmcp_mcp::{Carrier, ProtocolVersion, header};

use crate::answer::{capabilities, instructions, respond, server_info};
use crate::asked::Asked;
use crate::backend::{self, Backend, Caller};
use crate::declared::Declared;
use crate::plane::Plane;
use crate::principal::{Identity, Scope};
use crate::refusal::Refusal;
use crate::session::Session;
use crate::snapshot::Server;
use crate::sticky::Carried;

/// With a session id of our own (MCP 2025-11-25, Lifecycle, Initialization).
pub(super) async fn initialize(
    plane: &Arc<Plane>,
    server: &Server,
    version: ProtocolVersion,
    (identity, asked): (&Identity, &Asked<'_>),
) -> Result<Response, Refusal> {
    let declared = asked.request.params.as_ref().and_then(|params| params.get("capabilities"));
    let declared =
        declared.and_then(|value| value.as_object()).as_ref().map(Declared::read).unwrap_or_default();
    let session = Session::begin(version, declared).map_err(|_| Refusal::no_randomness())?;
    let scope = Scope { server: &server.name, principal: asked.principal };
    let carried = open_sticky(plane, server, identity, &session).await;
    let id = plane.sessions.seal(scope, &session, &carried).map_err(|_| Refusal::no_randomness())?;
    let value = format!(
        "{{\"protocolVersion\":\"{version}\",\"capabilities\":{},\"serverInfo\":{}{}}}",
        capabilities(server, false),
        server_info(server),
        instructions(server, identity),
    );
    let mut response = respond(asked, value.as_bytes());
    let mut id = HeaderValue::try_from(id).map_err(|_| Refusal::no_randomness())?;
    id.set_sensitive(true);
    response.headers_mut().insert(header::SESSION_ID, id);
    Ok(response)
}

/// Those that stand in time. The others are opened at first use.
async fn open_sticky(
    plane: &Arc<Plane>,
    server: &Server,
    identity: &Identity,
    session: &Session,
) -> Vec<Carried> {
    // What arguments decide about nobody knows yet.
    let seen = server.guards.as_ref().filter(|guards| !guards.read_arguments());
    let seen = seen.map(|guards| guards.lists(identity, &server.lists));
    let is_own = |backend: &Backend| server.personal.as_ref().is_some_and(|own| own.asks(&backend.id));
    let may_be_used = |backend: &Backend| {
        is_own(backend) || seen.as_ref().is_none_or(|lists| lists.has_any_of(&backend.id.name))
    };
    let is_sticky = |backend: &&Arc<Backend>| {
        backend.sessions == Sessions::Sticky
            && may_be_used(backend)
            && backend.carrier == Carrier::StreamableHttp
            && backend.legacy.is_some_and(|legacy| legacy.has_sessions)
    };
    let wanted: Vec<Arc<Backend>> = server.backends.iter().filter(is_sticky).cloned().collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    // Each goes on by itself, so that one which comes too late is there for the first call.
    let opening = wanted.into_iter().map(|backend| {
        let (plane, session, identity) = (plane.clone(), *session, identity.clone());
        async move {
            let opening = tokio::spawn(async move { open(&plane, &identity, &session, &backend).await });
            tokio::time::timeout(limits::STICKY_TIME, opening).await.ok()?.ok()?
        }
    });
    let opened = stream::iter(opening).buffered(limits::STICKY_OPENINGS);
    opened.filter_map(async |carried| carried).collect().await
}

async fn open(
    plane: &Plane,
    identity: &Identity,
    session: &Session,
    backend: &Arc<Backend>,
) -> Option<Carried> {
    let shown = backend.shown.header(&plane.tokens, identity).await.ok()?;
    let caller = Caller { identity, session: Some(session) };
    let admitted = backend::admit(backend).await.ok()?;
    let (peer, patience) = (admitted.peer_shown(shown.as_ref()), admitted.patience());
    let opening = plane.backend_sessions.opened(&plane.exchange, caller, backend, peer, patience, || None);
    match opening.await {
        Ok((opened, _)) => opened.carried(backend),
        Err(failed) => {
            if failed.is_first() {
                // It counts like a call; the client hears of it at its first.
                drop(admitted.refuse(failed.reason));
            }
            None
        }
    }
}
