//! The data planes of the world.

use std::collections::BTreeSet;
use std::sync::Arc;

use vmcp_core::name::Name;

use super::super::{Arrived, Following, FromReplica, HeldBack, Hello, ToReplica, Violation};
use super::Whole;
use crate::codec::{decode_spill, encode_spill};
use crate::part::{Part, PartName};
use crate::published::Published;
use crate::serving::Serving;

pub(super) struct Replica {
    /// The version of vmcp that it runs.
    pub(super) version: u8,
    pub(super) stream: Option<u64>,
    pub(super) serving: Serving,
    following: Following,
    /// The virtual servers that it serves; all if there is none.
    pub(super) wanted: Vec<Name>,
    /// Has arrived whole, and waits to be served.
    arrived: Option<Whole>,
    served: Option<Applied>,
    disk: Option<Vec<u8>>,
    /// The newest revision that is on disk and was acknowledged: what is never gone behind.
    pub(super) kept: u64,
    /// The revision with which this life began: some of that may have been rejected by a version before.
    pub(super) resumed: u64,
    /// The newest revision that it has served in this life.
    pub(super) reached: u64,
}

struct Applied {
    whole: Whole,
    rejected: BTreeSet<PartName>,
    held_back: Vec<HeldBack>,
}

impl Replica {
    pub(super) fn new(wanted: Vec<Name>) -> Self {
        Self {
            version: 0,
            stream: None,
            serving: Serving::default(),
            following: follow(Arc::default(), wanted.clone()),
            wanted,
            arrived: None,
            served: None,
            disk: None,
            kept: 0,
            resumed: 0,
            reached: 0,
        }
    }

    pub(super) fn connect(&mut self, stream: u64) -> FromReplica {
        self.stream = Some(stream);
        self.following.connected(0)
    }

    pub(super) fn disconnected(&mut self, stream: u64) {
        if self.stream == Some(stream) {
            self.stream = None;
            self.following.disconnected();
        }
    }

    pub(super) fn receive(&mut self, message: ToReplica) -> Result<Option<FromReplica>, Violation> {
        match self.following.receive(message)? {
            Arrived::Revision(whole) => self.arrived = Some(whole),
            Arrived::Ping => return Ok(Some(FromReplica::Pong)),
            Arrived::Nothing | Arrived::Observe(_) | Arrived::Drain => {}
        }
        Ok(None)
    }

    pub(super) fn is_applying(&self) -> bool {
        self.arrived.is_some()
    }

    /// Swaps in what has arrived.
    pub(super) fn serve(&mut self) {
        let Some(whole) = self.arrived.take() else { return };
        let rejected: BTreeSet<PartName> = whole
            .parts
            .values()
            .filter(|part| !self.understands(part))
            .map(|part| part.name.clone())
            .collect();
        let (serving, held_back) = self.serving.advance(&whole, &rejected);
        self.serving = serving;
        self.served = Some(Applied { whole, rejected, held_back });
    }

    /// Whether there was anything that it could not use in what it serves now.
    pub(super) fn has_rejected(&self) -> bool {
        self.served.as_ref().is_some_and(|applied| !applied.rejected.is_empty())
    }

    /// What it is to serve of a revision.
    pub(super) fn wants(&self, whole: &Published) -> Published {
        if self.wanted.is_empty() { whole.clone() } else { whole.narrowed(&self.wanted) }
    }

    /// Whether its version can use a part: the first byte says which can.
    pub(super) fn understands(&self, part: &Part) -> bool {
        part.bytes.first().is_some_and(|digit| digit - b'0' <= self.version)
    }

    pub(super) fn keep(&mut self) {
        self.disk = Some(encode_spill(&self.serving));
        self.kept = self.serving.held.revision;
    }

    pub(super) fn answer(&mut self) -> FromReplica {
        let Applied { whole, rejected, held_back } = self.served.take().expect("it serves something new");
        let rejected = rejected.into_iter().map(|name| (name, "a later version".to_owned())).collect();
        FromReplica::Ack(self.following.applied(&whole, rejected, held_back, None))
    }

    /// Everything but the disk is lost.
    pub(super) fn restart(&mut self) {
        let kept =
            self.disk.clone().map(|bytes| decode_spill(bytes).expect("it can be read")).unwrap_or_default();
        let serving = kept.resumed(|part| self.understands(part));
        let following = follow(serving.held.clone(), self.wanted.clone());
        let (version, disk, kept) = (self.version, self.disk.take(), self.kept);
        let resumed = serving.held.revision;
        *self = Self { version, serving, following, disk, kept, resumed, ..Self::new(self.wanted.clone()) };
    }

    /// What it serves, in short.
    pub(super) fn standing(&self) -> Vec<(String, u64)> {
        self.serving.servers.iter().map(|(name, whole)| (name.to_string(), whole.revision)).collect()
    }

    /// What it says that it holds.
    pub(super) fn claims(hello: &FromReplica) -> Option<&Hello> {
        match hello {
            FromReplica::Hello(hello) => Some(hello),
            _ => None,
        }
    }
}

fn follow(held: Arc<Published>, wanted: Vec<Name>) -> Following {
    Following::new("r".into(), "0".into(), wanted, held)
}
