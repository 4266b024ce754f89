//! The parts that a replica holds: decoded once, kept while their digest stays, and as they were last good.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use vmcp_revision::codec::{self, Decoded, Rejection};
use vmcp_revision::{Digest, PartName, Published};

/// Parts as they were last good, by name.
pub(crate) type Held = HashMap<PartName, (Digest, Arc<Decoded>)>;

/// Parts of a revision that cannot be used, and why.
pub(crate) type Rejected = BTreeMap<PartName, Rejection>;

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
