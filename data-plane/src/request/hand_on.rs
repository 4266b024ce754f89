//! What a legacy client says without asking: to the backends that it is meant for.

use std::sync::Arc;

use bytes::Bytes;
use vmcp_mcp::{Notification, Response, method};

use crate::plane::Plane;
use crate::principal::Identity;
use crate::session::Session;
use crate::snapshot::Server;

/// That it has given up a request, or works elsewhere now: the backends of its session hear it. Requests have the client's own ids
/// there, but for sessions that clients share, and a backend that knows nothing of one passes it over (MCP 2025-11-25, Cancellation, Behavior Requirements).
pub(super) async fn told(
    plane: &Arc<Plane>,
    server: &Server,
    (session, identity): (&Session, &Identity),
    told: &Notification<'_>,
    body: &Bytes,
) {
    if !matches!(told.method.as_ref(), method::CANCELLED | method::ROOTS_CHANGED) {
        return;
    }
    let is_cancelled = told.method == method::CANCELLED;
    if is_cancelled && let Some((opened, body)) = plane.shared_calls.cancelled(session, told, body) {
        opened.is_spoken_in_by(identity);
        return opened.say(&plane.exchange, body);
    }
    for opened in plane.backend_sessions.of((session, identity), server.backends.iter()).await {
        opened.say(&plane.exchange, body.clone());
    }
}

/// What it was asked by a backend. What nobody has asked is counted, and goes nowhere.
pub(super) fn answered(
    plane: &Arc<Plane>,
    (session, identity): (&Session, &Identity),
    response: &Response<'_>,
    body: &[u8],
) {
    match plane.questions.answer(session, response, body) {
        Some(answer) => {
            answer.opened.is_spoken_in_by(identity);
            answer.opened.say(&plane.exchange, answer.body);
        }
        None => {
            plane.counters.dropped().inc();
        }
    }
}
