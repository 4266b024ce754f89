//! Asks a backend how it is spoken to and what it offers: every list to its end, within bounds. Either plane asks so: the control plane
//! in the name of whoever runs it, a data plane in a caller's.

mod contact;
mod credential;
mod lists;

use std::time::Duration;

use http::StatusCode;
use vmcp_core::desired::Endpoints;
use vmcp_core::inventory::Inventory;
use vmcp_core::limits;
use vmcp_mcp::{Exchange, Failure};

pub use contact::{Asked, Contact, Probed};
pub use credential::Credential;

/// A backend's inventory, asked for once. A list that cannot be read is a fault of the inventory; the others stay.
///
/// # Errors
/// The backend cannot be reached, or speaks no version that we do.
pub async fn inventory(
    exchange: &Exchange,
    endpoints: &Endpoints,
    credential: Credential,
) -> Result<Inventory, Failure> {
    let contact = Contact::open(exchange, endpoints, credential, limits::PROBE_TIME).await?;
    let asked = contact.ask().await?;
    contact.end_session().await;
    Ok(asked.inventory)
}

/// Whether a backend says that it must be shown something else.
pub fn is_refusal(failure: &Failure) -> bool {
    matches!(failure, Failure::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
}

/// Asking, within a time.
///
/// # Errors
/// [`Failure::TimedOut`], or what comes of it.
pub async fn within<T>(
    time: Duration,
    asking: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(time, asking).await.unwrap_or(Err(Failure::TimedOut))
}
