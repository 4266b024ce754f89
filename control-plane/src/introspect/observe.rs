//! One task per backend that asks it, soon again until it has answered, then now and then. What was last observed stays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use vmcp_core::backend::BackendId;
use vmcp_core::inventory::Inventory;
use vmcp_core::limits;
use vmcp_mcp::Exchange;
use vmcp_runtime::jittered;

use crate::introspect::inventory;
use crate::workloads::Located;

/// What is known of each backend.
pub(crate) type Observations = BTreeMap<BackendId, Observation>;

/// What is known of a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Observation {
    /// What it offers, as it last said.
    pub(crate) inventory: Option<Arc<Inventory>>,
    /// Why the last question was not answered.
    pub(crate) last_error: Option<String>,
}

/// The tasks, by backend.
#[derive(Debug)]
pub(crate) struct Observers {
    exchange: Exchange,
    observations: watch::Sender<Observations>,
    running: BTreeMap<BackendId, (Located, AbortHandle)>,
}

impl Observers {
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self { exchange, observations: watch::Sender::default(), running: BTreeMap::new() }
    }

    /// What is known, as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Observations> {
        self.observations.subscribe()
    }

    /// Makes the tasks those of `wanted`: starts what is new or has moved, ends and forgets what is gone.
    pub(crate) fn follow(&mut self, wanted: &BTreeMap<BackendId, Located>) {
        let observations = &self.observations;
        self.running.retain(|id, (located, task)| {
            let stays = wanted.get(id) == Some(located);
            if !stays {
                task.abort();
                // A workload that has moved keeps what was last observed until it answers at its new address.
                if !wanted.contains_key(id) {
                    observations.send_modify(|all| drop(all.remove(id)));
                }
            }
            stays
        });
        for (id, located) in wanted {
            if !self.running.contains_key(id) {
                let url = located.url.clone();
                let task = observe(self.exchange.clone(), id.clone(), url, self.observations.clone());
                self.running.insert(id.clone(), (located.clone(), tokio::spawn(task).abort_handle()));
            }
        }
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, task)| task.abort());
    }
}

/// Asks for ever: soon again while there is no whole answer, now and then once there is.
async fn observe(exchange: Exchange, id: BackendId, url: Uri, observations: watch::Sender<Observations>) {
    let mut pause = limits::RETRY_FIRST;
    loop {
        let asked = inventory(&exchange, &url).await;
        let is_whole = asked.as_ref().is_ok_and(|inventory| inventory.unread.is_empty());
        observations.send_if_modified(|all| {
            let before = all.get(&id).cloned().unwrap_or_default();
            let now = match asked {
                Ok(inventory) => {
                    let inventory = match &before.inventory {
                        Some(previous) => inventory.keeping(previous),
                        None => inventory,
                    };
                    Observation { inventory: Some(Arc::new(inventory)), last_error: None }
                }
                Err(failure) => Observation { last_error: Some(failure.in_full()), ..before.clone() },
            };
            // What has not changed stays the same value, by which those who read it see that it has not.
            let has_changed = now != before || !all.contains_key(&id);
            if has_changed {
                all.insert(id.clone(), now);
            }
            has_changed
        });
        if is_whole {
            tracing::debug!(backend = %id, "backend answered");
            pause = limits::RETRY_FIRST;
            // Between half of the time and all of it: many backends are not asked at once, and none at once again.
            tokio::time::sleep(jittered(limits::REFRESH_TIME / 2, limits::REFRESH_TIME)).await;
        } else {
            tokio::time::sleep(jittered(Duration::ZERO, pause)).await;
            pause = (pause * 2).min(limits::RETRY_LONGEST);
        }
    }
}
