//! The only writer of the snapshot: decodes what is new, keeps what has not changed, builds, swaps, and says how it went.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::watch;
use vmcp_revision::codec::{self, Decoded, Rejection};
use vmcp_revision::{Digest, Follower, PartName, Published};

use crate::app::{Observed, Plane};
use crate::snapshot::Snapshot;

/// Parts as they were last good, by name.
pub(crate) type Held = HashMap<PartName, (Digest, Arc<Decoded>)>;

/// Parts of a revision that cannot be used, and why.
pub(crate) type Rejected = BTreeMap<PartName, Rejection>;

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

/// Decodes the parts that have changed and forgets those that are gone. A part that cannot be decoded keeps its last good
/// value, if it has one.
pub(crate) fn take(held: &mut Held, published: &Published) -> Rejected {
    held.retain(|name, _| published.parts.contains_key(name));
    let mut rejected = Rejected::new();
    for (name, part) in &published.parts {
        if held.get(name).is_some_and(|(digest, _)| *digest == part.digest) {
            continue;
        }
        match codec::decode(part) {
            Ok(decoded) => drop(held.insert(name.clone(), (part.digest, Arc::new(decoded)))),
            Err(rejection) => drop(rejected.insert(name.clone(), rejection)),
        }
    }
    rejected
}
