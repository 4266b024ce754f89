//! A backend's stream passed on event by event, until the response has gone out.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use vmcp_core::limits;
use vmcp_mcp::{EventStream, Failure, sse};

use crate::bridge::Bridge;
use crate::refusal::Reason;
use crate::relay::{Passed, Relay};

/// Answers with a stream.
pub(super) fn respond(relay: Relay, events: EventStream) -> Response {
    let running = Running { relay, events: Some(events), is_answered: false };
    event_stream(Body::from_stream(stream::unfold(Some(running), |running| async {
        let mut running = running?;
        let bytes = running.next().await;
        let rest = (!running.is_answered).then_some(running);
        Some((Ok::<Bytes, Infallible>(bytes), rest))
    })))
}

/// A response that is a stream of events
/// (MCP 2026-07-28, Streamable HTTP, Receiving Messages: proxies must not hold it back).
pub(crate) fn event_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// A stream under way. Dropping it, as when the client goes away, closes the exchange with the backend, unless that would
/// say what the client has not said.
struct Running {
    relay: Relay,
    events: Option<EventStream>,
    is_answered: bool,
}

enum Heard {
    Event(Bytes),
    Silence(Duration),
    End(Reason),
}

impl Running {
    /// The next piece for the client. After the response there is none.
    async fn next(&mut self) -> Bytes {
        loop {
            let passed = match listen(&mut self.events).await {
                Heard::Silence(so_far) if so_far < limits::STREAM_SILENCE_TIME => return sse::KEEP_ALIVE,
                Heard::Silence(_) => Err(self.relay.refusal(Reason::Timeout)),
                Heard::End(reason) => Err(self.relay.refusal(reason)),
                Heard::Event(data) => self.relay.pass(data),
            };
            self.is_answered = !matches!(passed, Ok(Passed::Notification(_) | Passed::Nothing));
            match passed {
                Ok(Passed::Notification(message) | Passed::Response(message)) => {
                    return sse::encode(&message);
                }
                Ok(Passed::Nothing) => {}
                // The client waits for a response; this is one.
                Err(refusal) => return sse::encode(refusal.to_message().as_bytes()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let patience = match (self.is_answered, self.relay.bridge) {
            // Read to its end, the connection can be used again.
            (true, _) => limits::STREAM_END_TIME,
            // For a modern backend a closed stream is a cancellation; for the legacy client that has gone it is none
            // (MCP 2025-11-25, Streamable HTTP, Sending Messages to the Server).
            (false, Bridge::ToModern) => limits::STREAM_SILENCE_TIME,
            (false, _) => return,
        };
        let Some(mut events) = self.events.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let to_the_end = async { while let Ok(Some(_)) = events.next().await {} };
            // What does not end by then is closed.
            let _ = tokio::time::timeout(patience, to_the_end).await;
        });
    }
}

async fn listen(events: &mut Option<EventStream>) -> Heard {
    let Some(events) = events else { return Heard::End(Reason::Protocol) };
    let heard = tokio::time::timeout(limits::KEEP_ALIVE_TIME, events.next()).await;
    match heard {
        Err(_) => Heard::Silence(events.silence()),
        Ok(Ok(Some(event))) => Heard::Event(event.data),
        Ok(Ok(None)) => Heard::End(Reason::Protocol),
        Ok(Err(failure @ Failure::TooLarge { .. })) => Heard::End(Reason::from(&failure)),
        Ok(Err(_)) => Heard::End(Reason::Unavailable),
    }
}
