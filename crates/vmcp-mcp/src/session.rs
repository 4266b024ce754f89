//! Sessions with legacy backends: begun with `initialize`, ended with DELETE
//! (MCP 2025-11-25, Lifecycle; Streamable HTTP, Session Management).

use http::{HeaderMap, HeaderValue, Uri};

use crate::compose::{Implementation, notification, request};
use crate::exchange::{Answer, Call, Exchange, read_response};
use crate::failure::Failure;
use crate::header::SessionId;
use crate::message::Outcome;
use crate::version::{Era, ProtocolVersion};
use crate::{header, method};

/// A session with a legacy backend, or the agreement to have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What both sides speak.
    pub version: ProtocolVersion,
    /// Absent if the backend keeps no sessions.
    pub id: Option<SessionId>,
}

/// What a legacy backend says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// Sets those headers.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static(self.version.as_str()));
        if let Some(id) = &self.id {
            headers.insert(header::SESSION_ID, id.header());
        }
    }
}

/// Begins a session, declaring no client capabilities, since nothing that a server asks is relayed yet.
/// `None`: the backend answered, and not as a legacy one.
///
/// # Errors
/// No answer at all, or one without the session's version.
pub async fn open(
    exchange: &Exchange,
    url: &Uri,
    client: &Implementation<'_>,
) -> Result<Option<Initialized>, Failure> {
    let params = format!(
        "{{\"protocolVersion\":\"{}\",\"capabilities\":{{}},\"clientInfo\":{}}}",
        ProtocolVersion::LATEST_LEGACY,
        client.to_json(),
    );
    let body = request(ID, method::INITIALIZE, Some(&params));
    let call = Call { url: url.clone(), headers: HeaderMap::new(), body: body.into() };
    let (body, id) = exchange.ask(call, ID).await?;
    let limits = exchange.answer_limits();
    let Some(response) = read_response(&body, &limits) else { return Ok(None) };
    let Outcome::Result(result) = response.outcome else { return Ok(None) };
    let version = result.get("protocolVersion").and_then(|value| value.as_str()).unwrap_or_default();
    let Some(version) = ProtocolVersion::parse(&version).filter(|version| version.era() == Era::Legacy)
    else {
        return Err(Failure::Protocol(format!("answered initialize with protocol version `{version}`")));
    };
    let session = Session { version, id };
    let instructions =
        result.get("instructions").and_then(|value| value.as_str()).map(|text| text.into_owned());
    let capabilities = result.get("capabilities").map_or("{}", |value| value.raw()).to_owned();
    confirm(exchange, url, &session).await?;
    Ok(Some(Initialized { session, capabilities, instructions }))
}

/// Ends a session, if there is one.
pub async fn close(exchange: &Exchange, url: &Uri, session: &Session) {
    if session.id.is_some() {
        exchange.delete(url.clone(), session.headers()).await;
    }
}

async fn confirm(exchange: &Exchange, url: &Uri, session: &Session) -> Result<(), Failure> {
    let body = notification(method::INITIALIZED, None);
    let call = Call { url: url.clone(), headers: session.headers(), body: body.into() };
    match exchange.send(call).await?.answer {
        Answer::Refused { status, .. } => Err(Failure::Status(status)),
        Answer::Accepted | Answer::Message(_) | Answer::Stream(_) => Ok(()),
    }
}
