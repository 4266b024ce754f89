//! The publish protocol, without I/O: what one end may say to the other, and both ends as state machines that take
//! messages and the time, and return messages.
//!
//! * A stream begins with [`Hello`]: what the replica holds *and could use* is the baseline of the stream, and nothing else.
//! * A revision comes as `Begin`, what differs from the baseline, `Commit`. Until `Commit` nothing of it is visible; `Commit` carries
//!   a hash over the whole set, so that a gap is found, not served.
//! * The replica answers each revision with [`Ack`], which names what it rejects and which virtual servers stay behind. The next
//!   revision begins after that; changes in between are one revision.
//! * The bytes of a rejected part are not sent again on the stream; they are on the next one, since either end may have changed.
//! * A replica never goes back: a revision that is older than the one it serves ends the stream.

mod following;
mod planted;
mod publishing;
mod rejections;

use std::collections::BTreeSet;

use bytes::Bytes;
use vmcp_core::backend::BackendId;
use vmcp_core::health::Health;
use vmcp_core::name::Name;

use crate::part::{Digest, PartName};

pub(crate) use following::Arrived;
pub use following::Following;
pub use publishing::{Heard, Publishing};

/// What a replica says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromReplica {
    /// First, and once.
    Hello(Hello),
    /// The answer to a revision.
    Ack(Ack),
    /// How it fares.
    Report(Report),
    /// The answer to `Ping`.
    Pong,
}

/// What a control plane says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are explained in `publish.proto`")]
pub enum ToReplica {
    /// A revision follows.
    Begin { revision: u64, generation: u64 },
    /// A part of it, or a piece of one.
    Upsert { name: PartName, digest: Digest, bytes: Bytes, has_more: bool },
    /// A part of it that this replica has rejected on this stream.
    Repeat { name: PartName, digest: Digest },
    /// Not a part of it.
    Remove { name: PartName },
    /// It is whole.
    Commit { revision: u64, digest: Digest },
    /// What is not part of any revision.
    Observe(Observe),
    /// Follow another member.
    Drain,
    /// Are you there?
    Ping,
}

/// Who a replica is, and what it has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// Its id, in the form of a name.
    pub replica: String,
    /// Its version.
    pub software_version: String,
    /// What it understands beyond the first version of this protocol.
    pub features: Vec<String>,
    /// Those that it serves; all if there is none.
    pub virtual_servers: Vec<Name>,
    /// What it holds and could use.
    pub held: Vec<(PartName, Digest)>,
    /// What it serves; 0 before the first.
    pub revision: u64,
    /// The generation of that.
    pub generation: u64,
    /// Milliseconds since it last heard from a control plane.
    pub stale_ms: u64,
}

/// A revision is served, but for what it names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ack {
    /// Which.
    pub revision: u64,
    /// What could not be used, and why.
    pub rejected: Vec<RejectedPart>,
    /// Virtual servers that stay at an earlier revision.
    pub held_back: Vec<HeldBack>,
    /// Why it could not be kept on disk.
    pub spill_error: Option<String>,
}

/// A part that a replica cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedPart {
    /// Which.
    pub name: PartName,
    /// Its digest.
    pub digest: Digest,
    /// Why.
    pub reason: String,
}

/// A virtual server that stays at an earlier revision, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// Which.
    pub virtual_server: Name,
    /// The revision that it is of; 0 if it has never been good, and is not served.
    pub revision: u64,
    /// The rejected parts for which.
    pub parts: Vec<PartName>,
}

/// How a replica fares: requests since it started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are those of the metric")]
pub struct Report {
    pub answered: u64,
    pub forwarded: u64,
    pub refused: u64,
    pub failed: u64,
    /// Backends that it does not call now, since calls to them fail; up to a bound, in order.
    pub avoided: Vec<BackendId>,
}

/// What is not part of any revision; the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observe {
    /// Backends that are not well, up to a bound, in order.
    pub backends: Vec<(BackendId, Health)>,
    /// Of the issuers whose tokens are taken, up to a bound, in order.
    pub keys: Vec<IssuerKeys>,
}

/// The keys of an issuer, as a control plane has fetched them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerKeys {
    /// As it calls itself.
    pub issuer: String,
    /// Where its keys are, if a manifest says so.
    pub jwks_url: Option<String>,
    /// RFC 7517, section 5.
    pub document: String,
    /// Milliseconds since 1970.
    pub fetched_ms: u64,
    /// The virtual servers that take its tokens. A control plane alone knows: it is not sent.
    pub of: BTreeSet<Name>,
}

/// The other end does what the protocol does not allow; the stream ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Violation {
    #[error("`{said}` comes when it must not")]
    OutOfOrder { said: &'static str },
    #[error(
        "revision {offered} is older than {served}, which is served: the control plane has an older copy of its data, or lags behind another member"
    )]
    Older { offered: u64, served: u64 },
    #[error("part `{0}` is not the bytes that its digest says")]
    Damaged(PartName),
    #[error("part `{0}` is larger than {limit} bytes", limit = vmcp_core::limits::PART_BYTES)]
    PartTooLarge(PartName),
    #[error("the revision is larger than {} bytes", vmcp_core::limits::REVISION_BYTES)]
    RevisionTooLarge,
    #[error("revision {0} is not whole")]
    Gap(u64),
    #[error("part `{0}` is repeated without having been rejected")]
    NotRejected(PartName),
    #[error("a message that cannot be read: {0}")]
    Unreadable(String),
}

#[cfg(test)]
mod world;
