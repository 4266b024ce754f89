//! From an HTTP request to a question whose era, session and mirrored headers have been checked.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_json::Object;
use vmcp_mcp::{Era, Message, Notification, ProtocolVersion, Request, Response, body, header, method};

use crate::asked::{Ask, Asked, Client};
use crate::principal::Scope;
use crate::refusal::Refusal;
use crate::relay::resumption;
use crate::request::Arrived;
use crate::session::{Session, Sessions};
use crate::sticky::Carried;

/// The version that a modern request names.
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The capabilities that a modern request declares.
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// Reads the whole body, within its bound.
pub(super) async fn receive_body(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut pieces = content_type.split(';').map(str::trim);
    let is_json = pieces.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    // JSON is UTF-8 (RFC 8259, section 8.1): who says otherwise may mean something else than we read.
    let is_utf8 = pieces.filter_map(|piece| piece.split_once('=')).all(|(name, charset)| {
        !name.trim().eq_ignore_ascii_case("charset")
            || charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    // Nothing is unpacked here, so what says that it is packed is not what it looks like.
    let is_plain = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if !is_json || !is_utf8 || !is_plain {
        return Err(Refusal::content_type());
    }
    let collecting = body::collect(&mut body, limits::REQUEST_BYTES);
    match tokio::time::timeout(limits::REQUEST_TIME, collecting).await {
        Ok(Ok(body)) => Ok(body),
        Err(_) | Ok(Err(body::Incomplete::Broken(_))) => Err(Refusal::broken()),
        Ok(Err(body::Incomplete::TooLarge { .. })) => {
            let discarding = body::discard(&mut body, limits::DISCARDED_BYTES);
            // A sender slower than that is not waited for.
            let _ = tokio::time::timeout(limits::DISCARD_TIME, discarding).await;
            Err(Refusal::too_large())
        }
    }
}

/// A message of a client.
#[derive(Debug)]
pub(super) enum Received<'a> {
    /// It wants an answer.
    Asked(Asked<'a>),
    /// A legacy client says something in its session.
    Told(Session, Notification<'a>),
    /// A legacy client answers what it was asked.
    Answered(Session, Response<'a>),
    /// An answer to something that nobody can have asked, or a notice that changes nothing here.
    Nothing,
}

/// Reads the message, finds out its era, and holds it to that era's rules.
pub(super) fn receive<'a>(arrived: Arrived<'_>, body: &'a [u8]) -> Result<Received<'a>, Refusal> {
    let session = || match arrived.headers.contains_key(header::SESSION_ID) {
        true => arrived.session().map(Some),
        false => Ok(None),
    };
    let message = Message::parse(body, &limits::REQUEST).map_err(|rejected| {
        let refusal = Refusal::malformed(&rejected.why);
        if let Some(id) = rejected.id { refusal.with_id(id.raw()) } else { refusal }
    })?;
    let request = match message {
        Message::Request(request) => request,
        Message::Notification(told) => {
            return Ok(session()?.map_or(Received::Nothing, |session| Received::Told(session, told)));
        }
        Message::Response(answered) => {
            return Ok(session()?.map_or(Received::Nothing, |session| Received::Answered(session, answered)));
        }
    };
    let id = request.id.raw();
    check(arrived, request).map(Received::Asked).map_err(|refusal| refusal.with_id(id))
}

fn check<'a>(arrived: Arrived<'_>, request: Request<'a>) -> Result<Asked<'a>, Refusal> {
    let Arrived { server, headers, identity, .. } = arrived;
    let meta =
        request.params.as_ref().and_then(|params| params.get("_meta")).and_then(|meta| meta.as_object());
    let is_modern = match &meta {
        Some(meta) if meta.member(META_VERSION).is_some() => true,
        _ => names_modern_version(headers) && request.method != method::INITIALIZE,
    };
    let client = if is_modern {
        check_modern(headers, &request, meta)?;
        Client::Modern
    } else {
        check_legacy(arrived, &request)?
    };
    let ask = Ask::of(&request.method, is_modern)
        .filter(|ask| !ask.is_about_task() || server.abilities.extensions.tasks)
        .ok_or_else(|| Refusal::unknown_method(&request.method, is_modern))?;
    if is_modern && let Some(name) = ask.mirrored() {
        let value = text_param(request.params.as_ref(), name)?;
        header::require(headers, &header::NAME, &value).map_err(|m| Refusal::header_mismatch(&m))?;
    }
    Ok(Asked { request, ask, client, principal: identity.principal })
}

/// A version header that no legacy client sends, outside a legacy session.
fn names_modern_version(headers: &HeaderMap) -> bool {
    let Ok(Some(version)) = header::value(headers, &header::PROTOCOL_VERSION) else { return false };
    !headers.contains_key(header::SESSION_ID) && version.as_ref() > ProtocolVersion::LATEST_LEGACY.as_str()
}

/// MCP 2026-07-28, Streamable HTTP, Server Validation; Base Protocol, Per-request protocol fields.
fn check_modern(headers: &HeaderMap, request: &Request<'_>, meta: Option<Object<'_>>) -> Result<(), Refusal> {
    let Some(meta) = meta else {
        return Err(Refusal::malformed_params("`params._meta` is missing"));
    };
    let Some(version) = meta.get(META_VERSION).and_then(|version| version.as_str()) else {
        return Err(Refusal::malformed_params(&format!("`_meta` lacks `{META_VERSION}`")));
    };
    header::require(headers, &header::PROTOCOL_VERSION, &version)
        .map_err(|m| Refusal::header_mismatch(&m))?;
    if ProtocolVersion::parse(&version).is_none_or(|version| version.era() != Era::Modern) {
        return Err(Refusal::unsupported_version(&version));
    }
    header::require(headers, &header::METHOD, &request.method).map_err(|m| Refusal::header_mismatch(&m))?;
    if meta.get(META_CAPABILITIES).and_then(|capabilities| capabilities.as_object()).is_none() {
        return Err(Refusal::malformed_params(&format!("`_meta` lacks `{META_CAPABILITIES}`")));
    }
    Ok(())
}

/// A session decides the version; headers that contradict it are common and harmless, since nothing follows from them.
fn check_legacy(arrived: Arrived<'_>, request: &Request<'_>) -> Result<Client, Refusal> {
    let headers = arrived.headers;
    if request.method == method::INITIALIZE {
        let named = request.params.as_ref().and_then(|params| params.get("protocolVersion"));
        let named = named.and_then(|version| version.as_str()).unwrap_or_default();
        let version = ProtocolVersion::parse(&named).filter(|version| version.era() == Era::Legacy);
        let version = version.unwrap_or(ProtocolVersion::LATEST_LEGACY);
        return Ok(Client::Legacy { version, session: None });
    }
    if headers.contains_key(header::SESSION_ID) {
        let session = arrived.session()?;
        return Ok(Client::Legacy { version: session.version, session: Some(session) });
    }
    let version = match header::value(headers, &header::PROTOCOL_VERSION) {
        Ok(None) => ProtocolVersion::ASSUMED,
        Ok(Some(named)) => {
            ProtocolVersion::parse(&named).ok_or_else(|| Refusal::unsupported_version(&named))?
        }
        Err(mismatch) => return Err(Refusal::header_mismatch(&mismatch)),
    };
    Ok(Client::Legacy { version, session: None })
}

/// The sessions with backends that a legacy client carries in the id of its own.
pub(super) fn carried(headers: &HeaderMap, scope: Scope<'_>, sessions: &Sessions) -> Vec<Carried> {
    let id = headers.get(header::SESSION_ID).and_then(|id| id.to_str().ok());
    id.map(|id| sessions.carried(scope, id)).unwrap_or_default()
}

/// The session that a legacy request names.
pub(super) fn receive_session(
    headers: &HeaderMap,
    scope: Scope<'_>,
    sessions: &Sessions,
) -> Result<Session, Refusal> {
    let mut ids = headers.get_all(header::SESSION_ID).iter();
    let id = ids.next().and_then(|id| id.to_str().ok()).filter(|_| ids.next().is_none());
    let session = id.and_then(|id| sessions.open(scope, id).ok());
    session.ok_or_else(Refusal::unknown_session)
}

/// The last event that a client has heard of a stream that it comes back to: whose, and under which id there.
pub(super) fn last_event(headers: &HeaderMap) -> Option<(Name, Vec<u8>)> {
    resumption::read_id(headers.get(header::LAST_EVENT_ID)?.to_str().ok()?)
}

/// Whether a client can read a stream.
pub(super) fn accepts_events(headers: &HeaderMap) -> Result<(), Refusal> {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|accept| {
        accept.split(',').any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            ["text/event-stream", "text/*", "*/*"].iter().any(|good| range.eq_ignore_ascii_case(good))
        })
    });
    if accepts { Ok(()) } else { Err(Refusal::not_acceptable()) }
}

/// GET: a client that can read a stream, in a session of ours, or without one.
pub(super) fn receive_listener(arrived: Arrived<'_>) -> Result<Option<Session>, Refusal> {
    let headers = arrived.headers;
    accepts_events(headers)?;
    if names_modern_version(headers) {
        return Err(Refusal::method_not_allowed());
    }
    match headers.contains_key(header::SESSION_ID) {
        true => arrived.session().map(Some),
        false => Ok(None),
    }
}

fn text_param(params: Option<&Object<'_>>, name: &str) -> Result<String, Refusal> {
    let value = params.and_then(|params| params.get(name)).and_then(|value| value.as_str());
    value
        .map(|text| text.into_owned())
        .ok_or_else(|| Refusal::malformed_params(&format!("`params.{name}` must be a string")))
}
