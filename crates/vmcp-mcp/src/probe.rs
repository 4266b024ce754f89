//! Finds out whether a backend is modern
//! (MCP 2026-07-28, Versioning, Backward Compatibility with Initialization-Based Versions).

use http::{HeaderMap, StatusCode};
use vmcp_json::Object;

use crate::compose::{Implementation, modern_params, request};
use crate::exchange::{Answer, Exchange, read_response};
use crate::failure::Failure;
use crate::message::Outcome;
use crate::peer::{Carrier, Peer};
use crate::version::{Era, ProtocolVersion};
use crate::{code, method};

/// What a modern backend says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// `capabilities` as it was written.
    pub capabilities: String,
    /// What a model should know, if it says anything.
    pub instructions: Option<String>,
    /// It says that it speaks legacy versions, too. Some that do say nothing of it.
    pub names_legacy: bool,
}

const ID: &str = "\"vmcp-discover\"";

/// Asks `server/discover`. `None`: the backend answered, and not as a modern one.
///
/// # Errors
/// No answer at all, or a modern one that refuses every version we speak.
pub async fn discover(
    exchange: &Exchange,
    peer: &Peer,
    client: &Implementation<'_>,
) -> Result<Option<Discovered>, Failure> {
    if peer.carrier == Carrier::Sse {
        return Ok(None);
    }
    match ask(exchange, peer, client).await? {
        Said::Discovered(discovered) => Ok(discovered),
        // It wants the very version that it has been asked in; perhaps that was for once.
        Said::Unsupported { is_ours: true, .. } => match ask(exchange, peer, client).await? {
            Said::Discovered(discovered) => Ok(discovered),
            Said::Unsupported { message, .. } => Err(Failure::Protocol(message)),
        },
        Said::Unsupported { message, .. } => Err(Failure::Protocol(message)),
    }
}

/// How a backend answers `server/discover`.
enum Said {
    Discovered(Option<Discovered>),
    /// A modern refusal, and whether it names our version as one that it speaks.
    Unsupported {
        message: String,
        is_ours: bool,
    },
}

async fn ask(exchange: &Exchange, peer: &Peer, client: &Implementation<'_>) -> Result<Said, Failure> {
    let body = request(ID, method::DISCOVER, Some(&modern_params(client, "")));
    let call = peer.modern(method::DISCOVER, body);
    let body = match exchange.ask(call, ID).await {
        Ok((body, _)) => body,
        // These say something of this moment, and nothing of the server.
        Err(failure @ Failure::Status(status)) if is_passing(status) => return Err(failure),
        // Whatever else is not JSON-RPC comes from a server that does not know the method.
        Err(Failure::Status(_) | Failure::Protocol(_)) => return Ok(Said::Discovered(None)),
        Err(failure) => return Err(failure),
    };
    let limits = exchange.answer_limits();
    let Some(response) = read_response(&body, &limits) else { return Ok(Said::Discovered(None)) };
    match response.outcome {
        Outcome::Result(result) => {
            if !speaks_modern(&result) {
                return Ok(Said::Discovered(None));
            }
            let capabilities = result.get("capabilities").map_or("{}", |value| value.raw()).to_owned();
            let instructions = result.get("instructions").and_then(|value| value.as_str());
            let instructions = instructions.map(|text| text.into_owned());
            let names_legacy = versions(&result, "supportedVersions").any(|era| era == Era::Legacy);
            Ok(Said::Discovered(Some(Discovered { capabilities, instructions, names_legacy })))
        }
        Outcome::Error { code, error } if code::is_modern(code) => {
            let message = error.get("message").and_then(|message| message.as_str()).unwrap_or_default();
            let message = format!("refused server/discover: {message} ({code})");
            let data = error.get("data").and_then(|data| data.as_object());
            let is_ours = data.is_some_and(|data| versions(&data, "supported").any(|era| era == Era::Modern));
            Ok(Said::Unsupported { message, is_ours })
        }
        Outcome::Error { .. } => Ok(Said::Discovered(None)),
    }
}

/// The eras of the versions that are named there and that we speak.
fn versions(object: &Object<'_>, name: &str) -> impl Iterator<Item = Era> {
    let versions = object.get(name).and_then(|versions| versions.as_array()).into_iter().flatten();
    let known = versions.filter_map(|version| ProtocolVersion::parse(&version.as_str()?));
    known.map(ProtocolVersion::era).collect::<Vec<_>>().into_iter()
}

/// Whether a modern backend says that it speaks nothing else: it has no stream to listen on
/// (MCP 2026-07-28, Streamable HTTP: servers of that version alone answer GET with 405).
pub async fn is_modern_alone(exchange: &Exchange, peer: &Peer) -> bool {
    let listened = exchange.listen(peer.url.clone(), peer.with_own(HeaderMap::new())).await;
    matches!(listened, Ok(Answer::Refused { status: StatusCode::METHOD_NOT_ALLOWED, .. }))
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// Whether the result of `server/discover` names the modern version that we speak.
pub fn speaks_modern(result: &Object<'_>) -> bool {
    versions(result, "supportedVersions").any(|era| era == Era::Modern)
}
