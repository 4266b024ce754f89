//! A backend's stream passed on event by event, until the response has gone out, within bounds of time and of size.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::time::Instant;
use vmcp_core::limits;
use vmcp_mcp::{EventStream, Failure, ProtocolVersion, sse};

use crate::bridge::Bridge;
use crate::refusal::{Reason, Refusal};
use crate::relay::resumption::{self, id_for_client};
use crate::relay::{Passed, Relay};

/// Answers with a stream.
pub(super) fn respond(relay: Relay, events: EventStream) -> Response {
    let now = Instant::now();
    let changed = relay.standing.as_ref().map(|_| {
        let mut changed = relay.plane.changed.subscribe();
        // What is served may have changed since it was permitted.
        changed.mark_changed();
        changed
    });
    let running = Running {
        changed,
        relay,
        events: Some(events),
        ready: VecDeque::new(),
        progress: None,
        told_progress: None,
        progress_left: limits::PROGRESS_MESSAGES,
        heard: now,
        told: now,
        flood: Flood::default(),
        questions: Vec::new(),
        resumptions: 0,
        event_id: None,
        is_answered: false,
    };
    event_stream(Body::from_stream(stream::unfold(Some(running), |running| async {
        let mut running = running?;
        let bytes = running.next().await;
        let rest = (!running.is_answered || !running.ready.is_empty()).then_some(running);
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
    /// What is served, if it can change whether this may go on.
    changed: Option<watch::Receiver<u64>>,
    events: Option<EventStream>,
    /// Pieces for the client.
    ready: VecDeque<Bytes>,
    /// The last of the progress that came too soon after what was passed on.
    progress: Option<Bytes>,
    told_progress: Option<Instant>,
    /// How much progress may still be passed on as it comes.
    progress_left: usize,
    /// When the backend last said something whole.
    heard: Instant,
    /// When the client last did hear something.
    told: Instant,
    flood: Flood,
    /// What the backend has asked of the client.
    questions: Vec<u64>,
    /// How often the stream was gone on with.
    resumptions: usize,
    /// The id that the last event has for the client, once that has heard that it can come back.
    event_id: Option<String>,
    is_answered: bool,
}

/// What has come so far.
#[derive(Debug, Default)]
struct Flood {
    events: usize,
    bytes: usize,
}

impl Flood {
    /// Whether that is still a stream that somebody can use.
    fn takes(&mut self, event: &[u8]) -> bool {
        self.events += 1;
        self.bytes += event.len();
        self.events <= limits::STREAM_EVENTS && self.bytes <= limits::STREAM_BYTES
    }
}

/// What comes next.
enum Heard {
    Event(Bytes),
    /// Nothing, until something was due.
    Due,
    /// Nothing, until something else was served.
    Changed,
    /// The stream is over, or broken. It may be gone on with.
    Cut(Reason),
    /// Nothing more is wanted of it.
    End(Reason),
}

impl Running {
    /// The next piece for the client. After the response there is none.
    async fn next(&mut self) -> Bytes {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                self.told = Instant::now();
                return piece;
            }
            match self.listen().await {
                Heard::Event(data) if self.flood.takes(&data) => self.take(data),
                Heard::Event(_) => self.end(Reason::StreamLimit),
                // That it can come back, the client hears first.
                Heard::Cut(_) if self.primes() => {}
                Heard::Cut(reason) => {
                    if !self.resume().await {
                        self.end(reason);
                    }
                }
                Heard::End(reason) => self.end(reason),
                Heard::Due => self.look_at_clock(),
                Heard::Changed => self.look_at_policies(),
            }
        }
    }

    /// Goes on with a stream that has ended too soon, if the backend offers that. Nothing is called again for it.
    async fn resume(&mut self) -> bool {
        let Some(opened) = self.relay.session.clone() else { return false };
        let Some((id, pause)) = self.events.as_ref().and_then(resumption::of) else { return false };
        let left = self.relay.admitted.left().min(self.relay.admitted.backend().timeouts.idle);
        if self.resumptions >= limits::RESUMPTIONS || pause >= left {
            return false;
        }
        self.resumptions += 1;
        tokio::time::sleep(pause).await;
        let left = left.saturating_sub(pause);
        match tokio::time::timeout(left, opened.resume(&self.relay.plane.exchange, &id)).await {
            Ok(Some(events)) => {
                (self.events, self.heard) = (Some(events), Instant::now());
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// Whether the client could come back for what it misses: in a session, and of a version that knows how.
    fn can_come_back(&self) -> bool {
        self.relay.session.is_some()
            && self.relay.client.is_some_and(|client| client.version >= ProtocolVersion::V2025_11_25)
    }

    /// Whether the client hears now, for the first time and before anything else, where it can go on from. Sets the id of what follows.
    fn primes(&mut self) -> bool {
        if !self.can_come_back() {
            return false;
        }
        let Some((id, pause)) = self.events.as_ref().and_then(resumption::of) else { return false };
        let id = id_for_client(&self.relay.admitted.backend().id.name, &id);
        let is_first = self.event_id.is_none();
        if is_first {
            self.ready.push_back(sse::prime(&id, pause));
        }
        self.event_id = Some(id);
        is_first
    }

    fn encode(&self, message: &[u8]) -> Bytes {
        match &self.event_id {
            Some(id) => sse::encode_at(id, message),
            None => sse::encode(message),
        }
    }

    fn take(&mut self, data: Bytes) {
        self.heard = Instant::now();
        self.primes();
        match self.relay.pass(data) {
            Ok(Passed::Nothing) => {}
            Ok(Passed::Progress(message)) if self.progress_due().is_some_and(|due| due > self.heard) => {
                self.progress = Some(message);
            }
            Ok(Passed::Progress(message)) => self.tell_progress(&message),
            Ok(Passed::Notification(message)) => {
                self.flush_progress();
                self.ready.push_back(self.encode(&message));
            }
            Ok(Passed::Question(number, message)) => {
                self.flush_progress();
                self.questions.push(number);
                self.ready.push_back(self.encode(&message));
            }
            Ok(Passed::Response(message, ended)) => {
                self.flush_progress();
                self.is_answered = true;
                self.relay.entry.answered(ended, message.len());
                self.ready.push_back(self.encode(&message));
            }
            // The client waits for a response; this is one.
            Err(refusal) => {
                self.is_answered = true;
                self.relay.entry.refused(&refusal);
                self.ready.push_back(sse::encode(refusal.to_message().as_bytes()));
            }
        }
    }

    fn end(&mut self, reason: Reason) {
        self.end_with(&self.relay.refusal(reason));
    }

    /// What may not be done any more ends.
    fn look_at_policies(&mut self) {
        let refusal = self.relay.standing.as_ref().and_then(|standing| standing.refusal(&self.relay.plane));
        if let Some(refusal) = refusal {
            self.end_with(&refusal.with_id(&self.relay.id));
        }
    }

    fn end_with(&mut self, refusal: &Refusal) {
        self.is_answered = true;
        self.relay.entry.refused(refusal);
        self.ready.push_back(sse::encode(refusal.to_message().as_bytes()));
    }

    /// When progress may be passed on again.
    fn progress_due(&self) -> Option<Instant> {
        self.told_progress.filter(|_| self.progress_left == 0).map(|told| told + limits::PROGRESS_TIME)
    }

    fn tell_progress(&mut self, message: &[u8]) {
        (self.progress, self.told_progress) = (None, Some(Instant::now()));
        self.progress_left = self.progress_left.saturating_sub(1);
        self.ready.push_back(self.encode(message));
    }

    /// What follows must not overtake it.
    fn flush_progress(&mut self) {
        if let Some(message) = self.progress.take() {
            self.tell_progress(&message);
        }
    }

    /// When the backend has said nothing whole for too long, or at all.
    fn patience_ends(&self) -> Instant {
        (self.heard + self.relay.admitted.backend().timeouts.idle).min(self.relay.admitted.deadline)
    }

    /// Whether the client is to say something first. Until it has, the backend need not.
    fn waits_for_client(&mut self) -> bool {
        let (Some(client), questions) = (&self.relay.client, &self.relay.plane.questions) else {
            return false;
        };
        self.questions.retain(|number| questions.waits(client, *number));
        !self.questions.is_empty()
    }

    async fn listen(&mut self) -> Heard {
        if !self.questions.is_empty() && self.waits_for_client() {
            self.heard = Instant::now();
        }
        let mut due = self.patience_ends().min(self.told + limits::KEEP_ALIVE_TIME);
        if !self.questions.is_empty() {
            due = due.min(self.heard + limits::QUESTION_LOOK_TIME);
        }
        if self.progress.is_some() {
            due = due.min(self.progress_due().unwrap_or(due));
        }
        let Some(events) = &mut self.events else { return Heard::End(Reason::Protocol) };
        // A stream that is always ready must not outlive its time.
        if Instant::now() >= due {
            return Heard::Due;
        }
        let heard = tokio::select! {
            biased;
            () = changes(&mut self.changed) => return Heard::Changed,
            heard = tokio::time::timeout_at(due, events.next()) => heard,
        };
        match heard {
            Err(_) => Heard::Due,
            Ok(Ok(Some(event))) => Heard::Event(event.data),
            Ok(Ok(None)) => Heard::Cut(Reason::Protocol),
            Ok(Err(failure @ Failure::TooLarge { .. })) => Heard::End(Reason::from(&failure)),
            Ok(Err(_)) => Heard::Cut(Reason::Unavailable),
        }
    }

    fn look_at_clock(&mut self) {
        if self.waits_for_client() {
            self.heard = Instant::now();
        }
        let now = Instant::now();
        if now >= self.patience_ends() {
            self.end(Reason::Timeout);
        } else if self.progress.is_some() && self.progress_due().is_some_and(|due| now >= due) {
            self.flush_progress();
        } else if now >= self.told + limits::KEEP_ALIVE_TIME {
            self.ready.push_back(sse::KEEP_ALIVE);
        }
    }
}

/// Resolves when something else is served; never, where that changes nothing.
async fn changes(changed: &mut Option<watch::Receiver<u64>>) {
    if let Some(receiver) = changed {
        if receiver.changed().await.is_ok() {
            return;
        }
        // Nothing else will be served.
        *changed = None;
    }
    std::future::pending().await
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(client) = &self.relay.client {
            self.questions.iter().for_each(|number| self.relay.plane.questions.forget(client, *number));
        }
        let patience: Duration = match (self.is_answered, self.relay.bridge) {
            // Read to its end, the connection can be used again.
            (true, _) => limits::STREAM_END_TIME,
            // For a modern backend a closed stream is a cancellation; for the legacy client that has gone it is none
            // (MCP 2025-11-25, Streamable HTTP, Sending Messages to the Server).
            (false, Bridge::ToModern) => self.relay.admitted.left(),
            (false, _) => return,
        };
        let Some(mut events) = self.events.take().filter(EventStream::holds_connection) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // Until then it is a call under way like any other.
        let (admitted, mut flood) = (self.relay.admitted.clone(), std::mem::take(&mut self.flood));
        runtime.spawn(async move {
            let idle = admitted.backend().timeouts.idle;
            let to_the_end = async {
                while let Ok(Ok(Some(event))) = tokio::time::timeout(idle, events.next()).await {
                    if !flood.takes(&event.data) {
                        return;
                    }
                }
            };
            // What does not end by then is closed.
            let _ = tokio::time::timeout(patience, to_the_end).await;
        });
    }
}
