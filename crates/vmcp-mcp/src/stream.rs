//! The events of one answer, as they come.

use crate::failure::Failure;
use crate::sse::{Decoder, Event, TooLong};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// A backend's answer as a stream of events. Dropping it closes the exchange.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    decoder: Decoder,
}

impl EventStream {
    pub(crate) fn new(body: Incoming, event_bytes: usize) -> Self {
        Self { body, decoder: Decoder::new(event_bytes) }
    }

    /// The next event; `None` at the end of the stream. Events without data are passed over, since no message is in them.
    ///
    /// # Errors
    /// [`Failure::Broken`] and [`Failure::TooLarge`]; the stream is over.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            while let Some(event) = self.decoder.next_event() {
                if !event.data.is_empty() {
                    return Ok(Some(event));
                }
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| Failure::Broken(error.into()))?;
            if let Ok(data) = frame.into_data() {
                self.decoder.push(&data).map_err(|TooLong { limit }| Failure::TooLarge { limit })?;
            }
        }
    }
}
