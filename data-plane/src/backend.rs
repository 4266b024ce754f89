//! Around `exchange`: how long a backend may take, and in which session it is called.

mod sessions;

use std::sync::Arc;

use vmcp_core::limits;
use vmcp_mcp::{Answered, Call, Exchange};

use crate::refusal::{Reason, Refusal};
use crate::snapshot::Backend;

pub(crate) use sessions::{BackendSessions, Opened};

/// The same, going on when nobody waits any more.
pub(crate) async fn call_to_the_end(
    exchange: &Exchange,
    backend: &Arc<Backend>,
    call: Call,
) -> Result<Answered, Refusal> {
    let (exchange, owner) = (exchange.clone(), backend.clone());
    let calling = tokio::spawn(async move { self::call(&exchange, &owner, call).await });
    calling.await.unwrap_or_else(|_| Err(Refusal::backend(Reason::Unavailable, backend)))
}

/// One call, until its answer begins.
pub(crate) async fn call(exchange: &Exchange, backend: &Backend, call: Call) -> Result<Answered, Refusal> {
    match tokio::time::timeout(limits::CALL_TIME, exchange.send(call)).await {
        Ok(Ok(answered)) => Ok(answered),
        Ok(Err(failure)) => {
            tracing::debug!(backend = %backend.id, error = &failure as &dyn std::error::Error, "call failed");
            Err(Refusal::backend(Reason::from(&failure), backend))
        }
        Err(_) => Err(Refusal::backend(Reason::Timeout, backend)),
    }
}
