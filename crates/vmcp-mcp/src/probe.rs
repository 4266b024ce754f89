//! Finds out whether a backend is modern
//! (MCP 2026-07-28, Versioning, Backward Compatibility with Initialization-Based Versions).

use http::StatusCode;
use vmcp_json::Object;

use crate::compose::{Implementation, modern_params, request};
use crate::exchange::{Exchange, read_response};
use crate::failure::Failure;
use crate::message::Outcome;
use crate::peer::{Carrier, Peer};
use crate::version::ProtocolVersion;
use crate::{code, method};

/// What a modern backend says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// `capabilities` as it was written.
    pub capabilities: String,
    /// What a model should know, if it says anything.
    pub instructions: Option<String>,
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
    let body = request(ID, method::DISCOVER, Some(&modern_params(client, "")));
    let call = peer.modern(method::DISCOVER, body);
    let body = match exchange.ask(call, ID).await {
        Ok((body, _)) => body,
        // These say something of this moment, and nothing of the server.
        Err(failure @ Failure::Status(status)) if is_passing(status) => return Err(failure),
        // Whatever else is not JSON-RPC comes from a server that does not know the method.
        Err(Failure::Status(_) | Failure::Protocol(_)) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let limits = exchange.answer_limits();
    let Some(response) = read_response(&body, &limits) else { return Ok(None) };
    match response.outcome {
        Outcome::Result(result) => {
            if !speaks_modern(&result) {
                return Ok(None);
            }
            let capabilities = result.get("capabilities").map_or("{}", |value| value.raw()).to_owned();
            let instructions = result.get("instructions").and_then(|value| value.as_str());
            Ok(Some(Discovered { capabilities, instructions: instructions.map(|text| text.into_owned()) }))
        }
        Outcome::Error { code, error } if code::is_modern(code) => {
            let message = error.get("message").and_then(|message| message.as_str()).unwrap_or_default();
            Err(Failure::Protocol(format!("refused server/discover: {message} ({code})")))
        }
        Outcome::Error { .. } => Ok(None),
    }
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// Whether the result of `server/discover` names the modern version that we speak.
pub fn speaks_modern(result: &Object<'_>) -> bool {
    let ours = ProtocolVersion::LATEST_MODERN.as_str();
    let versions = result.get("supportedVersions").and_then(|versions| versions.as_array());
    versions.is_some_and(|mut all| all.any(|version| version.as_str().as_deref() == Some(ours)))
}
