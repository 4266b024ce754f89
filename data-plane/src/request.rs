//! The line: the way of a request, in one list of functions that never turns back.
//!
//! `authenticate` → `receive` → { `answer` | `authorize` → `route` → `credential` → `forward` }. Each step returns what the
//! next one needs, so none can be left out.

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
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::answer;
use crate::asked::{Ask, Asked, Client};
use crate::hear::{hear, resume};
use crate::metrics::Outcome;
use crate::plane::Plane;
use crate::principal::{Identity, Scope};
use crate::refusal::Refusal;
use crate::reply::empty;
use crate::session::Session;
use crate::snapshot::Server;
use authenticate::authenticate;
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
}

impl<'a> Arrived<'a> {
    fn scope(self) -> Scope<'a> {
        Scope { server: &self.server.name, principal: self.identity.principal }
    }

    /// The session that it names.
    fn session(self) -> Result<Session, Refusal> {
        receive::receive_session(self.headers, self.scope(), &self.plane.sessions)
    }
}

/// One message of a client.
pub(crate) async fn post(plane: &Arc<Plane>, server: &Arc<Server>, request: http::Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let headers = &head.headers;
    let answered = match authenticate(plane, server, head.uri.path(), headers).await {
        Ok(identity) => line(Arrived { plane, server, identity: &identity, headers }, body).await,
        Err(refusal) => Err(refusal),
    };
    finish(plane, answered)
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
pub(crate) async fn get(
    plane: &Arc<Plane>,
    server: &Arc<Server>,
    path: &str,
    headers: &HeaderMap,
) -> Response {
    match authenticate(plane, server, path, headers).await {
        Ok(identity) => listen(Arrived { plane, server, identity: &identity, headers }).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn listen(arrived: Arrived<'_>) -> Response {
    let Arrived { plane, server, headers, .. } = arrived;
    let client = match receive::receive_listener(arrived) {
        Ok(client) => client,
        Err(refusal) => return refusal.into_response(),
    };
    let mailbox = client.as_ref().map(|client| plane.mailboxes.listen(client));
    if let Some(client) = client {
        for opened in plane.backend_sessions.of(&client, server.backends.iter()).await {
            // Nobody waits for it.
            drop(hear(plane, client, &opened));
        }
        if let Some((backend, id)) = receive::last_event(headers) {
            let owner = server.backends.iter().filter(|known| known.id.name == backend);
            for opened in plane.backend_sessions.of(&client, owner).await {
                resume(plane, client, opened, id.clone());
            }
        }
    }
    answer::listen_legacy(plane, server, arrived.identity, mailbox)
}

/// A legacy client ends its session.
pub(crate) async fn delete(
    plane: &Arc<Plane>,
    server: &Arc<Server>,
    path: &str,
    headers: &HeaderMap,
) -> Response {
    let identity = match authenticate(plane, server, path, headers).await {
        Ok(identity) => identity,
        Err(refusal) => return refusal.into_response(),
    };
    end(Arrived { plane, server, identity: &identity, headers }).await
}

async fn end(arrived: Arrived<'_>) -> Response {
    let Arrived { plane, server, headers, .. } = arrived;
    match arrived.session() {
        Ok(session) => {
            plane.sessions.end(&session);
            let carried = receive::carried(headers, arrived.scope(), &plane.sessions);
            plane.backend_sessions.end(&plane.exchange, &session, &server.backends, &carried).await;
            empty(StatusCode::NO_CONTENT)
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn line(arrived: Arrived<'_>, body: Body) -> Result<(Response, Outcome), Refusal> {
    let body = receive::receive_body(arrived.headers, body).await?;
    match batch::messages(arrived, &body)? {
        None => single(arrived, body).await,
        Some(messages) => batch::answer(arrived, messages).await,
    }
}

/// The way of one message.
async fn single(arrived: Arrived<'_>, body: Bytes) -> Result<(Response, Outcome), Refusal> {
    let Arrived { plane, server, .. } = arrived;
    match receive::receive(arrived, &body)? {
        Received::Asked(asked) => {
            let id = asked.request.id.raw();
            proceed(arrived, &body, &asked).await.map_err(|refusal| refusal.with_id(id))
        }
        Received::Told(session, told) => {
            Box::pin(hand_on::told(plane, server, &session, &told, &body)).await;
            Ok((empty(StatusCode::ACCEPTED), Outcome::Answered))
        }
        Received::Answered(session, response) => {
            hand_on::answered(plane, &session, &response, &body);
            Ok((empty(StatusCode::ACCEPTED), Outcome::Answered))
        }
        Received::Nothing => Ok((empty(StatusCode::ACCEPTED), Outcome::Answered)),
    }
}

async fn proceed(
    arrived: Arrived<'_>,
    body: &Bytes,
    asked: &Asked<'_>,
) -> Result<(Response, Outcome), Refusal> {
    let Arrived { plane, server, identity, headers } = arrived;
    if asked.ask == Ask::Listen {
        let watches = watch::watches(arrived, asked).await?;
        return Ok((answer::listen_modern(plane, server, (identity, asked), watches)?, Outcome::Answered));
    }
    let Some(action) = asked.action()? else {
        return Ok((answer::answer(plane, server, identity, asked).await?, Outcome::Answered));
    };
    let authorized = authorize((server, &plane.sessions), identity, action, asked)?;
    match route(server, &plane.sessions, authorized, asked.client == Client::Modern)? {
        Routed::NothingToComplete => Ok((answer::no_completion(asked), Outcome::Answered)),
        Routed::To(route) => {
            let credential = credential(plane, identity, &route).await?;
            let shown = (identity, credential);
            Ok((forward(plane, server, &route, shown, asked, (headers, body)).await?, Outcome::Forwarded))
        }
    }
}
