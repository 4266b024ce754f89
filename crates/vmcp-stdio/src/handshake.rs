//! Finds out a child's era, and begins the one session that a legacy child has
//! (MCP 2026-07-28, stdio, Backward Compatibility).

use std::time::Duration;

use bytes::Bytes;
use vmcp_core::limits;
use vmcp_json::Limits;
use vmcp_mcp::{
    Era, Implementation, Message, Outcome, ProtocolVersion, code, method, modern_params, notification,
    request,
};

use crate::connection::{Connection, response};

const OURSELVES: Implementation<'static> =
    Implementation { name: "vmcp", version: env!("CARGO_PKG_VERSION") };
const LIMITS: Limits = Limits::new(limits::CHILD_LINE_BYTES, limits::DEPTH);

/// How a child is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// Every request carries its metadata.
    Modern,
    /// In the one session that has been begun; its `initialize` result, as the child wrote it.
    Legacy { initialized: Bytes },
}

impl Spoken {
    pub(crate) fn era(&self) -> Era {
        match self {
            Self::Modern => Era::Modern,
            Self::Legacy { .. } => Era::Legacy,
        }
    }
}

/// Probes, then initializes. The error is for people.
pub(crate) async fn handshake(connection: &Connection) -> Result<Spoken, String> {
    let discover = request("0", method::DISCOVER, Some(&modern_params(&OURSELVES, "")));
    if let Some(body) = ask(connection, &discover, Era::Modern, limits::PROBE_TIME).await
        && is_modern(&body)
    {
        return Ok(Spoken::Modern);
    }
    let params = format!(
        "{{\"protocolVersion\":\"{}\",\"capabilities\":{{}},\"clientInfo\":{}}}",
        ProtocolVersion::LATEST_LEGACY,
        OURSELVES.to_json()
    );
    let initialize = request("0", method::INITIALIZE, Some(&params));
    let Some(body) = ask(connection, &initialize, Era::Legacy, limits::CHILD_START_TIME).await else {
        let seconds = limits::CHILD_START_TIME.as_secs();
        return Err(format!("it answered neither server/discover nor initialize within {seconds} s"));
    };
    let initialized = match Message::parse(&body, &LIMITS) {
        Ok(Message::Response(response)) => match response.outcome {
            Outcome::Result(result) => Bytes::copy_from_slice(result.raw().as_bytes()),
            Outcome::Error { code, error } => {
                let message = error.get("message").and_then(|message| message.as_str()).unwrap_or_default();
                return Err(format!("it refused initialize: {message} ({code})"));
            }
        },
        _ => return Err("it answered initialize with something that is not a response".into()),
    };
    connection.tell(&notification(method::INITIALIZED, None)).await;
    Ok(Spoken::Legacy { initialized })
}

fn is_modern(body: &[u8]) -> bool {
    let Ok(Message::Response(response)) = Message::parse(body, &LIMITS) else { return false };
    match response.outcome {
        Outcome::Error { code, .. } => code::is_modern(code),
        Outcome::Result(result) => {
            let ours = ProtocolVersion::LATEST_MODERN.as_str();
            let versions = result.get("supportedVersions").and_then(|versions| versions.as_array());
            versions.is_some_and(|mut all| all.any(|version| version.as_str().as_deref() == Some(ours)))
        }
    }
}

async fn ask(connection: &Connection, message: &str, era: Era, patience: Duration) -> Option<Bytes> {
    let Ok(Message::Request(request)) = Message::parse(message.as_bytes(), &LIMITS) else { return None };
    let asked = connection.ask(&request, message.as_bytes(), era).await.ok()?;
    tokio::time::timeout(patience, response(asked)).await.ok().flatten()
}
