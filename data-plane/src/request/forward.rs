//! To the backend and back: the request spliced, the answer passed on.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use vmcp_json::{Edits, Object, quote};
use vmcp_mcp::{Answer, Answered, Era, ProtocolVersion, header};

use crate::asked::{Asked, Client};
use crate::audit::Entry;
use crate::backend::{self, Admitted, Backend, Opened};
use crate::bridge::{self, Bridge};
use crate::plane::Plane;
use crate::principal::Identity;
use crate::refusal::{Reason, Refusal};
use crate::relay::{self, Relay};
use crate::request::authorize::standing;
use crate::request::credential::Credential;
use crate::request::in_session::Calling;
use crate::request::route::Route;
use crate::round::Round;
use crate::shared::SharedCall;
use crate::snapshot::Server;

/// Sends the call to its one backend and returns the answer, whole or as a stream.
pub(super) async fn forward(
    plane: &Arc<Plane>,
    server: &Server,
    route: &Route<'_>,
    (identity, mut credential): (&Identity, Credential),
    (asked, entry): (&Asked<'_>, &mut Entry),
    (headers, body): (&HeaderMap, &Bytes),
) -> Result<Response, Refusal> {
    let backend = &route.target.backend;
    let bridge = Bridge::between(asked, backend)?;
    if asked.client == Client::Modern {
        check_mirrors(route, asked, headers)?;
    }
    let round = (bridge == Bridge::None(Era::Modern)).then(|| Round {
        server: server.name.clone(),
        principal: asked.principal,
        backend: backend.id.clone(),
        body: body.clone(),
    });
    let is_shared = bridge.backend_speaks() == Era::Legacy && backend.shares_sessions();
    let shared = is_shared
        .then(|| Box::new(plane.shared_calls.begin(asked.client.session().as_ref(), &asked.request)));
    let body = outgoing_body(plane, route, bridge, asked, (body, round.as_ref(), shared.as_deref()))?;
    let mut admitted = backend::admit(backend).await?;
    let passed = passed_through(backend, headers);
    let mut is_second = false;
    loop {
        let credential_of = (identity, &credential);
        let sending = Sending { plane, server, route, credential_of, asked, bridge, headers };
        let sent = sending.send(admitted, shared.as_deref(), passed.clone(), body.clone()).await;
        let is_refused = match &sent {
            Ok((_, answered, _)) => {
                matches!(&answered.answer, Answer::Refused { status: StatusCode::UNAUTHORIZED, .. })
            }
            Err(refusal) => refusal.is_auth(),
        };
        // What was refused for its token was not executed.
        if is_refused
            && !is_second
            && let Some(renewed) = credential.renewed(plane, identity, backend).await
        {
            drop(sent);
            (credential, is_second) = (renewed?, true);
            admitted = backend::admit(backend).await?;
            continue;
        }
        let (admitted, answered, session) = sent?;
        let how = (bridge, round, shared);
        let is_stream = matches!(answered.answer, Answer::Stream(_));
        let standing = if is_stream { standing((server, &plane.sessions), identity, asked) } else { None };
        let whose = (server.is_public(), standing);
        let relay = Relay::new(plane.clone(), admitted, how, whose, (asked, entry.take()), session);
        return relay::answer(relay, answered).await;
    }
}

/// A call, as often as it is sent.
struct Sending<'s> {
    plane: &'s Arc<Plane>,
    server: &'s Server,
    route: &'s Route<'s>,
    credential_of: (&'s Identity, &'s Credential),
    asked: &'s Asked<'s>,
    bridge: Bridge,
    headers: &'s HeaderMap,
}

impl Sending<'_> {
    async fn send(
        &self,
        mut admitted: Admitted,
        shared: Option<&SharedCall>,
        passed: HeaderMap,
        body: Bytes,
    ) -> Result<(Admitted, Answered, Option<Arc<Opened>>), Refusal> {
        let Self { plane, server, route, credential_of, asked, bridge, headers } = *self;
        let (identity, credential) = credential_of;
        let backend = &route.target.backend;
        match bridge.backend_speaks() {
            Era::Modern => {
                let mut out = modern_headers(asked, route, headers)?;
                out.extend(passed);
                credential.write_headers(&mut out);
                match bridge {
                    // The legacy client may go away without cancelling; a closed exchange would cancel.
                    Bridge::ToModern => {
                        let (admitted, answered) =
                            backend::call_to_the_end(admitted, &plane.exchange, out, body).await?;
                        Ok((admitted, answered, None))
                    }
                    _ => {
                        let answered = admitted.call(&plane.exchange, out, body).await?;
                        Ok((admitted, answered, None))
                    }
                }
            }
            Era::Legacy => {
                let legacy = backend.legacy.ok_or_else(|| Refusal::backend(Reason::Protocol, &backend.id))?;
                // Three times as large as all the rest, which every call would carry along.
                let calling = Calling { plane, server, legacy, identity, credential, asked, shared, headers };
                let calling = calling.call(&mut admitted, passed, body);
                let (answered, session) = Box::pin(calling).await?;
                Ok((admitted, answered, session))
            }
        }
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
    (body, round, shared): (&Bytes, Option<&Round>, Option<&SharedCall>),
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
    let goes_on = |params: &Object<'_>| {
        ["requestState", "inputResponses"].iter().any(|name| params.member(name).is_some())
    };
    if bridge == Bridge::ToModern && asked.request.params.as_ref().is_some_and(goes_on) {
        return Err(Refusal::malformed_params("`requestState` and `inputResponses` are of MCP 2026-07-28"));
    }
    if let Some(shared) = shared {
        shared.write_request(&asked.request, &mut edits);
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
