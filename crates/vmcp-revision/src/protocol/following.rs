//! The end of a stream that follows: stages a revision, hands it over when it is whole, and remembers what could be used.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use vmcp_core::limits;
use vmcp_core::name::Name;

use super::planted::{Fault, is_planted};
use super::rejections::Rejections;
use super::{Ack, FromReplica, HeldBack, Hello, Observe, RejectedPart, ToReplica, Violation};
use crate::part::{Digest, Part, PartName};
use crate::published::{Published, digest_of};

/// A replica's side, across streams.
#[derive(Debug)]
pub struct Following {
    replica: String,
    software_version: String,
    virtual_servers: Vec<Name>,
    /// What is served, with what was rejected of it.
    held: Arc<Published>,
    rejected: BTreeMap<PartName, Digest>,
    stream: Option<Stream>,
}

/// What lasts as long as a stream.
#[derive(Debug, Default)]
struct Stream {
    /// The set that the control plane believes to be here.
    baseline: BTreeMap<PartName, Part>,
    staged: Option<Staged>,
    /// Waits to be served and answered.
    handed_over: Option<Arc<Published>>,
    /// What was rejected on this stream, for when it is part of a revision again.
    rejected: Rejections,
}

#[derive(Debug)]
struct Staged {
    revision: u64,
    generation: u64,
    parts: BTreeMap<PartName, Part>,
    bytes: usize,
    piece: Option<(PartName, Digest, BytesMut)>,
}

/// What comes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// Nothing to do.
    Nothing,
    /// A revision is whole: serve it, then say so with [`Following::applied`].
    Revision(Arc<Published>),
    /// What is observed.
    Observe(Observe),
    /// To be answered.
    Ping,
    /// Follow another member.
    Drain,
}

impl Following {
    /// A replica that serves `held`: what it has kept on disk, or nothing.
    pub fn new(
        replica: String,
        software_version: String,
        virtual_servers: Vec<Name>,
        held: Arc<Published>,
    ) -> Self {
        Self { replica, software_version, virtual_servers, held, rejected: BTreeMap::new(), stream: None }
    }

    /// The revision that it serves.
    pub fn revision(&self) -> u64 {
        self.held.revision
    }

    /// A stream is open: what to say first. What was staged on the last one is forgotten.
    pub fn connected(&mut self, stale_ms: u64) -> FromReplica {
        let is_good =
            |name: &PartName| !self.rejected.contains_key(name) || is_planted(Fault::ClaimsRejected);
        let baseline: BTreeMap<PartName, Part> = self
            .held
            .parts
            .iter()
            .filter(|(name, _)| is_good(name))
            .map(|(name, part)| (name.clone(), part.clone()))
            .collect();
        let hello = Hello {
            replica: self.replica.clone(),
            software_version: self.software_version.clone(),
            features: Vec::new(),
            virtual_servers: self.virtual_servers.clone(),
            held: baseline.values().map(|part| (part.name.clone(), part.digest)).collect(),
            revision: self.held.revision,
            generation: self.held.generation,
            stale_ms,
        };
        self.stream = Some(Stream { baseline, ..Stream::default() });
        FromReplica::Hello(hello)
    }

    /// The stream has ended.
    pub fn disconnected(&mut self) {
        self.stream = None;
    }

    /// Takes a message.
    ///
    /// # Errors
    /// [`Violation`]: the stream is to be ended. Nothing of the revision under way is kept.
    pub(crate) fn receive(&mut self, message: ToReplica) -> Result<Arrived, Violation> {
        let served = self.held.revision;
        let stream =
            self.stream.as_mut().ok_or(Violation::OutOfOrder { said: "anything without a stream" })?;
        match message {
            ToReplica::Begin { revision, generation } => stream.begin(revision, generation, served)?,
            ToReplica::Upsert { name, digest, bytes, has_more } => {
                stream.staged("Upsert")?.upsert(name, digest, &bytes, has_more)?;
                if is_planted(Fault::ShowsEarly) && !has_more {
                    let staged = stream.staged("Upsert")?;
                    return Ok(Arrived::Revision(Arc::new(Published::new(
                        staged.revision,
                        staged.generation,
                        staged.parts.clone(),
                    ))));
                }
            }
            ToReplica::Repeat { name, digest } => {
                let bytes = stream.rejected.find(&name, digest).cloned();
                let bytes = bytes.ok_or_else(|| Violation::NotRejected(name.clone()))?;
                stream.staged("Repeat")?.parts.insert(name.clone(), Part { name, digest, bytes });
            }
            ToReplica::Remove { name } => drop(stream.staged("Remove")?.parts.remove(&name)),
            ToReplica::Commit { revision, digest } => {
                return stream.commit(revision, digest).map(Arrived::Revision);
            }
            ToReplica::Observe(observe) => return Ok(Arrived::Observe(observe)),
            ToReplica::Ping => return Ok(Arrived::Ping),
            ToReplica::Drain => return Ok(Arrived::Drain),
        }
        Ok(Arrived::Nothing)
    }

    /// The revision that was handed over is served, but for what is rejected: the answer to send.
    pub fn applied(
        &mut self,
        served: &Arc<Published>,
        rejected: Vec<(PartName, String)>,
        held_back: Vec<HeldBack>,
        spill_error: Option<String>,
    ) -> Ack {
        let rejected: Vec<RejectedPart> = rejected
            .into_iter()
            .filter_map(|(name, reason)| {
                let digest = served.parts.get(&name)?.digest;
                Some(RejectedPart { name, digest, reason })
            })
            .collect();
        self.rejected = rejected.iter().map(|rejected| (rejected.name.clone(), rejected.digest)).collect();
        self.held = served.clone();
        if let Some(stream) = &mut self.stream {
            stream.answered(served, &rejected);
        }
        Ack { revision: served.revision, rejected, held_back, spill_error }
    }
}

impl Stream {
    fn begin(&mut self, revision: u64, generation: u64, served: u64) -> Result<(), Violation> {
        if self.staged.is_some() || self.handed_over.is_some() {
            return Err(Violation::OutOfOrder { said: "Begin" });
        }
        if revision < served && !is_planted(Fault::GoesBack) {
            return Err(Violation::Older { offered: revision, served });
        }
        let parts = self.baseline.clone();
        self.staged = Some(Staged { revision, generation, parts, bytes: 0, piece: None });
        Ok(())
    }

    fn staged(&mut self, said: &'static str) -> Result<&mut Staged, Violation> {
        let staged = self.staged.as_mut().ok_or(Violation::OutOfOrder { said })?;
        if staged.piece.is_some() && said != "Upsert" {
            Err(Violation::OutOfOrder { said })
        } else {
            Ok(staged)
        }
    }

    fn commit(&mut self, revision: u64, digest: Digest) -> Result<Arc<Published>, Violation> {
        let staged = self.staged("Commit")?;
        let found = digest_of(staged.parts.values().map(|part| (&part.name, &part.digest)));
        if staged.revision != revision || (found != digest && !is_planted(Fault::SkipsAChange)) {
            return Err(Violation::Gap(revision));
        }
        let generation = staged.generation;
        let whole = Arc::new(Published::new(revision, generation, mem::take(&mut staged.parts)));
        self.staged = None;
        self.handed_over = Some(whole.clone());
        Ok(whole)
    }

    fn answered(&mut self, served: &Published, rejected: &[RejectedPart]) {
        self.handed_over = None;
        self.baseline.clone_from(&served.parts);
        for part in rejected.iter().filter_map(|rejected| served.parts.get(&rejected.name)) {
            self.rejected.remember(part);
        }
    }
}

impl Staged {
    fn upsert(
        &mut self,
        name: PartName,
        digest: Digest,
        bytes: &Bytes,
        has_more: bool,
    ) -> Result<(), Violation> {
        self.bytes += bytes.len();
        if self.bytes > limits::REVISION_BYTES {
            return Err(Violation::RevisionTooLarge);
        }
        let whole = match self.piece.take() {
            Some((begun, its, mut piece)) => {
                if begun != name || its != digest {
                    return Err(Violation::OutOfOrder { said: "Upsert of another part" });
                }
                if piece.len() + bytes.len() > limits::PART_BYTES {
                    return Err(Violation::PartTooLarge(name));
                }
                piece.extend_from_slice(bytes);
                piece
            }
            None if has_more => BytesMut::from(bytes.as_ref()),
            None => return self.take(name, digest, bytes.clone()),
        };
        if has_more {
            self.piece = Some((name, digest, whole));
            return Ok(());
        }
        self.take(name, digest, whole.freeze())
    }

    fn take(&mut self, name: PartName, digest: Digest, bytes: Bytes) -> Result<(), Violation> {
        if Digest::of(&bytes) != digest {
            return Err(Violation::Damaged(name));
        }
        self.parts.insert(name.clone(), Part { name, digest, bytes });
        Ok(())
    }
}
