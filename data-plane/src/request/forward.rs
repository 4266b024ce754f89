//! To the backend and back: the request spliced, the answer passed on.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use vmcp_json::{Edits, quote};
use vmcp_mcp::{Answer, Answered, Era, Failure, ProtocolVersion, header};

use crate::asked::{Asked, Client};
use crate::backend::{self, Admitted, Backend, Legacy, Opened};
use crate::bridge::{self, Bridge};
use crate::hear::hear;
use crate::plane::Plane;
use crate::refusal::{Reason, Refusal};
use crate::relay::{self, Relay};
use crate::request::credential::Credential;
use crate::request::route::Route;
use crate::round::Round;
use crate::snapshot::Server;

/// Sends the call to its one backend and returns the answer, whole or as a stream.
pub(super) async fn forward(
    plane: &Arc<Plane>,
    server: &Server,
    route: &Route<'_>,
    credential: &Credential,
    asked: &Asked<'_>,
    (headers, body): (&HeaderMap, &Bytes),
) -> Result<Response, Refusal> {
    let backend = &route.target.backend;
    let bridge = Bridge::between(asked, backend)?;
    if asked.client == Client::Modern {
        check_mirrors(route, asked, headers)?;
    }
    let round = (bridge == Bridge::None(Era::Modern)).then(|| Round {
        server: server.name.clone(),
        backend: backend.id.clone(),
        body: body.clone(),
    });
    let body = outgoing_body(plane, route, bridge, asked, (body, round.as_ref()))?;
    let mut admitted = backend::admit(backend).await?;
    let passed = passed_through(backend, headers);
    let (admitted, answered, session) = match bridge.backend_speaks() {
        Era::Modern => {
            let mut out = modern_headers(asked, route, headers)?;
            out.extend(passed);
            credential.write_headers(&mut out);
            match bridge {
                // The legacy client may go away without cancelling; a closed exchange would cancel.
                Bridge::ToModern => {
                    let (admitted, answered) =
                        backend::call_to_the_end(admitted, &plane.exchange, out, body).await?;
                    (admitted, answered, None)
                }
                _ => {
                    let answered = admitted.call(&plane.exchange, out, body).await?;
                    (admitted, answered, None)
                }
            }
        }
        Era::Legacy => {
            let legacy = backend.legacy.ok_or_else(|| Refusal::backend(Reason::Protocol, &backend.id))?;
            // Three times as large as all the rest, which every call would carry along.
            let calling = call_legacy(plane, &mut admitted, legacy, credential, asked, (passed, body));
            let (answered, session) = Box::pin(calling).await?;
            (admitted, answered, session)
        }
    };
    let relay = Relay::new(plane.clone(), admitted, (bridge, round), asked, session);
    relay::answer(relay, answered).await
}

/// In the session that belongs to the caller. A session that the backend has forgotten (404) is begun again, and the call
/// sent once more, since it was refused before it was executed.
async fn call_legacy(
    plane: &Arc<Plane>,
    admitted: &mut Admitted,
    legacy: Legacy,
    credential: &Credential,
    asked: &Asked<'_>,
    (passed, body): (HeaderMap, Bytes),
) -> Result<(Answered, Option<Arc<Opened>>), Refusal> {
    let client = asked.client.session();
    if !legacy.has_sessions {
        let mut headers = passed;
        headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static(legacy.version.as_str()));
        credential.write_headers(&mut headers);
        return Ok((admitted.call(&plane.exchange, headers, body).await?, None));
    }
    let backend = admitted.backend().clone();
    let mut is_second = false;
    loop {
        let opening = plane.backend_sessions.opened(
            &plane.exchange,
            client.as_ref(),
            &backend,
            admitted.peer(),
            admitted.patience(),
        );
        let opened = match opening.await {
            Ok((opened, is_new)) => {
                if let Some(client) = client.filter(|_| is_new) {
                    hear(plane, client, &opened);
                }
                opened
            }
            Err(failed) => {
                admitted.go_to(&failed.url);
                if failed.is_unreachable && !is_second && admitted.go_elsewhere() {
                    is_second = true;
                    continue;
                }
                // What one opening shows counts once, however many waited for it.
                return Err(match failed.is_first() {
                    true => admitted.refuse(failed.reason),
                    false => Refusal::backend(failed.reason, &backend.id),
                });
            }
        };
        admitted.go_to(&opened.peer().url);
        let session = opened.session();
        let mut headers = passed.clone();
        session.write_headers(&mut headers);
        credential.write_headers(&mut headers);
        let called = match &session.duplex {
            Some(duplex) => admitted.call_in(duplex, headers, body.clone()).await,
            None => admitted.call_here(&plane.exchange, headers, body.clone()).await,
        };
        if !is_second && may_begin_again(&called, &opened, asked, admitted) {
            plane.backend_sessions.forget(client.as_ref(), &backend, &opened).await;
            is_second = true;
            continue;
        }
        let answered = called.map_err(|failure| admitted.refuse(Reason::from(&failure)))?;
        return Ok((answered, Some(opened)));
    }
}

/// Whether a call was refused before it was executed, and a new session may be better off: the backend has forgotten this one, or
/// cannot be reached where it is held, and the call has gone over to another address, which does not know it.
fn may_begin_again(
    called: &Result<Answered, Failure>,
    opened: &Opened,
    asked: &Asked<'_>,
    admitted: &mut Admitted,
) -> bool {
    match called {
        Ok(Answered { answer: Answer::Refused { status, body, .. }, .. }) => {
            let session = opened.session();
            let is_session = session.id.is_some() || session.duplex.is_some();
            *status == StatusCode::NOT_FOUND && is_session && !relay::is_response_to(asked, body)
        }
        Err(Failure::Unreachable(_)) => admitted.go_elsewhere(),
        Ok(_) | Err(_) => false,
    }
}

/// Headers of the client that its virtual server passes on; not where the backend's own say something.
fn passed_through(backend: &Backend, incoming: &HeaderMap) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for name in backend.passthrough.iter() {
        if backend.headers.as_ref().is_some_and(|own| own.contains_key(name)) {
            continue;
        }
        for value in incoming.get_all(name) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// The body under the backend's own name, in its era, and with what the backend has kept with the client. If nothing differs, the very
/// same bytes.
fn outgoing_body(
    plane: &Plane,
    route: &Route<'_>,
    bridge: Bridge,
    asked: &Asked<'_>,
    (body, round): (&Bytes, Option<&Round>),
) -> Result<Bytes, Refusal> {
    let (quoted, opened);
    let mut edits = Edits::new();
    if route.is_renamed
        && let Some(name) = asked.name()
    {
        quoted = quote(&route.target.original_name);
        edits.replace(name, quoted.as_bytes());
    }
    if let Some(round) = round
        && let Some(state) = asked.request.params.as_ref().and_then(|params| params.get("requestState"))
    {
        let state_opened = state.as_str().and_then(|sealed| round.open(&plane.sessions, &sealed));
        opened = quote(&state_opened.ok_or_else(Refusal::unknown_state)?);
        edits.replace(state, opened.as_bytes());
    }
    bridge::write_request(bridge, &asked.request, &mut edits);
    Ok(if edits.is_empty() { body.clone() } else { edits.apply(body).into() })
}

/// Headers that mirror arguments must agree with them, and arguments that are mirrored must have their headers.
fn check_mirrors(route: &Route<'_>, asked: &Asked<'_>, headers: &HeaderMap) -> Result<(), Refusal> {
    if route.target.mirrors.is_empty() {
        return Ok(());
    }
    let arguments = asked.arguments();
    let mut mirrors = route.target.mirrors.iter();
    mirrors
        .try_for_each(|mirror| mirror.check(headers, arguments.as_ref()))
        .map_err(|m| Refusal::header_mismatch(&m))
}

/// The headers that mirror the body as the backend sees it. What a modern client has mirrored travels on as it is; for a
/// legacy client it is made.
fn modern_headers(asked: &Asked<'_>, route: &Route<'_>, incoming: &HeaderMap) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::with_capacity(8);
    let version = HeaderValue::from_static(ProtocolVersion::LATEST_MODERN.as_str());
    headers.insert(header::PROTOCOL_VERSION, version);
    headers.insert(header::METHOD, HeaderValue::from_static(asked.ask.method()));
    if let Some(mirrored) = asked.ask.mirrored() {
        let name = match mirrored {
            "uri" => asked.name().and_then(|uri| uri.as_str()).map(|uri| header::encode(&uri)),
            _ => Some(header::encode(&route.target.original_name)),
        };
        headers.extend(name.map(|name| (header::NAME, name)));
    }
    if asked.client == Client::Modern {
        for (name, value) in incoming {
            if name.as_str().starts_with(header::PARAM_PREFIX) {
                headers.append(name, value.clone());
            }
        }
    } else if !route.target.mirrors.is_empty() {
        let arguments = asked.arguments();
        for mirror in route.target.mirrors.iter() {
            mirror.write(&mut headers, arguments.as_ref()).map_err(|m| Refusal::header_mismatch(&m))?;
        }
    }
    Ok(headers)
}
