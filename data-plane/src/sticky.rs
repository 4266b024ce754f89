//! Sessions with backends that a legacy client carries in its own session id, so that they outlive the replica that has opened them.

use aws_lc_rs::digest::{SHA256, digest};
use http::Uri;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_mcp::{ProtocolVersion, SessionId};

use crate::backend::Backend;

/// A session with a backend, as a client carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried {
    backend: Name,
    /// Which of its addresses knows the session.
    place: [u8; PLACE_BYTES],
    pub(crate) version: ProtocolVersion,
    pub(crate) id: SessionId,
}

const PLACE_BYTES: usize = 8;

impl Carried {
    pub(crate) fn new(backend: &Backend, url: &Uri, version: ProtocolVersion, id: SessionId) -> Self {
        Self { backend: backend.id.name.clone(), place: place(url), version, id }
    }

    /// Where the session is, if it is with this backend and the backend still has that address.
    pub(crate) fn at<'b>(&self, backend: &'b Backend) -> Option<&'b Uri> {
        let mut urls = backend.live.urls().filter(|_| self.backend == backend.id.name);
        urls.find(|url| place(url) == self.place)
    }
}

fn place(url: &Uri) -> [u8; PLACE_BYTES] {
    let hash = digest(&SHA256, url.to_string().as_bytes());
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// As many as a header has room for; the others are opened at first use.
pub(crate) fn to_bytes(all: &[Carried]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for carried in all {
        let (name, id) = (carried.backend.as_str().as_bytes(), carried.id.header());
        let version = ProtocolVersion::ALL.iter().position(|known| *known == carried.version);
        let lengths =
            [u8::try_from(name.len()), u8::try_from(id.len()), u8::try_from(version.unwrap_or_default())];
        let [Ok(name_length), Ok(id_length), Ok(version)] = lengths else { continue };
        if bytes.len() + 3 + PLACE_BYTES + name.len() + id.len() > limits::CARRIED_BYTES {
            continue;
        }
        bytes.extend_from_slice(&[name_length, id_length, version]);
        bytes.extend_from_slice(&carried.place);
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes
}

/// `None`: that was written by nobody here.
pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Vec<Carried>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let ([name_length, id_length, version], rest) = bytes.split_first_chunk()?;
        let (place, rest) = rest.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(usize::from(*name_length))?;
        let (id, rest) = rest.split_at_checked(usize::from(*id_length))?;
        all.push(Carried {
            backend: std::str::from_utf8(name).ok()?.parse().ok()?,
            place: *place,
            version: *ProtocolVersion::ALL.get(usize::from(*version))?,
            id: SessionId::read(id)?,
        });
        bytes = rest;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(backend: &str, id: &str) -> Carried {
        Carried {
            backend: backend.parse().unwrap(),
            place: place(&Uri::from_static("http://h/mcp")),
            version: ProtocolVersion::V2025_06_18,
            id: SessionId::read(id.as_bytes()).unwrap(),
        }
    }

    #[test]
    fn what_a_client_carries_comes_back_as_far_as_there_is_room() {
        let all = [carried("a", "one"), carried("b", &"x".repeat(255)), carried("c", "3")];
        assert_eq!(from_bytes(&to_bytes(&all)).as_deref(), Some(&all[..]));
        assert_eq!(from_bytes(&[]), Some(Vec::new()));
        let large = || carried("large", &"x".repeat(255));
        let many: Vec<Carried> = (0..9).map(|_| large()).chain([carried("z", "1")]).collect();
        let kept = from_bytes(&to_bytes(&many)).unwrap();
        assert_eq!((kept.len(), kept.last()), (5, many.last()));
        for end in 1..to_bytes(&all[..1]).len() {
            assert_eq!(from_bytes(&to_bytes(&all[..1])[..end]), None, "{end}");
        }
    }
}
