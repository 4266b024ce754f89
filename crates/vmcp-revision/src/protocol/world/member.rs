//! The control planes of the world: two members over one store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use vmcp_core::backend::BackendId;
use vmcp_core::health::Health;

use super::super::planted::{Fault, is_planted};
use super::super::{FromReplica, Heard, Observe, Publishing, ToReplica, Violation};
use super::{MEMBERS, Whole, World};
use crate::part::{Part, PartName};
use crate::published::Published;

/// What outlives members: what is wanted and known, and the last number.
#[derive(Debug, Default)]
pub(super) struct Store {
    generation: u64,
    revision: u64,
    /// Each part with a version of its words; the second number is the version of vmcp that understands it.
    content: BTreeMap<PartName, (u32, u8)>,
}

#[derive(Debug, Default)]
pub(super) struct Member {
    up: Option<Up>,
}

#[derive(Debug, Default)]
struct Up {
    published: Whole,
    observe: Arc<Observe>,
    streams: BTreeMap<u64, Publishing>,
}

impl Store {
    pub(super) fn new(rng: &mut fastrand::Rng) -> Self {
        let mut store = Self { generation: 1, ..Self::default() };
        for name in ["virtual_server/a", "virtual_server/b", "backend/g/x", "catalog/a/g/x", "catalog/b/g/x"]
        {
            store.content.insert(name.parse().expect("a name"), (rng.u32(0..100), 0));
        }
        store
    }

    /// What anybody wants: one to three parts are new, other or gone, and there is always a virtual server.
    fn change(&mut self, rng: &mut fastrand::Rng) {
        const NAMES: [&str; 12] = [
            "virtual_server/b",
            "virtual_server/c",
            "backend/g/x",
            "backend/g/y",
            "backend/g/z",
            "catalog/a/g/x",
            "catalog/a/g/y",
            "catalog/b/g/x",
            "catalog/b/g/z",
            "catalog/c/g/y",
            "policy_set/a",
            "policy_set/b",
        ];
        self.generation += u64::from(rng.bool());
        if rng.u32(0..3) == 0 {
            // To and fro between what all versions understand and what one does.
            let swinging: PartName = "catalog/a/g/x".parse().expect("a name");
            let understood_by = if self.content.get(&swinging) == Some(&(0, 0)) { 1 } else { 0 };
            self.content.insert(swinging, (0, understood_by));
            return;
        }
        for _ in 0..rng.u32(1..4) {
            let name: PartName = NAMES[rng.usize(0..NAMES.len())].parse().expect("a name");
            if rng.u32(0..4) == 0 {
                self.content.remove(&name);
            } else {
                // Few words, so that what was rejected comes again.
                let understood_by = if rng.u32(0..4) == 0 { rng.u8(1..3) } else { 0 };
                self.content.insert(name, (rng.u32(0..3), understood_by));
            }
        }
    }

    fn parts(&self) -> BTreeMap<PartName, Part> {
        let parts = self.content.iter().map(|(name, (words, version))| {
            let bytes = format!("{version} {words} {name}");
            (name.clone(), Part::new(name.clone(), Bytes::from(bytes)))
        });
        parts.collect()
    }

    /// What members publish.
    pub(super) fn whole(&self) -> Published {
        Published::new(self.revision, self.generation, self.parts())
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }
}

impl Member {
    pub(super) fn is_up(&self) -> bool {
        self.up.is_some()
    }

    pub(super) fn revision(&self) -> u64 {
        self.up.as_ref().map_or(0, |up| up.published.revision)
    }

    pub(super) fn open(&mut self, stream: u64, now: Duration) {
        if let Some(up) = &mut self.up {
            // Small pieces, so that parts are several.
            up.streams.insert(stream, Publishing::new(now).with_pieces_of(7));
        }
    }

    pub(super) fn close(&mut self, stream: u64) {
        if let Some(up) = &mut self.up {
            up.streams.remove(&stream);
        }
    }

    pub(super) fn is_silent(&self, stream: u64, now: Duration) -> bool {
        let known = self.up.as_ref().and_then(|up| up.streams.get(&stream));
        known.is_none_or(|publishing| publishing.is_silent(now))
    }

    pub(super) fn next(&mut self, stream: u64, now: Duration) -> Option<ToReplica> {
        let up = self.up.as_mut()?;
        up.streams.get_mut(&stream)?.next(&up.published, &up.observe, now)
    }

    pub(super) fn receive(
        &mut self,
        stream: u64,
        message: FromReplica,
        now: Duration,
    ) -> Result<Option<Heard>, Violation> {
        let publishing = self.up.as_mut().and_then(|up| up.streams.get_mut(&stream));
        publishing.map(|publishing| publishing.receive(message, now)).transpose()
    }
}

impl World {
    /// What is wanted changes, at a member that knows what was wanted before: it stores, then publishes, unless it crashes in between.
    pub(super) fn change(&mut self) {
        let member = self.rng.usize(0..MEMBERS);
        if !self.members[member].is_up() {
            return;
        }
        // The store takes nothing from a member that lags.
        self.sync_member(member);
        self.store.change(&mut self.rng);
        let crashes = self.rng.u32(0..8) == 0;
        let number = self.store.revision;
        self.commit(member);
        if crashes {
            self.log.note(format!("member {member} crashes between store and publish"));
            self.log.tally.unpublished += 1;
            if is_planted(Fault::RepeatsNumbers) {
                self.store.revision = number;
            }
            return self.crash_member(member);
        }
        self.publish_at(member);
    }

    /// Takes the next number for what is in the store.
    fn commit(&mut self, member: usize) {
        self.store.revision += 1;
        let whole = Arc::new(self.store.whole());
        self.log.note(format!("member {member} stores revision {}", whole.revision));
        self.log.published(&whole);
    }

    fn publish_at(&mut self, member: usize) {
        if let Some(up) = &mut self.members[member].up {
            up.published = Arc::new(self.store.whole());
        }
    }

    pub(super) fn sync(&mut self) {
        let member = self.rng.usize(0..MEMBERS);
        self.sync_member(member);
    }

    /// A member learns what others have stored.
    pub(super) fn sync_member(&mut self, member: usize) {
        let behind =
            self.members[member].up.as_ref().is_some_and(|up| up.published.revision < self.store.revision);
        if behind {
            self.log.note(format!("member {member} learns of revision {}", self.store.revision));
            self.publish_at(member);
        }
    }

    pub(super) fn crash_or_start_member(&mut self) {
        let member = self.rng.usize(0..MEMBERS);
        if self.members[member].is_up() {
            self.log.note(format!("member {member} crashes"));
            self.crash_member(member);
        } else {
            self.start_member(member);
        }
    }

    /// Something is observed that is part of no revision.
    pub(super) fn observe(&mut self) {
        let member = self.rng.usize(0..MEMBERS);
        let count = self.rng.usize(0..3);
        let health = |number: usize| {
            let name = format!("b{number}").parse().unwrap();
            (BackendId { group: "g".parse().unwrap(), name }, Health::Degraded)
        };
        if let Some(up) = &mut self.members[member].up {
            up.observe =
                Arc::new(Observe { backends: (0..count).map(health).collect(), ..Observe::default() });
        }
    }

    fn crash_member(&mut self, member: usize) {
        self.members[member].up = None;
        let its: Vec<u64> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.member == member)
            .map(|(number, _)| *number)
            .collect();
        its.into_iter().for_each(|stream| self.cut(stream));
    }

    /// A member begins with what is stored, under a number of its own.
    pub(super) fn start_member(&mut self, member: usize) {
        self.log.note(format!("member {member} starts"));
        self.members[member].up = Some(Up::default());
        if is_planted(Fault::BeginsEmpty) && self.store.revision > 0 {
            self.store.content.clear();
        }
        self.commit(member);
        self.publish_at(member);
    }
}
