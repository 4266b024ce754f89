//! The replicas that follow, or have followed: what each serves, rejects and costs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use vmcp_core::backend::BackendId;
use vmcp_core::limits;

use crate::protocol::{HeldBack, RejectedPart, Report};

/// Every replica, by id. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fleet {
    replicas: Arc<Mutex<BTreeMap<String, Replica>>>,
    /// Wakes the stream of each when another one takes its place.
    replaced: Arc<Mutex<BTreeMap<String, Arc<Notify>>>>,
    changes: watch::Sender<u64>,
    avoided: watch::Sender<Avoided>,
}

/// Which backends are not called now, since calls to them fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Avoided {
    /// By how many of the replicas that follow.
    pub by: BTreeMap<BackendId, usize>,
    /// How many follow.
    pub replicas: usize,
}

/// What is known of a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replica {
    /// Its version.
    pub software_version: String,
    /// The revision that it serves.
    pub revision: u64,
    /// The generation of that.
    pub generation: u64,
    /// What it has rejected of that.
    pub rejected: Vec<RejectedPart>,
    /// Virtual servers that it holds at an earlier revision.
    pub held_back: Vec<HeldBack>,
    /// Why it could not keep the revision on disk.
    pub spill_error: Option<String>,
    /// Whether it has answered a revision since it connected.
    pub has_answered: bool,
    /// How long after its publication it has answered the last revision.
    pub answered_after: Option<Duration>,
    /// Why nothing is published to it, though it is connected.
    pub stuck: Option<String>,
    /// How it fares.
    pub report: Report,
    /// How long it had not heard from a control plane when it connected.
    pub was_stale: Duration,
    /// Bytes of messages sent on this stream.
    pub bytes: u64,
    /// Bytes of messages sent for the last revision.
    pub revision_bytes: u64,
    /// The stream on which it follows; `None` if it does not.
    pub stream: Option<u64>,
    /// When the stream was opened, or has ended; on the clock of the publisher.
    pub since: Duration,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self {
            replicas: Arc::default(),
            replaced: Arc::default(),
            changes: watch::Sender::new(0),
            avoided: watch::Sender::default(),
        }
    }

    /// Every replica, as it is now.
    pub fn replicas(&self) -> BTreeMap<String, Replica> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which backends are not called, as that changes.
    pub fn avoided(&self) -> watch::Receiver<Avoided> {
        self.avoided.subscribe()
    }

    /// Wakes when something has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A replica follows on a stream of this number. What is returned wakes when another stream takes its place.
    pub(crate) fn joined(&self, id: &str, replica: Replica) -> Arc<Notify> {
        let wake = Arc::new(Notify::new());
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = replaced.insert(id.to_owned(), wake.clone()) {
            before.notify_one();
        }
        drop(replaced);
        let mut replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        let now = replica.since;
        replicas
            .retain(|_, known| known.stream.is_some() || now.saturating_sub(known.since) < limits::AWAY_TIME);
        if replicas.len() >= limits::REPLICAS && !replicas.contains_key(id) {
            let longest_gone = replicas
                .iter()
                .filter(|(_, known)| known.stream.is_none())
                .min_by_key(|(_, known)| known.since);
            if let Some(id) = longest_gone.map(|(id, _)| id.clone()) {
                replicas.remove(&id);
            }
        }
        replicas.insert(id.to_owned(), replica);
        self.count_avoided(&replicas);
        drop(replicas);
        self.tell();
        wake
    }

    /// A replica no longer follows on that stream.
    pub(crate) fn left(&self, id: &str, stream: u64, now: Duration) {
        let mut is_its = false;
        self.update(id, stream, |replica| {
            (replica.stream, replica.since) = (None, now);
            is_its = true;
        });
        if is_its {
            self.replaced.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
    }

    /// Changes what is known of a replica, if it still follows on that stream.
    pub(crate) fn update(&self, id: &str, stream: u64, change: impl FnOnce(&mut Replica)) {
        let mut replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(replica) = replicas.get_mut(id).filter(|known| known.stream == Some(stream)) else { return };
        let before = replica.clone();
        change(replica);
        let has_changed = *replica != before;
        if replica.stream != before.stream || replica.report.avoided != before.report.avoided {
            self.count_avoided(&replicas);
        }
        drop(replicas);
        if has_changed {
            self.tell();
        }
    }

    fn count_avoided(&self, replicas: &BTreeMap<String, Replica>) {
        let mut avoided = Avoided::default();
        for replica in replicas.values().filter(|replica| replica.stream.is_some()) {
            avoided.replicas += 1;
            for id in replica.report.avoided.iter().collect::<BTreeSet<_>>() {
                *avoided.by.entry(id.clone()).or_default() += 1;
            }
        }
        self.avoided.send_if_modified(|known| {
            let has_changed = *known != avoided;
            *known = avoided;
            has_changed
        });
    }

    fn tell(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}
