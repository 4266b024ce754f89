//! The events of one answer, as they come.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::sse::{Decoder, Event, TooLong};

/// A backend's answer as a stream of events. Dropping it closes the exchange.
#[derive(Debug)]
pub struct EventStream {
    source: Source,
    last_id: Option<Bytes>,
}

#[derive(Debug)]
enum Source {
    Body(Box<(Incoming, Decoder)>),
    /// What is about one request of a session that shares its stream.
    Shared(mpsc::Receiver<Result<Event, Failure>>),
}

impl EventStream {
    pub(crate) fn new(body: Incoming, event_bytes: usize) -> Self {
        Self { source: Source::Body(Box::new((body, Decoder::new(event_bytes)))), last_id: None }
    }

    pub(crate) fn of(events: mpsc::Receiver<Result<Event, Failure>>) -> Self {
        Self { source: Source::Shared(events), last_id: None }
    }

    /// Whether a connection can be used again once this is read to its end. One that shares its stream with others has none of its own.
    pub fn holds_connection(&self) -> bool {
        matches!(self.source, Source::Body(_))
    }

    /// Where it can be gone on with from, if the server has said so, and after which time.
    pub fn resumption(&self) -> Option<(&Bytes, Option<Duration>)> {
        let Source::Body(source) = &self.source else { return None };
        self.last_id.as_ref().map(|id| (id, source.1.retry()))
    }

    /// The next event; `None` at the end of the stream. Events without data are passed over, since no message is in them.
    ///
    /// # Errors
    /// [`Failure::Broken`] and [`Failure::TooLarge`]; the stream is over.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        self.next_of("message").await
    }

    /// The next event of this type that has data.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Result<Option<Event>, Failure> {
        let (body, decoder) = match &mut self.source {
            Source::Shared(events) => return events.recv().await.transpose(),
            Source::Body(source) => (&mut source.0, &mut source.1),
        };
        loop {
            while let Some(event) = decoder.next_of(kind) {
                self.last_id = event.id.clone().or(self.last_id.take());
                if !event.data.is_empty() {
                    return Ok(Some(event));
                }
            }
            let Some(frame) = body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| Failure::Broken(error.into()))?;
            if let Ok(data) = frame.into_data() {
                decoder.push(&data).map_err(|TooLong { limit }| Failure::TooLarge { limit })?;
            }
        }
    }
}
