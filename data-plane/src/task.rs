//! Ids of tasks, the calls of modern backends that go on after they have been answered (SEP-2663). A client sees an id of ours, from
//! which any replica reads whose the task is; a client hears of its task by the id that it was handed.

use aws_lc_rs::hmac;
use vmcp_core::name::Name;
use vmcp_seal::NONCE_BYTES;

/// What an id of ours holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskId {
    pub(crate) backend: Name,
    /// The exposed name of the tool that was called, for whoever decides.
    pub(crate) tool: String,
    /// As the backend calls it.
    pub(crate) id: String,
}

impl TaskId {
    pub(crate) fn to_text(&self) -> String {
        format!("{}\n{}\n{}", self.backend, self.tool, self.id)
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let (backend, rest) = text.split_once('\n')?;
        let (tool, id) = rest.split_once('\n')?;
        Some(Self { backend: backend.parse().ok()?, tool: tool.to_owned(), id: id.to_owned() })
    }

    /// The same for the same task, so that it is sealed alike every time. Different tasks have different ones, and nobody without the key can
    /// look for two that have the same: backends choose their ids.
    pub(crate) fn nonce(&self, key: &hmac::Key, purpose: &[u8]) -> [u8; NONCE_BYTES] {
        let tag = hmac::sign(key, &[purpose, b"\0", self.to_text().as_bytes()].concat());
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }
}
