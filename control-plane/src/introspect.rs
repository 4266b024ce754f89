//! Asks a backend how it is spoken to and what it offers, every list to its end, within bounds; listens to what it says of its
//! lists by itself; and sees whether it is there.

mod contact;
mod ear;
mod known;
mod lists;
mod observe;
mod origins;

use std::time::Duration;

use vmcp_core::desired::Endpoints;
use vmcp_core::inventory::Inventory;
use vmcp_core::limits;
use vmcp_mcp::{Exchange, Failure};

use contact::Contact;
pub(crate) use known::{Observation, Observations};
pub(crate) use observe::{Observers, Watched};
pub use origins::set_origins;

/// A backend's inventory, asked for once. A list that cannot be read is a fault of the inventory; the others stay.
///
/// # Errors
/// The backend cannot be reached, or speaks no version that we do.
pub async fn inventory(exchange: &Exchange, endpoints: &Endpoints) -> Result<Inventory, Failure> {
    let contact = Contact::open(exchange, endpoints, limits::PROBE_TIME).await?;
    let asked = contact.ask().await;
    contact.end_session().await;
    Ok(asked.inventory)
}

async fn within<T>(time: Duration, asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(time, asking).await.unwrap_or(Err(Failure::TimedOut))
}
