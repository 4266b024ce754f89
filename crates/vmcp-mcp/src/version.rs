//! Protocol versions and the two eras they belong to.

use std::fmt;

/// How a version carries what both sides need to know of each other
/// (MCP 2026-07-28, Versioning and Compatibility, Terminology).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Era {
    /// 2025-11-25 and earlier: a session is begun with `initialize`.
    Legacy,
    /// 2026-07-28 and later: every request carries its own metadata.
    Modern,
}

impl Era {
    /// `legacy` or `modern`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// A version that we speak, ordered by date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// 2024-11-05, the first; its messages are understood over streamable HTTP.
    V2024_11_05,
    /// 2025-03-26, the first with streamable HTTP.
    V2025_03_26,
    /// 2025-06-18, the first with a version header.
    V2025_06_18,
    /// 2025-11-25, the last of the legacy era.
    V2025_11_25,
    /// 2026-07-28, the first of the modern era.
    V2026_07_28,
}

impl ProtocolVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// What `initialize` is answered with when the client names a version that we do not know.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// What requests that we author carry.
    pub const LATEST_MODERN: Self = Self::V2026_07_28;

    /// What a legacy request without a version header is taken for
    /// (MCP 2025-06-18, Streamable HTTP, Protocol Version Header).
    pub const ASSUMED: Self = Self::V2025_03_26;

    /// As it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The version that is written so, if we speak it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    /// The era that it belongs to.
    pub const fn era(self) -> Era {
        match self {
            Self::V2026_07_28 => Era::Modern,
            _ => Era::Legacy,
        }
    }

    /// All versions as a JSON array, newest first, as `supportedVersions` and `data.supported` want it.
    pub fn all_as_json() -> String {
        let quoted: Vec<String> = Self::ALL.iter().rev().map(|version| format!("\"{version}\"")).collect();
        format!("[{}]", quoted.join(","))
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
