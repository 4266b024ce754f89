//! Sessions with legacy backends: begun with `initialize`, ended with DELETE
//! (MCP 2025-11-25, Lifecycle; Streamable HTTP, Session Management).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::compose::{Implementation, notification, request};
use crate::duplex::Duplex;
use crate::exchange::{Answer, Answered, Exchange, read_response};
use crate::failure::Failure;
use crate::header::SessionId;
use crate::holder::Holder;
use crate::message::Outcome;
use crate::peer::{Carrier, Peer};
use crate::stream::EventStream;
use crate::version::{Era, ProtocolVersion};
use crate::watch::is_for_now;
use crate::{header, method};

/// A session with a legacy backend, or the agreement to have none.
#[derive(Debug, Clone)]
pub struct Session {
    /// What both sides speak.
    pub version: ProtocolVersion,
    /// Absent if the backend keeps no sessions.
    pub id: Option<SessionId>,
    /// The stream that the session is, over HTTP with SSE.
    pub duplex: Option<Arc<Duplex>>,
}

/// What a legacy backend says of itself.
#[derive(Debug, Clone)]
pub struct Initialized {
    /// The session that has been begun.
    pub session: Session,
    /// `capabilities` as it was written.
    pub capabilities: String,
    /// What a model should know, if it says anything.
    pub instructions: Option<String>,
}

const ID: &str = "\"vmcp-initialize\"";

impl Session {
    /// The headers that a request in this session carries.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(2);
        self.write_headers(&mut headers);
        headers
    }

    /// Sends one message in this session.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn send(&self, exchange: &Exchange, peer: &Peer, body: Bytes) -> Result<Answered, Failure> {
        self.send_with(exchange, peer, self.headers(), body).await
    }

    async fn send_with(
        &self,
        exchange: &Exchange,
        peer: &Peer,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answered, Failure> {
        match &self.duplex {
            Some(duplex) => duplex.send(peer.with_own(headers), body).await,
            None => exchange.send(peer.call(headers, body)).await,
        }
    }

    /// Asks something in this session and waits for the response. `id` is JSON.
    ///
    /// # Errors
    /// See [`Failure`]. A JSON-RPC error is a response.
    pub async fn ask(
        &self,
        exchange: &Exchange,
        peer: &Peer,
        body: String,
        id: &str,
    ) -> Result<Bytes, Failure> {
        let answered = self.send(exchange, peer, body.into()).await?;
        Ok(exchange.response(answered, id).await?.0)
    }

    /// Sets those headers.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static(self.version.as_str()));
        if let Some(id) = &self.id {
            headers.insert(header::SESSION_ID, id.header());
        }
    }
}

/// Begins a session. `None`: the backend answered, and not as a legacy one.
///
/// # Errors
/// No answer at all, or one without the session's version.
pub async fn open(
    exchange: &Exchange,
    peer: &Peer,
    client: &Implementation<'_>,
    holder: Holder<'_>,
) -> Result<Option<Initialized>, Failure> {
    let capabilities = holder.capabilities();
    let duplex = match peer.carrier {
        Carrier::StreamableHttp => None,
        Carrier::Sse => Some(Arc::new(Duplex::open(exchange, peer, holder).await?)),
    };
    let params = format!(
        "{{\"protocolVersion\":\"{}\",\"capabilities\":{capabilities},\"clientInfo\":{}}}",
        ProtocolVersion::LATEST_LEGACY,
        client.to_json(),
    );
    let body = request(ID, method::INITIALIZE, Some(&params));
    let unversioned = Session { version: ProtocolVersion::LATEST_LEGACY, id: None, duplex: duplex.clone() };
    // A server of both eras may want to see it in every request, and others do not look at it.
    let answered = unversioned.send_with(exchange, peer, mirroring(method::INITIALIZE), body.into()).await?;
    let (body, id) = exchange.response(answered, ID).await?;
    let limits = exchange.answer_limits();
    let Some(response) = read_response(&body, &limits) else { return Ok(None) };
    let Outcome::Result(result) = response.outcome else { return Ok(None) };
    let version = result.get("protocolVersion").and_then(|value| value.as_str()).unwrap_or_default();
    let Some(version) = ProtocolVersion::parse(&version).filter(|version| version.era() == Era::Legacy)
    else {
        return Err(Failure::Protocol(format!("answered initialize with protocol version `{version}`")));
    };
    let session = Session { version, id, duplex };
    let instructions =
        result.get("instructions").and_then(|value| value.as_str()).map(|text| text.into_owned());
    let capabilities = result.get("capabilities").map_or("{}", |value| value.raw()).to_owned();
    confirm(exchange, peer, &session).await?;
    Ok(Some(Initialized { session, capabilities, instructions }))
}

/// What a legacy backend says in a session by itself. `None`: it has no stream for that.
///
/// # Errors
/// No answer at all, or it does not know the session any more.
pub async fn listen(
    exchange: &Exchange,
    peer: &Peer,
    session: &Session,
) -> Result<Option<EventStream>, Failure> {
    if let Some(duplex) = &session.duplex {
        return Ok(Some(duplex.others()));
    }
    match exchange.listen(peer.url.clone(), peer.with_own(session.headers())).await {
        Ok(Answer::Stream(events)) => Ok(Some(events)),
        Ok(Answer::Refused { status: StatusCode::NOT_FOUND, .. }) if session.id.is_some() => {
            Err(Failure::Status(StatusCode::NOT_FOUND))
        }
        Ok(Answer::Refused { status, .. }) if is_for_now(status) => Err(Failure::Status(status)),
        Ok(_) | Err(Failure::Protocol(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Goes on with a stream of a legacy backend behind the event with this id. `None`: it does not offer that.
///
/// # Errors
/// No answer at all.
pub async fn resume(
    exchange: &Exchange,
    peer: &Peer,
    session: &Session,
    last_id: &[u8],
) -> Result<Option<EventStream>, Failure> {
    let Ok(last_id) = HeaderValue::from_bytes(last_id) else { return Ok(None) };
    let mut headers = peer.with_own(session.headers());
    headers.insert(header::LAST_EVENT_ID, last_id);
    match exchange.listen(peer.url.clone(), headers).await? {
        Answer::Stream(events) => Ok(Some(events)),
        Answer::Message(_) | Answer::Accepted | Answer::Refused { .. } => Ok(None),
    }
}

/// Ends a session, if there is one.
pub async fn close(exchange: &Exchange, peer: &Peer, session: &Session) {
    if session.id.is_some() {
        exchange.delete(peer.url.clone(), peer.with_own(session.headers())).await;
    }
}

fn mirroring(method: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::METHOD, HeaderValue::from_static(method))])
}

async fn confirm(exchange: &Exchange, peer: &Peer, session: &Session) -> Result<(), Failure> {
    let body = notification(method::INITIALIZED, None);
    let mut headers = mirroring(method::INITIALIZED);
    session.write_headers(&mut headers);
    match session.send_with(exchange, peer, headers, body.into()).await?.answer {
        Answer::Refused { status, .. } => Err(Failure::Status(status)),
        Answer::Accepted | Answer::Message(_) | Answer::Stream(_) => Ok(()),
    }
}
