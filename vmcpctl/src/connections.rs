//! The pool of connections to backends, with the product's bounds.

use vmcp_core::limits;
use vmcp_mcp::{Bounds, Exchange};

pub(crate) fn exchange() -> Exchange {
    Exchange::new(Bounds {
        connect: limits::CONNECT_TIME,
        idle: limits::IDLE_CONNECTION_TIME,
        answer_bytes: limits::ANSWER_BYTES,
        event_bytes: limits::EVENT_BYTES,
        depth: limits::DEPTH,
    })
}
