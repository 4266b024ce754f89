//! What the fuzz targets and the corpus test do with one input.

use http::{HeaderMap, HeaderValue};
use vmcp_json::Limits;
use vmcp_mcp::{Message, header, sse};

/// No body panics, and what is read of it is in it.
pub(crate) fn envelope(body: &[u8]) {
    match Message::parse(body, &Limits::new(1 << 20, 64)) {
        Ok(Message::Request(request)) => {
            assert!(is_within(body, request.id.raw()));
            assert!(request.object.get("method").is_some());
        }
        Ok(Message::Response(response)) => {
            assert!(response.id.is_none_or(|id| is_within(body, id.raw())));
            assert!(response.object.get("method").is_none());
        }
        Ok(Message::Notification(told)) => assert!(!told.method.is_empty() || body.contains(&b'"')),
        Err(rejected) => assert!(rejected.id.is_none_or(|id| is_within(body, id.raw()))),
    }
}

/// No stream panics, and it does not matter where it is cut.
pub(crate) fn events(stream: &[u8]) {
    let whole = read(&[stream]);
    assert_eq!(whole, read(&stream.chunks(1).collect::<Vec<_>>()));
    assert_eq!(whole, read(&stream.chunks(7).collect::<Vec<_>>()));
}

/// No value panics; what can be written is read as it was.
pub(crate) fn header(bytes: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let headers = HeaderMap::from_iter([(header::NAME, value)]);
        // What it says, if anything: both are good.
        drop(header::value(&headers, &header::NAME));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let headers = HeaderMap::from_iter([(header::NAME, header::encode(text))]);
        assert_eq!(header::require(&headers, &header::NAME, text), Ok(()));
    }
}

fn is_within(body: &[u8], part: &str) -> bool {
    body.windows(part.len().max(1)).any(|window| window == part.as_bytes())
}

/// The events of a stream that comes in these pieces, up to where it is over a bound.
fn read(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut decoder = sse::Decoder::new(1 << 16);
    let mut events = Vec::new();
    for piece in pieces {
        if decoder.push(piece).is_err() {
            break;
        }
        events.extend(std::iter::from_fn(|| decoder.next_event()).map(|event| event.data.to_vec()));
    }
    events
}
