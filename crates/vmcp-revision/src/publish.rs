//! The channel between the planes when they share a process: the current revision, whole, as a level that can be read
//! at any time. A slow follower skips revisions and misses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::part::{Part, PartName};

/// A published state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// Its number; 0 is before the first.
    pub revision: u64,
    /// The accepted desired state that it was compiled from.
    pub generation: u64,
    /// Everything in it.
    pub parts: BTreeMap<PartName, Part>,
}

/// The end that publishes. Dropping it ends the followers.
#[derive(Debug)]
pub struct Publisher {
    current: watch::Sender<Arc<Published>>,
}

/// An end that follows.
#[derive(Debug, Clone)]
pub struct Follower {
    current: watch::Receiver<Arc<Published>>,
}

impl Publisher {
    /// Nothing has been published.
    pub fn new() -> (Self, Follower) {
        let (sender, receiver) = watch::channel(Arc::default());
        (Self { current: sender }, Follower { current: receiver })
    }

    /// Publishes a state under the next number and returns that; the same parts of the same generation change nothing.
    pub fn publish(&self, generation: u64, parts: impl IntoIterator<Item = Part>) -> u64 {
        let parts = parts.into_iter().map(|part| (part.name.clone(), part)).collect();
        self.current.send_if_modified(|current| {
            if current.revision > 0 && current.generation == generation && current.parts == parts {
                return false;
            }
            *current = Arc::new(Published { revision: current.revision + 1, generation, parts });
            true
        });
        self.current.borrow().revision
    }

    /// What is published now.
    pub fn current(&self) -> Arc<Published> {
        self.current.borrow().clone()
    }
}

impl Follower {
    /// Waits until there is a revision that this follower has not returned yet; `None` when the publisher is gone.
    pub async fn next(&mut self) -> Option<Arc<Published>> {
        self.current.changed().await.ok()?;
        Some(self.current.borrow_and_update().clone())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn part(name: &str, bytes: &'static str) -> Part {
        Part::new(PartName::VirtualServer(name.parse().unwrap()), Bytes::from_static(bytes.as_bytes()))
    }

    #[tokio::test]
    async fn a_follower_sees_the_newest_state_once() {
        let (publisher, mut follower) = Publisher::new();
        assert_eq!(publisher.publish(1, [part("a", "1")]), 1);
        assert_eq!(publisher.publish(1, [part("a", "1"), part("b", "1")]), 2);
        assert_eq!(
            publisher.publish(1, [part("b", "1"), part("a", "1")]),
            2,
            "the same parts change nothing"
        );
        let seen = follower.next().await.unwrap();
        assert_eq!((seen.revision, seen.generation, seen.parts.len()), (2, 1, 2));
        assert_eq!(publisher.publish(2, [part("a", "1"), part("b", "1")]), 3);
        assert_eq!(follower.next().await.unwrap().generation, 2);
        drop(publisher);
        assert!(follower.next().await.is_none());
    }

    #[test]
    fn an_empty_state_is_a_revision() {
        let (publisher, _follower) = Publisher::new();
        assert_eq!(publisher.publish(0, []), 1);
    }
}
