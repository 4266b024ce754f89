//! The only writer of the snapshot: decodes what is new, keeps what has not changed, builds, swaps, and says how it went.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use vmcp_revision::codec::{self, Decoded};
use vmcp_revision::{Digest, Follower, PartName, Published};

use crate::app::{Observed, Plane};
use crate::snapshot::Snapshot;

/// Parts as they were last good, by name.
pub(crate) type Held = HashMap<PartName, (Digest, Arc<Decoded>)>;

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
        let snapshot = Snapshot::build(&previous, published.revision, &held);
        plane.snapshot.store(Arc::new(snapshot));
        plane.changed.send_replace(published.revision);
        tracing::info!(
            revision = published.revision,
            generation = published.generation,
            parts = published.parts.len(),
            rejected = rejected.len(),
            "revision applied"
        );
        observe.send_replace(Observed {
            revision: published.revision,
            generation: published.generation,
            rejected,
        });
    }
}

/// Decodes the parts that have changed and forgets those that are gone. A part that cannot be decoded keeps its last good
/// value; if there is none, whatever refers to it is inert.
fn take(held: &mut Held, published: &Published) -> Vec<(String, String)> {
    held.retain(|name, _| published.parts.contains_key(name));
    let mut rejected = Vec::new();
    for (name, part) in &published.parts {
        if held.get(name).is_some_and(|(digest, _)| *digest == part.digest) {
            continue;
        }
        match codec::decode(part) {
            Ok(decoded) => drop(held.insert(name.clone(), (part.digest, Arc::new(decoded)))),
            Err(rejection) => rejected.push((name.to_string(), rejection.to_string())),
        }
    }
    rejected
}
