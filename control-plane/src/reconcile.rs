//! The only reader of everything that changes: compares whole states, compiles, publishes. It reacts to levels, so the way
//! after a start is the usual way.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use vmcp_core::backend::BackendId;
use vmcp_core::desired::{Address, Desired};
use vmcp_core::limits;
use vmcp_mcp::Exchange;
use vmcp_revision::Publisher;
use vmcp_runtime::Drain;

use crate::app::{Accepted, Hosted};
use crate::compile::{Observed, compile};
use crate::introspect::{Located, Observations, Observers};
use crate::status::{self, Status};

/// Everything that is read.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) accepted: watch::Receiver<Accepted>,
    pub(crate) hosted: watch::Receiver<Hosted>,
    pub(crate) exchange: Exchange,
}

/// Where each workload of the desired state is found: at its URL, or where it is hosted, once it is.
pub(crate) type Workloads = BTreeMap<BackendId, Option<Located>>;

/// Runs until `drain` says to stop.
pub(crate) async fn run(
    mut inputs: Inputs,
    publisher: Publisher,
    tell: watch::Sender<Arc<Status>>,
    drain: Drain,
) {
    let mut observers = Observers::new(inputs.exchange.clone());
    let mut observations = observers.subscribe();
    let mut settles_at: Option<Instant> = None;
    loop {
        let mut unsettled = None;
        let accepted = inputs.accepted.borrow_and_update().clone();
        if accepted.generation > 0 {
            let workloads = workloads(&accepted.desired, &inputs.hosted.borrow_and_update());
            let found = workloads.iter().filter_map(|(id, located)| Some((id.clone(), located.clone()?)));
            observers.follow(&found.collect());
            let known = observations.borrow_and_update().clone();
            let deadline = *settles_at.get_or_insert_with(|| Instant::now() + limits::SETTLE_TIME);
            let is_settled = workloads.keys().all(|id| known.contains_key(id)) || Instant::now() >= deadline;
            unsettled = (!is_settled).then_some(deadline);
            publish(&accepted, &workloads, &known, is_settled.then_some(&publisher), &tell);
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

fn publish(
    accepted: &Accepted,
    workloads: &Workloads,
    known: &Observations,
    publisher: Option<&Publisher>,
    tell: &watch::Sender<Arc<Status>>,
) {
    let observed = workloads.iter().filter_map(|(id, located)| {
        let inventory = known.get(id)?.inventory.as_deref()?;
        Some((id.clone(), Observed { url: &located.as_ref()?.url, inventory }))
    });
    let compiled = compile(&accepted.desired, &observed.collect());
    let revision = publisher.map_or(0, |publisher| publisher.publish(accepted.generation, compiled.parts));
    let status = status::describe(accepted, revision, workloads, known, &compiled.diagnostics);
    tell.send_replace(Arc::new(status));
}

/// Every workload of every group that a virtual server presents.
fn workloads(desired: &Desired, hosted: &Hosted) -> Workloads {
    let groups = desired.virtual_servers.values().filter_map(|server| desired.groups.get(&server.group));
    let workloads = groups.flat_map(|group| {
        group.workloads.iter().map(|(name, address)| {
            let id = BackendId { group: group.name.clone(), name: name.clone() };
            let located = match address {
                Address::Url(url) => Some(Located { url: url.clone(), life: 0 }),
                Address::Command(_) => hosted.get(&id).cloned(),
            };
            (id, located)
        })
    });
    workloads.collect()
}
