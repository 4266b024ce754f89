//! Server-sent events: bytes in, events out, without I/O, and one event as bytes
//! (WHATWG HTML, Server-sent events, Interpreting an event stream).

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

/// A comment that keeps idle connections open.
pub const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// One event with data; comments and events without data are not reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its lines of data, joined by line feeds.
    pub data: Bytes,
    /// The id that the stream is at, if the event carried one.
    pub id: Option<Bytes>,
}

/// An event or a line longer than the bound; the stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event is longer than {limit} bytes")]
pub struct TooLong {
    /// The bound.
    pub limit: usize,
}

/// Reads a stream however its bytes are cut into chunks.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    line: BytesMut,
    data: BytesMut,
    has_data: bool,
    id: Option<Bytes>,
    /// How long to wait before the stream is opened again.
    retry: Option<Duration>,
    /// What the event says it is, if that is no message.
    kind: Option<Box<str>>,
    after_carriage_return: bool,
    at_start: bool,
    ready: VecDeque<(Option<Box<str>>, Event)>,
}

impl Decoder {
    /// Refuses lines and events over `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: BytesMut::new(),
            data: BytesMut::new(),
            has_data: false,
            id: None,
            retry: None,
            kind: None,
            after_carriage_return: false,
            at_start: true,
            ready: VecDeque::new(),
        }
    }

    /// The next message that is complete; events of other types are passed over.
    pub fn next_event(&mut self) -> Option<Event> {
        self.next_of("message")
    }

    /// The next event of this type that is complete; others are passed over.
    pub fn next_of(&mut self, kind: &str) -> Option<Event> {
        loop {
            let (said, event) = self.ready.pop_front()?;
            if said.as_deref().unwrap_or("message") == kind {
                return Some(event);
            }
        }
    }

    /// How long to wait before the stream is opened again, if it has said so.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes in a chunk.
    ///
    /// # Errors
    /// [`TooLong`]; the decoder must not be used any more.
    pub fn push(&mut self, mut chunk: &[u8]) -> Result<(), TooLong> {
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_carriage_return) && chunk[0] == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', chunk);
            let piece = &chunk[..end.unwrap_or(chunk.len())];
            if self.line.len() + self.data.len() + piece.len() > self.limit {
                return Err(TooLong { limit: self.limit });
            }
            let Some(end) = end else {
                self.line.extend_from_slice(piece);
                return Ok(());
            };
            self.after_carriage_return = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            if self.line.is_empty() {
                self.take_line(piece);
            } else {
                self.line.extend_from_slice(piece);
                let line = self.line.split();
                self.take_line(&line);
            }
        }
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) {
        let line = if std::mem::take(&mut self.at_start) {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            let id = self.id.take();
            let data = self.data.split().freeze();
            let kind = self.kind.take();
            if std::mem::take(&mut self.has_data) {
                self.ready.push_back((kind, Event { data, id }));
            }
            return;
        }
        let (field, value) = match memchr::memchr(b':', line) {
            None => (line, &line[line.len()..]),
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
        };
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.put_u8(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => {
                let is_message = matches!(value, b"" | b"message");
                self.kind = (!is_message).then(|| String::from_utf8_lossy(value).into());
            }
            b"retry" => {
                let time = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                self.retry = time.map(Duration::from_millis).or(self.retry);
            }
            b"id" if !value.contains(&0) => self.id = Some(Bytes::copy_from_slice(value)),
            _ => {}
        }
    }
}

/// An event without data, from which on a stream can be gone on with (MCP 2025-11-25, Streamable HTTP, Sending Messages to the Server).
pub fn prime(id: &str, retry: Duration) -> Bytes {
    format!("id: {id}\nretry: {}\ndata:\n\n", retry.as_millis()).into()
}

/// The same as [`encode`], behind which the stream can be gone on with.
pub fn encode_at(id: &str, data: &[u8]) -> Bytes {
    [b"id: ", id.as_bytes(), b"\n", &encode(data)[..]].concat().into()
}

/// One `message` event with this data, which may have several lines.
pub fn encode(data: &[u8]) -> Bytes {
    let mut event = BytesMut::with_capacity(data.len() + 32);
    event.extend_from_slice(b"event: message\n");
    for line in data.split(|byte| *byte == b'\n') {
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        event.put_u8(b'\n');
    }
    event.put_u8(b'\n');
    event.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    use super::*;

    fn events(text: &str, cut: usize) -> Vec<String> {
        let mut decoder = Decoder::new(1000);
        let mut events = Vec::new();
        for chunk in text.as_bytes().chunks(cut) {
            decoder.push(chunk).unwrap();
            while let Some(event) = decoder.next_event() {
                events.push(String::from_utf8(event.data.to_vec()).unwrap());
            }
        }
        events
    }

    #[test]
    fn reads_events_however_they_are_cut() {
        let text = "\u{feff}: hello\r\nid: 1\ndata: {\"a\":\rdata: 1}\r\n\r\nevent: message\ndata:two\n\nevent: ping\ndata: 1\n\ndata\n\nretry: 1\n\ndata: cut";
        for cut in 1..text.len() {
            assert_eq!(events(text, cut), ["{\"a\":\n1}", "two", ""], "chunks of {cut}");
        }
    }

    #[test]
    fn endless_lines_and_events_are_refused() {
        let mut decoder = Decoder::new(100);
        assert_eq!(decoder.push(&[b'x'; 101]), Err(TooLong { limit: 100 }));
        let mut decoder = Decoder::new(100);
        let lines = "data: 0123456789\n".repeat(11);
        assert_eq!(decoder.push(lines.as_bytes()), Err(TooLong { limit: 100 }));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(lines in prop::collection::vec("[^\r\n]{0,20}", 1..5), cut in 1..50_usize) {
            let data = lines.join("\n");
            let encoded = String::from_utf8(encode(data.as_bytes()).to_vec()).unwrap();
            prop_assert_eq!(events(&encoded, cut), vec![data]);
        }
    }
}
