//! One named thing on the stream.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use bytes::Bytes;
use vmcp_core::backend::BackendId;
use vmcp_core::name::Name;

/// What a part is about. Ordered, so that a set of parts has one order; as text, `kind/whose`.
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
    /// What may be done at a virtual server.
    PolicySet(Name),
    /// Something that a later version publishes. By that order of words, what comes behind its kind is whose it is.
    Unknown(Box<str>),
}

/// Not the name of a part of any version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a part")]
pub struct InvalidPartName;

/// Hash of a part's bytes (SHA-256), equal on every member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// A hash as it came; `None` if it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Longest name of a part that is taken: three names and their kind, times four.
const NAME_BYTES: usize = 1_024;

impl PartName {
    /// The virtual server that cannot be whole without this part. A backend is needed by those that have a share of it.
    pub fn virtual_server(&self) -> Option<Name> {
        match self {
            Self::VirtualServer(name)
            | Self::PolicySet(name)
            | Self::Catalog { virtual_server: name, .. } => Some(name.clone()),
            Self::Backend(_) => None,
            Self::Unknown(text) => text.split('/').nth(1)?.parse().ok(),
        }
    }
}

impl FromStr for PartName {
    type Err = InvalidPartName;

    fn from_str(text: &str) -> Result<Self, InvalidPartName> {
        if text.len() > NAME_BYTES || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(InvalidPartName);
        }
        let name = |text: &str| text.parse::<Name>().map_err(|_| InvalidPartName);
        let words: Vec<&str> = text.split('/').collect();
        match *words {
            ["virtual_server", server] => Ok(Self::VirtualServer(name(server)?)),
            ["policy_set", server] => Ok(Self::PolicySet(name(server)?)),
            ["backend", group, backend] => {
                Ok(Self::Backend(BackendId { group: name(group)?, name: name(backend)? }))
            }
            ["catalog", server, group, backend] => Ok(Self::Catalog {
                virtual_server: name(server)?,
                backend: BackendId { group: name(group)?, name: name(backend)? },
            }),
            ["virtual_server" | "backend" | "catalog" | "policy_set", ..] | [_] | [] => Err(InvalidPartName),
            [..] => Ok(Self::Unknown(text.into())),
        }
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
            Self::PolicySet(name) => write!(f, "policy_set/{name}"),
            Self::Backend(id) => write!(f, "backend/{id}"),
            Self::Catalog { virtual_server, backend } => write!(f, "catalog/{virtual_server}/{backend}"),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for text in
            ["virtual_server/all", "backend/g/b", "catalog/all/g/b", "policy_set/all", "secret/all/x/y/z"]
        {
            assert_eq!(text.parse::<PartName>().unwrap().to_string(), text);
        }
        let later: PartName = "secret/all/x".parse().unwrap();
        assert_eq!(later.virtual_server().unwrap().as_str(), "all");
        for text in
            ["", "catalog", "catalog/all", "backend/g", "backend/g/b/c", "virtual_server/-", "a b/c", "x"]
        {
            assert_eq!(text.parse::<PartName>(), Err(InvalidPartName), "{text}");
        }
    }
}
