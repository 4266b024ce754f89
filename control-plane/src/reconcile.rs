//! The only reader of everything that changes: compares whole states, compiles, publishes. It reacts to levels, so the way
//! after a start is the usual way.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use vmcp_core::limits;
use vmcp_mcp::Exchange;
use vmcp_revision::Publisher;
use vmcp_runtime::Drain;

use crate::accept::Accepted;
use crate::compile::{Backends, Catalogs, Observed};
use crate::introspect::{Observations, Observers};
use crate::status::{self, Status};
use crate::workloads::{Hosted, Workloads, workloads};

/// Everything that is read.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) accepted: watch::Receiver<Accepted>,
    pub(crate) hosted: watch::Receiver<Hosted>,
    pub(crate) exchange: Exchange,
}

/// Runs until `drain` says to stop.
pub(crate) async fn run(
    mut inputs: Inputs,
    publisher: Publisher,
    tell: watch::Sender<Arc<Status>>,
    drain: Drain,
) {
    let mut observers = Observers::new(inputs.exchange.clone());
    let mut observations = observers.subscribe();
    let mut catalogs = Catalogs::default();
    let mut settles_at: Option<Instant> = None;
    let mut has_settled = false;
    loop {
        let mut unsettled = None;
        let accepted = inputs.accepted.borrow_and_update().clone();
        if accepted.generation > 0 {
            let workloads = workloads(&accepted.desired, &inputs.hosted.borrow_and_update());
            let found = workloads.iter().filter_map(|(id, located)| Some((id.clone(), located.clone()?)));
            observers.follow(&found.collect());
            let known = observations.borrow_and_update().clone();
            let deadline = *settles_at.get_or_insert_with(|| Instant::now() + limits::SETTLE_TIME);
            has_settled |= workloads.keys().all(|id| known.contains_key(id)) || Instant::now() >= deadline;
            unsettled = (!has_settled).then_some(deadline);
            let backends = backends(&workloads, &known);
            let compiled = catalogs.compile(&accepted.desired, &backends);
            let revision =
                if has_settled { publisher.publish(accepted.generation, compiled.parts) } else { 0 };
            let status = status::describe(&accepted, revision, &workloads, &known, &compiled.diagnostics);
            tell.send_replace(Arc::new(status));
        }
        tokio::select! {
            () = drain.stopped() => return,
            changed = inputs.accepted.changed() => if changed.is_err() { return },
            Ok(()) = inputs.hosted.changed() => {}
            Ok(()) = observations.changed() => {}
            () = tokio::time::sleep_until(unsettled.unwrap_or_else(Instant::now)), if unsettled.is_some() => {}
        }
        tokio::time::sleep(limits::COALESCE_TIME).await;
    }
}

/// What is known of each backend. One that cannot be called at all is as if it had never answered.
fn backends(workloads: &Workloads, known: &Observations) -> Backends {
    let backends = workloads.iter().map(|(id, located)| {
        let inventory = known.get(id).and_then(|known| known.inventory.clone());
        let seen = located.as_ref().zip(inventory);
        (id.clone(), seen.map(|(located, inventory)| Observed { url: located.url.clone(), inventory }))
    });
    backends.collect()
}
