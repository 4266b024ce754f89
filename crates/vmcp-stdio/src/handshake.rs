//! Finds out a child's era, and begins the one session that a legacy child has
//! (MCP 2026-07-28, stdio, Backward Compatibility).

use std::pin::pin;

use bytes::Bytes;
use vmcp_core::limits;
use vmcp_mcp::{
    Era, Message, OURSELVES, Outcome, ProtocolVersion, code, method, modern_params, notification, request,
    speaks_modern,
};

use crate::connection::{Connection, response};

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

/// Probes, and initializes beside that if the probe is met with silence, as by servers that pass over what they do not
/// know; a child that is merely slow to start answers the probe in its own time. The error is for people.
pub(crate) async fn handshake(connection: &Connection) -> Result<Spoken, String> {
    let discover = request("0", method::DISCOVER, Some(&modern_params(&OURSELVES, "")));
    let mut probe = pin!(ask(connection, &discover));
    let answer = tokio::time::timeout(limits::PROBE_TIME, &mut probe).await;
    match answer {
        Ok(Some(body)) if is_modern(&body) => return Ok(Spoken::Modern),
        Ok(None) => return gone().await,
        Ok(Some(_)) | Err(_) => {}
    }
    let is_silent = answer.is_err();
    let params = format!(
        "{{\"protocolVersion\":\"{}\",\"capabilities\":{{}},\"clientInfo\":{}}}",
        ProtocolVersion::LATEST_LEGACY,
        OURSELVES.to_json()
    );
    let initialize = request("0", method::INITIALIZE, Some(&params));
    let answer = async {
        let mut initialized = pin!(ask(connection, &initialize));
        tokio::select! {
            body = &mut probe, if is_silent => match body {
                Some(body) if is_modern(&body) => None,
                _ => Some(initialized.await),
            },
            body = &mut initialized => Some(body),
        }
    };
    let seconds = limits::CHILD_START_TIME.as_secs();
    match tokio::time::timeout(limits::CHILD_START_TIME, answer).await {
        Err(_) => Err(format!("it answered neither server/discover nor initialize within {seconds} s")),
        Ok(None) => Ok(Spoken::Modern),
        Ok(Some(None)) => gone().await,
        Ok(Some(Some(body))) => {
            let initialized = read_initialized(&body)?;
            connection.tell(&notification(method::INITIALIZED, None)).await;
            Ok(Spoken::Legacy { initialized })
        }
    }
}

/// The child has ended, or its output has. How it ended is for its supervisor to say, who hears of it too.
async fn gone<T>() -> T {
    std::future::pending().await
}

fn read_initialized(body: &[u8]) -> Result<Bytes, String> {
    let Ok(Message::Response(response)) = Message::parse(body, &limits::CHILD_LINE) else {
        return Err("it answered initialize with something that is not a response".into());
    };
    match response.outcome {
        Outcome::Result(result) => Ok(Bytes::copy_from_slice(result.raw().as_bytes())),
        Outcome::Error { code, error } => {
            let message = error.get("message").and_then(|message| message.as_str()).unwrap_or_default();
            Err(format!("it refused initialize: {message} ({code})"))
        }
    }
}

fn is_modern(body: &[u8]) -> bool {
    let Ok(Message::Response(response)) = Message::parse(body, &limits::CHILD_LINE) else { return false };
    match response.outcome {
        Outcome::Error { code, .. } => code::is_modern(code),
        Outcome::Result(result) => speaks_modern(&result),
    }
}

/// `None` if the child has gone. Neither request is cancelled: a child in the middle of its handshake may not take that well.
async fn ask(connection: &Connection, message: &str) -> Option<Bytes> {
    let Ok(Message::Request(request)) = Message::parse(message.as_bytes(), &limits::CHILD_LINE) else {
        return None;
    };
    response(connection.ask(&request, message.as_bytes(), Era::Legacy).await.ok()?).await
}
