//! Several messages in one body, which protocol version 2025-03-26 has and no other
//! (MCP 2025-03-26, Base Protocol, Batching). Each goes down the line by itself; what they are answered with is put together.

use axum::body::to_bytes;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use vmcp_core::limits;
use vmcp_json::Value;
use vmcp_mcp::{Malformed, ProtocolVersion, header, sse};

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
    for message in messages {
        let response = match Box::pin(single(arrived, message)).await {
            Ok((response, _)) => response,
            Err(refusal) => refusal.into_response(),
        };
        answers.extend(last_message(response).await);
    }
    if answers.is_empty() {
        return Ok((empty(StatusCode::ACCEPTED), Outcome::Answered));
    }
    let body = [b"[", &answers.join(&b","[..])[..], b"]"].concat();
    Ok((json(StatusCode::OK, body), Outcome::Answered))
}

/// The response itself; of a stream, what it ends with.
async fn last_message(response: Response) -> Option<Bytes> {
    let is_stream = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "text/event-stream");
    let body = to_bytes(response.into_body(), limits::BATCH_ANSWER_BYTES).await.ok()?;
    if !is_stream {
        return (!body.is_empty()).then_some(body);
    }
    let mut decoder = sse::Decoder::new(limits::BATCH_ANSWER_BYTES);
    decoder.push(&body).ok()?;
    std::iter::from_fn(|| decoder.next_event()).last().map(|event| event.data)
}
