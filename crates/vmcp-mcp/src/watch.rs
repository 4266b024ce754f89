//! What a modern backend says by itself (MCP 2026-07-28, Subscriptions).

use http::{HeaderMap, StatusCode};

use crate::compose::{Implementation, modern_params_as, request};
use crate::exchange::{Answer, Exchange};
use crate::failure::Failure;
use crate::method;
use crate::peer::Peer;
use crate::stream::EventStream;

/// Whether a "no" is to what was shown, or to the moment, and not to what was asked.
pub(crate) fn is_for_now(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS)
}

const ID: &str = "\"vmcp-watch\"";

/// A stream of what is wanted (a filter: JSON) by somebody with these capabilities (JSON), asked for with these headers besides those
/// that MCP needs. `None`: the backend does not say.
///
/// # Errors
/// No answer at all.
pub async fn watch(
    exchange: &Exchange,
    peer: &Peer,
    client: &Implementation<'_>,
    (capabilities, wanted): (&str, &str),
    headers: &HeaderMap,
) -> Result<Option<EventStream>, Failure> {
    let members = format!("\"notifications\":{wanted}");
    let body = request(ID, method::LISTEN, Some(&modern_params_as(client, capabilities, &members)));
    let mut call = peer.modern(method::LISTEN, body);
    for (name, value) in headers {
        call.headers.insert(name, value.clone());
    }
    match exchange.send(call).await {
        Ok(answered) => match answered.answer {
            Answer::Stream(events) => Ok(Some(events)),
            // What it is shown, or how often it is asked, may be otherwise soon.
            Answer::Refused { status, .. } if status.is_server_error() || is_for_now(status) => {
                Err(Failure::Status(status))
            }
            Answer::Message(_) | Answer::Accepted | Answer::Refused { .. } => Ok(None),
        },
        Err(Failure::Protocol(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}
