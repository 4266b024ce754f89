//! The only writer of the snapshot: takes in what is new, builds, swaps, keeps it on disk, and says how it went.

mod spill;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_revision::protocol::{HeldBack, IssuerKeys, Observe};
use vmcp_revision::{Follower, PartName, Serving, Verdict};
use vmcp_runtime::unix_ms;

use crate::backend::Told;
use crate::plane::Plane;
use crate::snapshot::{Decode, FilesRead, Held, Snapshot, forget, take};
use spill::Kept;
pub(crate) use spill::new_id;
pub use spill::{StateDir, StateFault};

/// What a data plane says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The revision that it serves; 0 before the first.
    pub revision: u64,
    /// The generation of that revision.
    pub generation: u64,
    /// Whether clients can be served; not if there are virtual servers and none can be used.
    pub is_ready: bool,
    /// Whether it comes from disk, and no control plane has been heard yet.
    pub is_from_disk: bool,
    /// Parts that it could not use, and why.
    pub rejected: BTreeMap<PartName, String>,
    /// Virtual servers that are held at their last good state for that.
    pub held_back: Vec<HeldBack>,
    /// Why what was kept on disk was not used at start.
    pub kept_fault: Option<String>,
    /// Why what is served could not be kept on disk.
    pub spill_error: Option<String>,
}

/// What follows, and where it keeps what it has.
pub(crate) struct Follow {
    pub(crate) plane: Plane,
    pub(crate) decode: Decode,
    pub(crate) state: Option<Arc<StateDir>>,
    pub(crate) observe: watch::Sender<Observed>,
    pub(crate) held: Held,
    pub(crate) serving: Serving,
    /// The virtual servers that it is to serve; all if there is none.
    pub(crate) wanted: Vec<Name>,
    /// Of issuers, as a control plane has last fetched them.
    pub(crate) keys: Vec<IssuerKeys>,
}

impl Follow {
    /// Serves what was kept on disk, if anything that this version can use was. Returns when that was last known to be new, in
    /// milliseconds since 1970.
    pub(crate) fn resume(&mut self) -> u64 {
        let Kept { mut serving, heard_ms } = match self.state.as_ref().map(|state| state.load()) {
            Some(Ok(Some(kept))) => kept,
            None | Some(Ok(None)) => return 0,
            Some(Err(fault)) => {
                let fault = fault.in_full();
                tracing::error!(fault, "what was kept on disk is not used; waiting for a control plane");
                self.observe.send_modify(|observed| observed.kept_fault = Some(fault));
                return 0;
            }
        };
        if !self.wanted.is_empty() {
            serving.servers.retain(|name, _| self.wanted.contains(name));
            serving.names.retain(|name| self.wanted.contains(name));
        }
        let mut rejected = BTreeMap::new();
        let parts = serving.servers.values().flat_map(|server| server.parts.values());
        for part in parts.chain(serving.held.parts.values()) {
            let why = take(&mut self.held, [part], self.decode).remove(&part.name);
            rejected.extend(why.map(|why| ((part.name.clone(), part.digest), why)));
        }
        self.serving = serving.resumed(|part| !rejected.contains_key(&(part.name.clone(), part.digest)));
        self.swap(FilesRead::Changed);
        let (revision, generation) = (self.serving.held.revision, self.serving.held.generation);
        self.plane.counters.serves(revision, rejected.len());
        tracing::info!(revision, rejected = rejected.len(), "serving what was kept on disk");
        let unserved = self.serving.names.iter().filter(|name| !self.serving.servers.contains_key(*name));
        let held_back =
            unserved.map(|name| HeldBack { virtual_server: name.clone(), revision: 0, parts: Vec::new() });
        self.observe.send_replace(Observed {
            revision,
            generation,
            is_ready: self.is_ready(),
            is_from_disk: true,
            rejected: rejected.into_iter().map(|((name, _), why)| (name, why)).collect(),
            held_back: held_back.collect(),
            ..Observed::default()
        });
        heard_ms
    }

    /// Follows until the process stops.
    pub(crate) async fn run(mut self, mut follower: Follower) {
        let mut connection = follower.connection();
        let mut told = follower.observed();
        let mut minutes = tokio::time::interval(limits::HEARD_TIME);
        let mut looks = tokio::time::interval(limits::FILES_TIME);
        loop {
            let published = tokio::select! {
                published = follower.next() => published,
                Ok(()) = connection.changed() => {
                    let is_connected = connection.borrow_and_update().to.is_some();
                    self.plane.counters.follows(is_connected);
                    if !is_connected {
                        // What nobody says any more may not be so; what our own calls show still is.
                        self.plane.told.store(Arc::default());
                    }
                    continue;
                }
                Ok(()) = told.changed() => {
                    let observe = told.borrow_and_update().clone();
                    self.observe(observe);
                    continue;
                }
                _ = looks.tick() => {
                    // A key or a certificate that has been replaced is used before long.
                    if self.plane.snapshot.load().has_references() {
                        self.swap(FilesRead::Again);
                    }
                    continue;
                }
                _ = minutes.tick() => {
                    let heard_ms = connection.borrow().heard_ms;
                    self.touch(heard_ms).await;
                    continue;
                }
            };
            let Some(published) = published else {
                let heard_ms = connection.borrow().heard_ms;
                return self.touch(heard_ms).await;
            };
            let rejected = take(&mut self.held, published.parts.values(), self.decode);
            let (serving, held_back) = self.serving.advance(&published, &rejected.keys().cloned().collect());
            self.serving = serving;
            self.swap(FilesRead::Changed);
            self.plane.counters.serves(published.revision, rejected.len());
            tracing::info!(
                revision = published.revision,
                generation = published.generation,
                parts = published.parts.len(),
                rejected = rejected.len(),
                "revision applied"
            );
            // Acknowledged is kept: after a restart nothing older than what was acknowledged is served.
            let spill_error = self.keep().await;
            self.observe.send_modify(|observed| {
                *observed = Observed {
                    revision: published.revision,
                    generation: published.generation,
                    is_ready: self.is_ready(),
                    is_from_disk: false,
                    rejected: rejected.clone(),
                    held_back: held_back.clone(),
                    kept_fault: observed.kept_fault.take(),
                    spill_error: spill_error.clone(),
                };
            });
            let rejected = rejected.into_iter().collect();
            follower.answer(Verdict { published, rejected, held_back, spill_error }).await;
        }
    }

    /// Whether clients can be served. One that is to serve what nobody has published is not.
    fn is_ready(&self) -> bool {
        self.serving.is_ready() && (self.wanted.is_empty() || !self.serving.servers.is_empty())
    }

    fn swap(&mut self, files: FilesRead) {
        let previous = self.plane.snapshot.load_full();
        let snapshot = Snapshot::build(&previous, &self.serving, &self.held, files);
        // Nobody need look at it anew.
        if files == FilesRead::Again && snapshot.serves_like(&previous) {
            return;
        }
        // Each of them has been looked at when its backend was built.
        if let Err(error) = self.plane.exchange.set_origins(snapshot.origins()) {
            tracing::error!(%error, "connections are made as they were before this revision");
        }
        self.plane.snapshot.store(Arc::new(snapshot));
        self.plane.changed.send_replace(self.serving.held.revision);
        forget(&mut self.held, &self.serving);
        self.learn();
    }

    /// What the control plane says beside what it publishes.
    fn observe(&mut self, observe: Observe) {
        self.plane.told.store(Arc::new(Told::of(&observe)));
        if self.keys == observe.keys {
            return;
        }
        let before = std::mem::replace(&mut self.keys, observe.keys);
        self.learn();
        if !are_same_keys(&before, &self.keys) {
            // Who stays has a token that one of them has signed.
            self.plane.changed.send_modify(|_| ());
        }
    }

    /// The keys that the control plane has fetched are those of whoever trusts their issuer.
    fn learn(&self) {
        for (trusted, keys) in self.plane.snapshot.load().trusted().flat_map(|trusted| {
            let of = |keys: &&IssuerKeys| keys.issuer == trusted.issuer && keys.jwks_url == trusted.jwks_url;
            self.keys.iter().find(of).map(|keys| (trusted, keys))
        }) {
            let age = Duration::from_millis(unix_ms().saturating_sub(keys.fetched_ms));
            if let Err(error) = self.plane.verifier.learn(trusted, &keys.document, age) {
                tracing::warn!(
                    issuer = keys.issuer,
                    error,
                    "keys of an issuer cannot be read; those that are known stay"
                );
            }
        }
    }

    /// Keeps when a control plane was last heard, so that it is known after a restart how stale this is.
    async fn touch(&self, heard_ms: u64) {
        let Some(state) = self.state.clone().filter(|_| heard_ms > 0) else { return };
        let revision = self.serving.held.revision;
        // It is written again before long, and says no more than how old something is.
        let _ = tokio::task::spawn_blocking(move || state.touch(revision, heard_ms)).await;
    }

    /// A disk that is full, or gone, leaves serving as it is.
    async fn keep(&self) -> Option<String> {
        let state = self.state.clone()?;
        let kept = Kept { serving: self.serving.clone(), heard_ms: unix_ms() };
        let outcome = tokio::task::spawn_blocking(move || state.keep(&kept)).await;
        let error = match outcome {
            Ok(Ok(())) => return None,
            Ok(Err(fault)) => fault.in_full(),
            Err(error) => error.to_string(),
        };
        tracing::error!(
            error,
            "what is served could not be kept on disk; a restart would begin with an older revision, or with none"
        );
        Some(error)
    }
}

/// Whether they say the same, whenever they were fetched.
fn are_same_keys(before: &[IssuerKeys], now: &[IssuerKeys]) -> bool {
    let said = |keys: &IssuerKeys| (keys.issuer.clone(), keys.jwks_url.clone(), keys.document.clone());
    before.iter().map(said).eq(now.iter().map(said))
}
