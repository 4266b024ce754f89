//! One task per backend that asks it, soon again until it has answered, then now and then. What was last observed stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    /// Where it said so.
    pub(crate) url: Option<Uri>,
    /// Nothing has confirmed it since it was read from the store, or since somebody wants it again.
    pub(crate) is_stale: bool,
    /// Why the last question was not answered.
    pub(crate) last_error: Option<String>,
    /// Where it was last asked, whatever came of that.
    pub(crate) asked: Option<Located>,
}

impl Observation {
    /// Whether it is to be stored: what the next process begins with.
    pub(crate) fn is_same_record(&self, other: &Self) -> bool {
        self.url == other.url
            && match (&self.inventory, &other.inventory) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
                (None, None) => true,
                _ => false,
            }
    }
}

/// The tasks, by backend.
#[derive(Debug)]
pub(crate) struct Observers {
    exchange: Exchange,
    observations: watch::Sender<Observations>,
    running: BTreeMap<BackendId, (Located, AbortHandle)>,
    has_begun: bool,
}

impl Observers {
    /// Begins with what was known before.
    pub(crate) fn new(exchange: Exchange, known: Observations) -> Self {
        Self { exchange, observations: watch::Sender::new(known), running: BTreeMap::new(), has_begun: false }
    }

    /// What is known, as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Observations> {
        self.observations.subscribe()
    }

    /// Makes the tasks those of `wanted`: starts what is new or has moved, ends what is gone. What was known of it stays, within
    /// a bound, in case somebody wants it again.
    pub(crate) fn follow(&mut self, wanted: &BTreeMap<BackendId, Located>) {
        // What was known when the process began is of those that were wanted then.
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let before: BTreeSet<BackendId> = self.running.keys().cloned().collect();
        let mut gone = Vec::new();
        self.running.retain(|id, (located, task)| {
            let stays = wanted.get(id) == Some(located);
            if !stays {
                task.abort();
                gone.extend((!wanted.contains_key(id)).then(|| id.clone()));
            }
            stays
        });
        if !gone.is_empty() {
            self.observations.send_modify(|all| forget(all, &gone, wanted));
        }
        for (id, located) in wanted {
            if !self.running.contains_key(id) {
                let is_back = !is_first && !before.contains(id);
                self.observations.send_if_modified(|all| is_back && forget_elsewhere(all, id, located));
                let task =
                    observe(self.exchange.clone(), id.clone(), located.clone(), self.observations.clone());
                self.running.insert(id.clone(), (located.clone(), tokio::spawn(task).abort_handle()));
            }
        }
    }
}

/// A backend that somebody wants again, and at another address, may be another server.
fn forget_elsewhere(all: &mut Observations, id: &BackendId, located: &Located) -> bool {
    let is_elsewhere = all.get(id).is_some_and(|known| known.url.as_ref() != located.url());
    if is_elsewhere {
        all.remove(id);
    }
    is_elsewhere
}

/// What nobody wants any more is no longer confirmed; beyond the bound it is not known at all.
fn forget(all: &mut Observations, gone: &[BackendId], wanted: &BTreeMap<BackendId, Located>) {
    for id in gone {
        match all.get_mut(id) {
            Some(known) if known.inventory.is_some() => {
                (known.is_stale, known.last_error, known.asked) = (true, None, None);
            }
            _ => drop(all.remove(id)),
        }
    }
    let unwanted: Vec<BackendId> = all.keys().filter(|id| !wanted.contains_key(*id)).cloned().collect();
    for id in unwanted.iter().skip(limits::REMEMBERED_BACKENDS) {
        all.remove(id);
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, task)| task.abort());
    }
}

/// Asks for ever: soon again while there is no whole answer, now and then once there is.
async fn observe(
    exchange: Exchange,
    id: BackendId,
    located: Located,
    observations: watch::Sender<Observations>,
) {
    let mut pause = limits::RETRY_FIRST;
    loop {
        let asked = inventory(&exchange, &located.endpoints).await;
        let is_whole = asked.as_ref().is_ok_and(|inventory| inventory.unread.is_empty());
        observations.send_if_modified(|all| {
            let before = all.get(&id).cloned().unwrap_or_default();
            let now = match asked {
                Ok(inventory) => {
                    let inventory = match &before.inventory {
                        Some(previous) => inventory.keeping(previous),
                        None => inventory,
                    };
                    // What is as it was stays the same value.
                    let same = before.inventory.clone().filter(|previous| **previous == inventory);
                    Observation {
                        inventory: Some(same.unwrap_or_else(|| Arc::new(inventory))),
                        url: located.url().cloned(),
                        asked: Some(located.clone()),
                        ..Observation::default()
                    }
                }
                Err(failure) => Observation {
                    last_error: Some(failure.in_full()),
                    asked: Some(located.clone()),
                    ..before.clone()
                },
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
            tokio::time::sleep(jittered(pause, pause * 5 / 4)).await;
            // Whoever comes back is met again within about a fifth of the time for which it was away.
            pause = (pause * 6 / 5).min(limits::RETRY_LONGEST);
        }
    }
}
