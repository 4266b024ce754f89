//! A backend's stream passed on event by event, until the response has gone out.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;
use vmcp_core::limits;
use vmcp_mcp::{EventStream, Failure, sse};

use crate::relay::{Passed, Relay};
use crate::request::Reason;

/// Answers with a stream. Dropping it, as when the client goes away, closes the exchange with the backend.
pub(super) fn respond(relay: Relay, events: EventStream) -> Response {
    let running = Running { relay, events, heard: Instant::now() };
    event_stream(Body::from_stream(stream::unfold(Some(running), |running| async {
        let (bytes, next) = running?.next().await;
        Some((Ok::<Bytes, Infallible>(bytes), next))
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

struct Running {
    relay: Relay,
    events: EventStream,
    heard: Instant,
}

enum Heard {
    Event(Bytes),
    Silence(Duration),
    End(Reason),
}

impl Running {
    /// The next piece for the client, and what follows it, if anything does.
    async fn next(mut self) -> (Bytes, Option<Self>) {
        loop {
            let passed = match self.listen().await {
                Heard::Silence(so_far) if so_far < limits::STREAM_SILENCE_TIME => {
                    return (sse::KEEP_ALIVE, Some(self));
                }
                Heard::Silence(_) => Err(self.relay.refusal(Reason::Timeout)),
                Heard::End(reason) => Err(self.relay.refusal(reason)),
                Heard::Event(data) => self.relay.pass(data),
            };
            match passed {
                Ok(Passed::Notification(message)) => return (sse::encode(&message), Some(self)),
                Ok(Passed::Response(message)) => return (sse::encode(&message), None),
                Ok(Passed::Nothing) => {}
                // The client waits for a response; this is one.
                Err(refusal) => return (sse::encode(refusal.to_message().as_bytes()), None),
            }
        }
    }

    async fn listen(&mut self) -> Heard {
        match tokio::time::timeout(limits::KEEP_ALIVE_TIME, self.events.next()).await {
            Err(_) => Heard::Silence(self.heard.elapsed()),
            Ok(Ok(Some(event))) => {
                self.heard = Instant::now();
                Heard::Event(event.data)
            }
            Ok(Ok(None)) => Heard::End(Reason::Protocol),
            Ok(Err(failure @ Failure::TooLarge { .. })) => Heard::End(Reason::from(&failure)),
            Ok(Err(_)) => Heard::End(Reason::Unavailable),
        }
    }
}
