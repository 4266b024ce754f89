//! Several messages in one body, which protocol version 2025-03-26 has and no other
//! (MCP 2025-03-26, Base Protocol, Batching). Each goes down the line by itself; what they are answered with is put together.

use axum::body::to_bytes;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use vmcp_core::limits;
use vmcp_json::Value;
use vmcp_mcp::{Malformed, Message, ProtocolVersion, header, sse};

use crate::metrics::Outcome;
use crate::refusal::Refusal;
use crate::reply::{empty, json};
use crate::request::{Arrived, single};

/// The messages of a batch; `None` if the body is none.
pub(super) fn messages(arrived: Arrived<'_>, body: &Bytes) -> Result<Option<Vec<Bytes>>, Refusal> {
    let headers = arrived.headers;
    let is_array = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !is_array {
        return Ok(None);
    }
    let version = if headers.contains_key(header::SESSION_ID) {
        Some(arrived.session()?.version)
    } else {
        match header::value(headers, &header::PROTOCOL_VERSION) {
            Ok(None) => Some(ProtocolVersion::ASSUMED),
            Ok(Some(version)) => ProtocolVersion::parse(&version),
            Err(_) => None,
        }
    };
    let refused = |why: &Malformed| Refusal::malformed(why);
    let value = Value::parse(body, &limits::REQUEST).map_err(|fault| refused(&fault.into()))?;
    let Some(elements) = value.as_array() else { return Ok(None) };
    let elements: Vec<Bytes> =
        elements.take(limits::BATCH_MESSAGES + 1).map(|element| body.slice(element.range())).collect();
    let is_good = version == Some(ProtocolVersion::V2025_03_26) && !elements.is_empty();
    if !is_good {
        return Err(refused(&Malformed::Batch));
    }
    if elements.len() > limits::BATCH_MESSAGES {
        return Err(refused(&Malformed::Envelope("a batch has at most 64 messages")));
    }
    Ok(Some(elements))
}

/// What the messages are answered with, in their order.
pub(super) async fn answer(
    arrived: Arrived<'_>,
    messages: Vec<Bytes>,
) -> Result<(Response, Outcome), Refusal> {
    let mut answers: Vec<Bytes> = Vec::with_capacity(messages.len());
    // Of all together, so that one small body makes nobody hold what many large ones would.
    let mut room = limits::BATCH_ANSWER_BYTES;
    for message in messages {
        let id = id(&message);
        let too_large = |id: &Option<String>| {
            id.as_deref().map(|id| Refusal::large_batch().with_id(id).to_message().into())
        };
        if room == 0 {
            answers.extend(too_large(&id));
            continue;
        }
        let response = match Box::pin(single(arrived, message)).await {
            Ok((response, _)) => response,
            Err(refusal) => refusal.into_response(),
        };
        match last_message(response, room).await {
            Ok(answer) => {
                room = room.saturating_sub(answer.as_ref().map_or(0, Bytes::len));
                answers.extend(answer);
            }
            Err(TooLarge) => {
                room = 0;
                answers.extend(too_large(&id));
            }
        }
    }
    if answers.is_empty() {
        return Ok((empty(StatusCode::ACCEPTED), Outcome::Answered));
    }
    let body = [b"[", &answers.join(&b","[..])[..], b"]"].concat();
    Ok((json(StatusCode::OK, body), Outcome::Answered))
}

/// The id of a message that wants an answer.
fn id(message: &Bytes) -> Option<String> {
    match Message::parse(message, &limits::REQUEST) {
        Ok(Message::Request(request)) => Some(request.id.raw().to_owned()),
        _ => None,
    }
}

/// An answer that finds no room.
struct TooLarge;

/// The response itself; of a stream, what it ends with.
async fn last_message(response: Response, room: usize) -> Result<Option<Bytes>, TooLarge> {
    let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "text/event-stream");
    let body = to_bytes(response.into_body(), room).await.map_err(|_| TooLarge)?;
    if !is_stream {
        return Ok((!body.is_empty()).then_some(body));
    }
    let mut decoder = sse::Decoder::new(room);
    decoder.push(&body).map_err(|_| TooLarge)?;
    Ok(std::iter::from_fn(|| decoder.next_event()).last().map(|event| event.data))
}
