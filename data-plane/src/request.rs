//! The line: the way of a request, in one list of functions that never turns back.
//!
//! `authenticate` → `receive` → { `answer` | `authorize` → `route` → `credential` → `forward` }. Each step returns what the
//! next one needs, so none can be left out. An `Entry` goes along and becomes the record of it.

mod authenticate;
mod authorize;
mod batch;
mod credential;
mod forward;
mod hand_on;
mod in_session;
pub(crate) mod over_sse;
mod receive;
mod route;
mod watch;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use vmcp_mcp::method;
use vmcp_runtime::Peer;

use crate::answer;
use crate::asked::{Ask, Asked, Client};
use crate::audit::{Door, Entry, EventType};
use crate::hear::{hear, resume};
use crate::inventories::{is_personal, personal};
use crate::metrics::Outcome;
use crate::plane::Plane;
use crate::principal::{Identity, Scope};
use crate::refusal::Refusal;
use crate::reply::empty;
use crate::session::Session;
use crate::snapshot::Server;
use authenticate::{TurnedAway, authenticate, ended};
use authorize::authorize;
use credential::credential;
use forward::forward;
use receive::Received;
use route::{Routed, route};

/// A request of which it is known who asks.
#[derive(Clone, Copy)]
struct Arrived<'a> {
    plane: &'a Arc<Plane>,
    server: &'a Arc<Server>,
    identity: &'a Identity,
    headers: &'a HeaderMap,
    door: Door<'a>,
}

impl<'a> Arrived<'a> {
    fn scope(self) -> Scope<'a> {
        Scope { server: &self.server.name, principal: self.identity.principal }
    }

    /// What will be recorded of it.
    async fn entry(self) -> Result<Entry, Refusal> {
        Entry::open(self.server, self.door, self.headers, Some(self.identity)).await
    }

    /// Records that it is refused before anything is known of what it asks.
    async fn unread(self, refusal: Refusal) -> Refusal {
        turned_away(self.server, self.door, (self.headers, Some(self.identity)), refusal, "").await
    }

    /// The session that it names.
    fn session(self) -> Result<Session, Refusal> {
        receive::receive_session(self.headers, self.scope(), &self.plane.sessions)
    }
}

/// One message of a client.
pub(crate) async fn post(plane: &Arc<Plane>, server: &Arc<Server>, request: http::Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let (headers, door) = (&head.headers, door(head.uri.path(), &head.extensions));
    let answered = match enter(plane, server, door, headers).await {
        Ok(identity) => line(Arrived { plane, server, identity: &identity, headers, door }, body).await,
        Err(refusal) => Err(refusal),
    };
    finish(plane, answered)
}

/// Where a request came in; over HTTP with SSE, the messages beside the stream.
fn door<'a>(path: &'a str, extensions: &http::Extensions) -> Door<'a> {
    let peer = extensions.get::<ConnectInfo<Peer>>().map(|peer| peer.0.0.ip());
    let is_sse = path.ends_with("/sse") || path.ends_with("/messages");
    Door { peer, path, transport: if is_sse { "sse" } else { "streamable-http" } }
}

/// Who asks. Whoever may not come in is on record, too.
async fn enter(
    plane: &Plane,
    server: &Server,
    door: Door<'_>,
    headers: &HeaderMap,
) -> Result<Identity, Refusal> {
    match authenticate(plane, server, door.path, headers).await {
        Ok(identity) => Ok(identity),
        Err(TurnedAway { refusal, why, who }) => {
            tracing::debug!(virtual_server = %server.name, why, "a caller may not come in");
            Err(turned_away(server, door, (headers, who.as_deref()), refusal, why).await)
        }
    }
}

/// Answers what no method is asked for, or by whom nobody may be: that is on record, too.
pub(crate) async fn turn_away(server: &Server, head: &Parts, refusal: Refusal) -> Response {
    let door = door(head.uri.path(), &head.extensions);
    turned_away(server, door, (&head.headers, None), refusal, "").await.into_response()
}

async fn turned_away(
    server: &Server,
    door: Door<'_>,
    (headers, identity): (&HeaderMap, Option<&Identity>),
    refusal: Refusal,
    why: &'static str,
) -> Refusal {
    match Entry::open(server, door, headers, identity).await {
        Ok(mut entry) => {
            entry.is_because(why);
            entry.refused(&refusal);
            refusal
        }
        Err(unavailable) => unavailable,
    }
}

fn finish(plane: &Plane, answered: Result<(Response, Outcome), Refusal>) -> Response {
    match answered {
        Ok((response, outcome)) => {
            plane.counters.count(outcome);
            response
        }
        Err(refusal) => {
            plane.counters.count(refusal.outcome());
            refusal.into_response()
        }
    }
}

/// A legacy client's stream of what happens without being asked for.
pub(crate) async fn get(plane: &Arc<Plane>, server: &Arc<Server>, head: &Parts) -> Response {
    let (headers, door) = (&head.headers, door(head.uri.path(), &head.extensions));
    let identity = match enter(plane, server, door, headers).await {
        Ok(identity) => identity,
        Err(refusal) => return refusal.into_response(),
    };
    let arrived = Arrived { plane, server, identity: &identity, headers, door };
    recorded(arrived, EventType::SseConnection, listen(arrived)).await
}

/// What is no message is one record.
async fn recorded(
    arrived: Arrived<'_>,
    event: EventType,
    answering: impl Future<Output = Result<Response, Refusal>>,
) -> Response {
    let mut entry = match arrived.entry().await {
        Ok(entry) => entry,
        Err(refusal) => return refusal.into_response(),
    };
    entry.is(event, "");
    match answering.await {
        Ok(response) => entry.served(response).await,
        Err(refusal) => {
            entry.refused(&refusal);
            refusal.into_response()
        }
    }
}

async fn listen(arrived: Arrived<'_>) -> Result<Response, Refusal> {
    let Arrived { plane, server, headers, identity, .. } = arrived;
    let client = receive::receive_listener(arrived)?;
    let mailbox = client.as_ref().map(|client| plane.mailboxes.listen(client));
    if let Some(client) = client {
        for opened in plane.backend_sessions.of((&client, identity), server.backends.iter()).await {
            // Nobody waits for it.
            drop(hear(plane, client, &opened));
        }
        if let Some((backend, id)) = receive::last_event(headers) {
            let owner = server.backends.iter().filter(|known| known.id.name == backend);
            for opened in plane.backend_sessions.of((&client, identity), owner).await {
                resume(plane, client, opened, id.clone());
            }
        }
    }
    Ok(answer::listen_legacy(plane, server, arrived.identity, mailbox))
}

/// A legacy client ends its session.
pub(crate) async fn delete(plane: &Arc<Plane>, server: &Arc<Server>, head: &Parts) -> Response {
    let (headers, door) = (&head.headers, door(head.uri.path(), &head.extensions));
    let identity = match enter(plane, server, door, headers).await {
        Ok(identity) => identity,
        Err(refusal) => return refusal.into_response(),
    };
    let arrived = Arrived { plane, server, identity: &identity, headers, door };
    recorded(arrived, EventType::HttpRequest, end(arrived)).await
}

async fn end(arrived: Arrived<'_>) -> Result<Response, Refusal> {
    let Arrived { plane, server, headers, identity, .. } = arrived;
    let session = arrived.session()?;
    plane.sessions.end(&session);
    let carried = receive::carried(headers, arrived.scope(), &plane.sessions);
    plane.backend_sessions.end(&plane.exchange, (&session, identity), &server.backends, &carried).await;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn line(arrived: Arrived<'_>, body: Body) -> Result<(Response, Outcome), Refusal> {
    let body = match receive::receive_body(arrived.headers, body).await {
        Ok(body) => body,
        Err(refusal) => return Err(arrived.unread(refusal).await),
    };
    match batch::messages(arrived, &body) {
        Ok(None) => single(arrived, body).await,
        Ok(Some(messages)) => batch::answer(arrived, messages).await,
        Err(refusal) => Err(arrived.unread(refusal).await),
    }
}

/// The way of one message, and its record.
async fn single(arrived: Arrived<'_>, body: Bytes) -> Result<(Response, Outcome), Refusal> {
    let mut entry = arrived.entry().await?;
    entry.weighs(body.len());
    match one(arrived, body, &mut entry).await {
        Ok((response, outcome)) => Ok((entry.served(response).await, outcome)),
        Err(refusal) => {
            entry.refused(&refusal);
            Err(refusal)
        }
    }
}

async fn one(arrived: Arrived<'_>, body: Bytes, entry: &mut Entry) -> Result<(Response, Outcome), Refusal> {
    let Arrived { plane, server, .. } = arrived;
    match receive::receive(arrived, &body)? {
        Received::Asked(asked) => {
            entry.asks(&asked);
            let id = asked.request.id.raw();
            let own;
            let mut arrived = arrived;
            if is_personal(server, &plane.sessions, &asked) {
                own = Box::pin(personal(plane, server, arrived.identity)).await;
                arrived = Arrived { server: &own, ..arrived };
            }
            proceed(arrived, &body, &asked, entry).await.map_err(|refusal| refusal.with_id(id))
        }
        Received::Told(session, told) => {
            let is_roots = told.method == method::ROOTS_CHANGED;
            let event = if is_roots { EventType::RootsListChanged } else { EventType::Notification };
            entry.is(event, &told.method);
            Box::pin(hand_on::told(plane, server, (&session, arrived.identity), &told, &body)).await;
            Ok((empty(StatusCode::ACCEPTED), Outcome::Answered))
        }
        Received::Answered(session, response) => {
            hand_on::answered(plane, (&session, arrived.identity), &response, &body);
            Ok((empty(StatusCode::ACCEPTED), Outcome::Answered))
        }
        Received::Nothing => Ok((empty(StatusCode::ACCEPTED), Outcome::Answered)),
    }
}

async fn proceed(
    arrived: Arrived<'_>,
    body: &Bytes,
    asked: &Asked<'_>,
    entry: &mut Entry,
) -> Result<(Response, Outcome), Refusal> {
    let Arrived { plane, server, identity, headers, .. } = arrived;
    if asked.ask == Ask::Listen {
        let watches = watch::watches(arrived, asked).await?;
        return Ok((answer::listen_modern(plane, server, (identity, asked), watches)?, Outcome::Answered));
    }
    let Some(action) = asked.action()? else {
        return Ok((answer::answer(plane, server, identity, asked).await?, Outcome::Answered));
    };
    let authorized = authorize((server, &plane.sessions), identity, action, asked)?;
    entry.decided(authorized.decision());
    match route(server, &plane.sessions, authorized, asked.client == Client::Modern)? {
        Routed::NothingToComplete => Ok((answer::no_completion(asked), Outcome::Answered)),
        Routed::To(route) => {
            entry.goes_to(&route.target);
            let credential = credential(plane, identity, &route).await.map_err(|refusal| {
                let is_over = refusal.is_auth() && identity.has_ended();
                if is_over { ended(plane, server, arrived.door.path, headers) } else { refusal }
            })?;
            let shown = (identity, credential);
            let response = forward(plane, server, &route, shown, (asked, entry), (headers, body)).await?;
            Ok((response, Outcome::Forwarded))
        }
    }
}
