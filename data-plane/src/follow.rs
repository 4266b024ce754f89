//! The only writer of the snapshot: takes in what is new, builds, swaps, and says how it went.

use std::sync::Arc;

use tokio::sync::watch;
use vmcp_revision::Follower;

use crate::plane::Plane;
use crate::snapshot::{Held, Snapshot, take};

/// What a data plane says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The revision that it serves; 0 before the first.
    pub revision: u64,
    /// The generation of that revision.
    pub generation: u64,
    /// Parts that it could not use, and why. The virtual servers that need them are held at their last good state.
    pub rejected: Vec<(String, String)>,
}

/// Follows until the publisher or the process ends.
pub(crate) async fn run(plane: Plane, mut follower: Follower, observe: watch::Sender<Observed>) {
    let mut held = Held::new();
    loop {
        let published = tokio::select! {
            published = follower.next() => published,
            () = plane.drain.stopped() => None,
        };
        let Some(published) = published else { return };
        let rejected = take(&mut held, &published);
        let previous = plane.snapshot.load_full();
        let snapshot = Snapshot::build(&previous, &published, &held, &rejected);
        plane.snapshot.store(Arc::new(snapshot));
        plane.changed.send_replace(published.revision);
        tracing::info!(
            revision = published.revision,
            generation = published.generation,
            parts = published.parts.len(),
            rejected = rejected.len(),
            "revision applied"
        );
        let (revision, generation) = (published.revision, published.generation);
        let rejected = rejected.into_iter().map(|(name, why)| (name.to_string(), why.to_string()));
        observe.send_replace(Observed { revision, generation, rejected: rejected.collect() });
    }
}
