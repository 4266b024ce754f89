//! A published state: the whole that replicas are to serve.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use vmcp_core::name::Name;

use crate::part::{Digest, Part, PartName};

/// A published state.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// Its number; 0 is before the first.
    pub revision: u64,
    /// The accepted desired state that it was compiled from.
    pub generation: u64,
    /// Everything in it.
    pub parts: BTreeMap<PartName, Part>,
    digest: OnceLock<Digest>,
}

impl Published {
    /// A state.
    pub fn new(revision: u64, generation: u64, parts: BTreeMap<PartName, Part>) -> Self {
        Self { revision, generation, parts, digest: OnceLock::new() }
    }

    /// Hash over the names and digests of all parts. By it a replica knows that it has the whole.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| digest_of(self.parts.values().map(|part| (&part.name, &part.digest))))
    }

    /// What a replica needs that serves only `wanted`.
    #[must_use]
    pub fn narrowed(&self, wanted: &[Name]) -> Self {
        let is_wanted =
            |name: &PartName| name.virtual_server().is_some_and(|server| wanted.contains(&server));
        let mut parts: BTreeMap<PartName, Part> = self
            .parts
            .iter()
            .filter(|(name, _)| is_wanted(name))
            .map(|(name, part)| (name.clone(), part.clone()))
            .collect();
        let backends = parts.keys().filter_map(|name| match name {
            PartName::Catalog { backend, .. } => {
                self.parts.get_key_value(&PartName::Backend(backend.clone()))
            }
            _ => None,
        });
        let backends: Vec<_> = backends.map(|(name, part)| (name.clone(), part.clone())).collect();
        parts.extend(backends);
        Self::new(self.revision, self.generation, parts)
    }
}

impl PartialEq for Published {
    fn eq(&self, other: &Self) -> bool {
        (self.revision, self.generation) == (other.revision, other.generation) && self.parts == other.parts
    }
}

impl Eq for Published {}

/// Hash over names and digests, in the order of names.
pub(crate) fn digest_of<'a>(parts: impl Iterator<Item = (&'a PartName, &'a Digest)>) -> Digest {
    let mut text = Vec::new();
    for (name, digest) in parts {
        // No name has a line break.
        text.extend_from_slice(name.to_string().as_bytes());
        text.push(b'\n');
        text.extend_from_slice(digest.as_bytes());
    }
    Digest::of(&text)
}
