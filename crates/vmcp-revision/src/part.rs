//! One named thing on the stream.

use std::fmt;

use aws_lc_rs::digest;
use bytes::Bytes;
use vmcp_core::backend::BackendId;
use vmcp_core::name::Name;

/// What a part is about. Ordered, so that a set of parts has one order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartName {
    /// A virtual server.
    VirtualServer(Name),
    /// A place to send calls to.
    Backend(BackendId),
    /// The share of one backend in the catalog of a virtual server.
    Catalog {
        /// The virtual server.
        virtual_server: Name,
        /// The backend.
        backend: BackendId,
    },
}

/// Hash of a part's bytes (SHA-256), equal on every member.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// A name, and bytes that the codec understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is about.
    pub name: PartName,
    /// Hash of the bytes.
    pub digest: Digest,
    /// One message of the protocol.
    pub bytes: Bytes,
}

impl Part {
    /// A part with its digest.
    pub fn new(name: PartName, bytes: Bytes) -> Self {
        Self { name, digest: Digest::of(&bytes), bytes }
    }
}

impl Digest {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(hash)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VirtualServer(name) => write!(f, "virtual_server/{name}"),
            Self::Backend(id) => write!(f, "backend/{id}"),
            Self::Catalog { virtual_server, backend } => write!(f, "catalog/{virtual_server}/{backend}"),
        }
    }
}
