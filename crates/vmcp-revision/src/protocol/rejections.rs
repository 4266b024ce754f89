//! What was rejected on a stream. Both ends remember the same, within the same bound: they see the same answers in the same order.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use vmcp_core::limits;

use crate::part::{Digest, Part, PartName};

/// Parts that were rejected on one stream.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    parts: BTreeMap<(PartName, Digest), Bytes>,
    oldest_first: VecDeque<(PartName, Digest)>,
    bytes: usize,
}

impl Rejections {
    /// Remembers a part, and forgets the oldest beyond the bound.
    pub(super) fn remember(&mut self, part: &Part) {
        let key = (part.name.clone(), part.digest);
        if self.parts.insert(key.clone(), part.bytes.clone()).is_some() {
            return;
        }
        self.oldest_first.push_back(key);
        self.bytes += part.bytes.len();
        while self.oldest_first.len() > limits::REJECTED_PARTS || self.bytes > limits::REJECTED_BYTES {
            let Some(oldest) = self.oldest_first.pop_front() else { return };
            self.bytes -= self.parts.remove(&oldest).map_or(0, |bytes| bytes.len());
        }
    }

    /// The bytes of a part that is remembered.
    pub(super) fn find(&self, name: &PartName, digest: Digest) -> Option<&Bytes> {
        self.parts.get(&(name.clone(), digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let part = |number: usize, size: usize| {
            let name: PartName = format!("virtual_server/s{number}").parse().unwrap();
            Part::new(name, vec![1; size].into())
        };
        let mut rejections = Rejections::default();
        for number in 0..limits::REJECTED_PARTS + 10 {
            rejections.remember(&part(number, 1));
        }
        let is_known =
            |rejections: &Rejections, part: &Part| rejections.find(&part.name, part.digest).is_some();
        assert!(!is_known(&rejections, &part(9, 1)) && is_known(&rejections, &part(10, 1)));
        rejections.remember(&part(0, limits::REJECTED_BYTES - 5));
        assert!(!is_known(&rejections, &part(20, 1)), "bytes count, too");
        assert!(is_known(&rejections, &part(0, limits::REJECTED_BYTES - 5)));
    }
}
