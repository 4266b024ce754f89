//! How much servers log (MCP 2025-11-25, Logging, Log Levels).

use vmcp_mcp::{method, request};

/// One of the eight of RFC 5424.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(&'static str);

const ALL: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

impl Level {
    /// The id under which backends are asked for it: JSON.
    pub(crate) const ID: &str = "\"vmcp-level\"";

    pub(crate) fn parse(text: &str) -> Option<Self> {
        ALL.iter().find(|known| **known == text).map(|known| Self(known))
    }

    pub(crate) fn to_request(self) -> String {
        request(Self::ID, method::SET_LEVEL, Some(&format!("{{\"level\":\"{}\"}}", self.0)))
    }
}
