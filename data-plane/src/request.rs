//! The line: the way of a request, in one list of functions that never turns back.
//!
//! `receive` → `authenticate` → { `answer` | `authorize` → `route` → `credential` → `forward` }. Each step returns what the
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
use crate::refusal::Refusal;
use crate::reply::empty;
use crate::snapshot::Server;
use authenticate::authenticate;
use authorize::authorize;
use credential::credential;
use forward::forward;
use receive::Received;
use route::{Routed, route};

/// One message of a client.
pub(crate) async fn post(plane: &Arc<Plane>, server: &Arc<Server>, request: http::Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    match line(plane, server, &head.headers, body).await {
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
pub(crate) async fn get(plane: &Arc<Plane>, server: &Arc<Server>, headers: &HeaderMap) -> Response {
    let client = match receive::receive_listener(headers, server, &plane.sessions) {
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
    answer::listen_legacy(plane, server, mailbox)
}

/// A legacy client ends its session.
pub(crate) async fn delete(plane: &Arc<Plane>, server: &Arc<Server>, headers: &HeaderMap) -> Response {
    match receive::receive_session(headers, server, &plane.sessions) {
        Ok(session) => {
            plane.sessions.end(&session);
            let carried = receive::carried(headers, server, &plane.sessions);
            plane.backend_sessions.end(&plane.exchange, &session, &server.backends, &carried).await;
            empty(StatusCode::NO_CONTENT)
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn line(
    plane: &Arc<Plane>,
    server: &Arc<Server>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Response, Outcome), Refusal> {
    let body = receive::receive_body(headers, body).await?;
    match batch::messages(plane, server, headers, &body)? {
        None => single(plane, server, headers, body).await,
        Some(messages) => batch::answer(plane, server, headers, messages).await,
    }
}

/// The way of one message.
async fn single(
    plane: &Arc<Plane>,
    server: &Arc<Server>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<(Response, Outcome), Refusal> {
    match receive::receive(headers, &body, server, &plane.sessions)? {
        Received::Asked(asked) => {
            let id = asked.request.id.raw();
            proceed(plane, server, headers, &body, &asked).await.map_err(|refusal| refusal.with_id(id))
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
    plane: &Arc<Plane>,
    server: &Arc<Server>,
    headers: &HeaderMap,
    body: &Bytes,
    asked: &Asked<'_>,
) -> Result<(Response, Outcome), Refusal> {
    let principal = authenticate(headers)?;
    if asked.ask == Ask::Listen {
        let watches = watch::watches(plane, server, &principal, asked)?;
        return Ok((answer::listen_modern(plane, server, asked, watches)?, Outcome::Answered));
    }
    let Some(action) = asked.action()? else {
        return Ok((answer::answer(plane, server, asked).await?, Outcome::Answered));
    };
    let authorized = authorize(&principal, action)?;
    match route(server, &plane.sessions, authorized, asked.client == Client::Modern)? {
        Routed::NothingToComplete => Ok((answer::no_completion(asked), Outcome::Answered)),
        Routed::To(route) => {
            let credential = credential(&principal, &route)?;
            Ok((
                forward(plane, server, &route, &credential, asked, (headers, body)).await?,
                Outcome::Forwarded,
            ))
        }
    }
}
