//! Streams of legacy backends that end before the response and can be gone on with: by us towards the backend, and by clients towards us
//! (MCP 2025-11-25, Streamable HTTP, Resumability and Redelivery). An event has the backend's id with the backend's name before it, so
//! that whoever comes back is sent to where the rest is; it is asked for in the client's own session with that backend.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_mcp::EventStream;

/// The id of an event as clients hear it.
pub(crate) fn id_for_client(backend: &Name, id: &[u8]) -> String {
    format!("{backend}.{}", BASE64_URL_SAFE_NO_PAD.encode(id))
}

/// Whose event that was, and under which id there. `None`: none of ours.
pub(crate) fn read_id(id: &str) -> Option<(Name, Vec<u8>)> {
    let (backend, id) = id.rsplit_once('.')?;
    Some((backend.parse().ok()?, BASE64_URL_SAFE_NO_PAD.decode(id).ok()?))
}

/// Where a stream goes on, and when. `None`: it does not.
pub(crate) fn of(events: &EventStream) -> Option<(Bytes, Duration)> {
    let (id, retry) = events.resumption()?;
    Some((id.clone(), retry.unwrap_or(limits::RESUMPTION_TIME).min(limits::RESUMPTION_LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_finds_back_to_its_backend() {
        let backend: Name = "a.b".parse().unwrap();
        let id = id_for_client(&backend, b"7/\xff");
        assert_eq!(read_id(&id), Some((backend, b"7/\xff".to_vec())));
        for other in ["", "7", ".", "a.b.!", "no name.Nw"] {
            assert_eq!(read_id(other), None, "{other}");
        }
    }
}
