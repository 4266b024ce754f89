//! The end that publishes: the newest revision as a level, and a task for each stream, which brings one replica to it.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use vmcp_runtime::Drain;

use crate::codec::wire;
use crate::fleet::{Fleet, Replica};
use crate::protocol::{FromReplica, Heard, Hello, Observe, Publishing, ToReplica, Violation};
use crate::published::Published;

/// What is published, and to whom. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher {
    current: watch::Sender<Arc<Published>>,
    /// When that was published.
    since: watch::Sender<(u64, Duration)>,
    observe: watch::Sender<Arc<Observe>>,
    fleet: Fleet,
    streams: Arc<AtomicU64>,
    started: Instant,
}

/// Why a stream has ended.
#[derive(Debug, thiserror::Error)]
pub enum StreamEnd {
    /// The replica has closed it, or the connection has broken.
    #[error("the stream has ended: {0}")]
    Closed(String),
    /// The replica does what it must not.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// It has not been heard.
    #[error("the replica is silent")]
    Silent,
    /// The process stops.
    #[error("the control plane stops")]
    Stopped,
    /// Another stream has begun under the same id: the replica has come back, or there are two of that name.
    #[error("another stream has begun under the same id")]
    Replaced,
}

impl Publisher {
    /// Nothing has been published.
    pub fn new() -> Self {
        Self {
            current: watch::Sender::default(),
            since: watch::Sender::default(),
            observe: watch::Sender::default(),
            fleet: Fleet::new(),
            streams: Arc::default(),
            started: Instant::now(),
        }
    }

    /// Replaces what is published. Revisions only grow: their numbers come from the store.
    pub fn publish(&self, published: Published) {
        self.since.send_replace((published.revision, self.now()));
        self.current.send_replace(Arc::new(published));
    }

    /// What is published now.
    pub fn current(&self) -> Arc<Published> {
        self.current.borrow().clone()
    }

    /// Replaces what is observed beside revisions; what is the same is not sent again.
    pub fn observe(&self, observe: Observe) {
        self.observe.send_if_modified(|current| {
            let has_changed = **current != observe;
            if has_changed {
                *current = Arc::new(observe);
            }
            has_changed
        });
    }

    /// Those who follow, and have followed.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Time on the clock of [`Replica::since`].
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Publishes to one replica until its stream ends.
    pub(crate) async fn serve<E: fmt::Display>(
        &self,
        inbound: impl Stream<Item = Result<FromReplica, E>>,
        outbound: mpsc::Sender<ToReplica>,
        drain: Drain,
    ) -> StreamEnd {
        let mut stream = ServedStream {
            publisher: self,
            number: self.streams.fetch_add(1, Ordering::Relaxed) + 1,
            replica: None,
            replaced: Arc::default(),
            publishing: Publishing::new(self.now()),
        };
        let end = stream.run(inbound, outbound, drain).await;
        if let Some(replica) = &stream.replica {
            match &end {
                StreamEnd::Closed(_) | StreamEnd::Stopped => {
                    tracing::info!(%replica, %end, "replica no longer follows")
                }
                _ => tracing::warn!(%replica, %end, "replica no longer follows"),
            }
            self.fleet.left(replica, stream.number, self.now());
        }
        end
    }
}

impl Default for Publisher {
    fn default() -> Self {
        Self::new()
    }
}

struct ServedStream<'a> {
    publisher: &'a Publisher,
    number: u64,
    replica: Option<String>,
    replaced: Arc<Notify>,
    publishing: Publishing,
}

impl ServedStream<'_> {
    async fn run<E: fmt::Display>(
        &mut self,
        inbound: impl Stream<Item = Result<FromReplica, E>>,
        outbound: mpsc::Sender<ToReplica>,
        drain: Drain,
    ) -> StreamEnd {
        let mut inbound = pin!(inbound);
        let mut current = self.publisher.current.subscribe();
        let mut observe = self.publisher.observe.subscribe();
        let mut pending = None;
        loop {
            let newest = current.borrow_and_update().clone();
            let observed = observe.borrow_and_update().clone();
            if pending.is_none() {
                pending = self.publishing.next(&newest, &observed, self.publisher.now());
                self.note_standing(&newest);
            }
            let replaced = self.replaced.clone();
            let due_at = self.publisher.started + self.publishing.due_at(pending.is_none());
            tokio::select! {
                () = drain.stopped() => {
                    // Nobody waits for a replica that does not read.
                    let _ = outbound.try_send(ToReplica::Drain);
                    return StreamEnd::Stopped;
                }
                message = inbound.next() => match message {
                    Some(Ok(message)) => if let Err(violation) = self.receive(message) {
                        return violation.into();
                    },
                    Some(Err(error)) => return StreamEnd::Closed(error.to_string()),
                    None => return StreamEnd::Closed("by the replica".to_owned()),
                },
                permit = outbound.reserve(), if pending.is_some() => match (permit, pending.take()) {
                    (Ok(permit), Some(message)) => permit.send(self.count(message)),
                    _ => return StreamEnd::Closed("by the replica".to_owned()),
                },
                Ok(()) = current.changed(), if pending.is_none() => {}
                Ok(()) = observe.changed(), if pending.is_none() => {}
                () = replaced.notified() => return StreamEnd::Replaced,
                () = tokio::time::sleep_until(due_at) => if self.publishing.is_silent(self.publisher.now()) {
                    return StreamEnd::Silent;
                },
            }
        }
    }

    fn receive(&mut self, message: FromReplica) -> Result<(), Violation> {
        match self.publishing.receive(message, self.publisher.now())? {
            Heard::Hello(hello) => self.joined(hello),
            Heard::Ack { ack, generation } => self.update(|replica| {
                let (revision, since) = *self.publisher.since.borrow();
                replica.answered_after =
                    (revision == ack.revision).then(|| self.publisher.now().saturating_sub(since));
                (replica.revision, replica.generation) = (ack.revision, generation);
                replica.rejected = ack.rejected;
                replica.held_back = ack.held_back;
                replica.spill_error = ack.spill_error;
            }),
            Heard::Report(report) => self.update(|replica| replica.report = report),
            Heard::Pong => {}
        }
        Ok(())
    }

    fn joined(&mut self, hello: Hello) {
        tracing::info!(replica = %hello.replica, revision = hello.revision, "replica follows");
        let replica = Replica {
            software_version: hello.software_version,
            revision: hello.revision,
            generation: hello.generation,
            was_stale: Duration::from_millis(hello.stale_ms),
            stream: Some(self.number),
            since: self.publisher.now(),
            ..Replica::default()
        };
        self.replaced = self.publisher.fleet.joined(&hello.replica, replica);
        self.replica = Some(hello.replica);
    }

    /// Whether it has all that it is to have. A replica that serves something newer is left alone, and that is said.
    fn note_standing(&self, newest: &Published) {
        let is_ahead = newest.revision > 0 && self.publishing.is_ahead_of(newest);
        self.update(|replica| {
            replica.has_answered = self.publishing.is_answered();
            replica.stuck = is_ahead.then(|| {
                format!(
                    "it serves revision {}, and this control plane is at {}: is its data directory an older copy, or a new one? Start it once with `--continue-after {}`",
                    replica.revision, newest.revision, replica.revision
                )
            });
        });
    }

    fn count(&self, message: ToReplica) -> ToReplica {
        let begins = matches!(message, ToReplica::Begin { .. });
        let is_of_revision = !matches!(message, ToReplica::Ping | ToReplica::Observe(_) | ToReplica::Drain);
        let bytes = wire::length(&message);
        self.update(|replica| {
            replica.bytes += bytes;
            if begins {
                replica.revision_bytes = 0;
            }
            replica.revision_bytes += if is_of_revision { bytes } else { 0 };
        });
        message
    }

    fn update(&self, change: impl FnOnce(&mut Replica)) {
        if let Some(replica) = &self.replica {
            self.publisher.fleet.update(replica, self.number, change);
        }
    }
}
