//! Asks a backend how it is spoken to and what it offers, every list to its end, within bounds.

mod lists;
mod observe;

use std::time::Duration;

use vmcp_core::desired::Endpoints;
use vmcp_core::inventory::{Eras, Inventory, Legacy};
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_json::{Limits, Object};
use vmcp_mcp::{Discovered, Exchange, Failure, Initialized, OURSELVES, close, discover, open};

use lists::Asking;
pub(crate) use observe::{Observation, Observations, Observers};

/// A backend's inventory. A list that cannot be read is a fault of the inventory; the others stay.
///
/// # Errors
/// The backend cannot be reached, or speaks no version that we do.
pub async fn inventory(exchange: &Exchange, endpoints: &Endpoints) -> Result<Inventory, Failure> {
    let [url, ..] = endpoints.urls.as_slice() else {
        return Err(Failure::Protocol("has no address".to_owned()));
    };
    let modern = match within(limits::PROBE_TIME, discover(exchange, url, &OURSELVES)).await {
        Ok(modern) => modern,
        // Silence is how some legacy servers treat methods that they do not know.
        Err(Failure::TimedOut) => None,
        Err(failure) => return Err(failure),
    };
    let legacy = within(limits::PROBE_TIME, open(exchange, url, &OURSELVES)).await;
    let legacy = match (legacy, &modern) {
        (Ok(legacy), _) => legacy,
        (Err(_), Some(_)) => None,
        (Err(failure), None) => return Err(failure),
    };
    let asked = match (&modern, &legacy) {
        (Some(discovered), _) => ask_modern(exchange, url, discovered).await,
        (None, Some(initialized)) => ask_legacy(exchange, url, initialized).await,
        (None, None) => return Err(Failure::Protocol("speaks no protocol version that we speak".into())),
    };
    if let Some(initialized) = &legacy {
        // A backend that does not answer that forgets the session by itself.
        let _ = tokio::time::timeout(limits::PROBE_TIME, close(exchange, url, &initialized.session)).await;
    }
    let legacy = legacy.map(|initialized| Legacy {
        version: initialized.session.version.to_string(),
        has_sessions: initialized.session.id.is_some(),
    });
    Ok(Inventory { eras: Eras { modern: modern.is_some(), legacy }, ..asked })
}

async fn ask_modern(exchange: &Exchange, url: &http::Uri, discovered: &Discovered) -> Inventory {
    let asking = Asking { exchange, url, session: None };
    ask(&asking, &discovered.capabilities, discovered.instructions.clone()).await
}

async fn ask_legacy(exchange: &Exchange, url: &http::Uri, initialized: &Initialized) -> Inventory {
    let asking = Asking { exchange, url, session: Some(&initialized.session) };
    ask(&asking, &initialized.capabilities, initialized.instructions.clone()).await
}

/// Only what the backend has declared is asked for.
async fn ask(asking: &Asking<'_>, capabilities: &str, instructions: Option<String>) -> Inventory {
    let limits = Limits::new(capabilities.len(), usize::MAX).with_lone_surrogates();
    let declared = Object::parse(capabilities.as_bytes(), &limits).ok();
    let declares = |name: &str| declared.as_ref().is_some_and(|declared| declared.member(name).is_some());
    let mut inventory =
        Inventory { instructions, completes: declares("completions"), ..Inventory::default() };
    for kind in Kind::ALL {
        let capability = match kind {
            Kind::Tool => "tools",
            Kind::Prompt => "prompts",
            Kind::Resource | Kind::Template => "resources",
        };
        if !declares(capability) {
            continue;
        }
        let listed = asking.list(kind).await;
        inventory.items.extend(listed.items);
        inventory.faults.extend(listed.faults);
        inventory.unread.extend(listed.is_unread.then_some(kind));
    }
    inventory
}

async fn within<T>(time: Duration, asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(time, asking).await.unwrap_or(Err(Failure::TimedOut))
}
