//! What tools should be called, and the length that a name is brought to.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::limits;

/// A name that an operator gives to a tool: 1 to 128 of `A-Za-z0-9_.-` (MCP 2025-11-25, Tools, Tool Names).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToolName(String);

/// Why a text is not a name for a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToolName {
    /// Nothing at all.
    #[error("a tool's name must not be empty")]
    Empty,
    /// Over the bound of MCP.
    #[error("a tool's name has at most {} characters", limits::TOOL_NAME_CHARACTERS)]
    TooLong,
    /// A character that MCP does not recommend.
    #[error("a tool's name consists of letters, digits, `_`, `.` and `-`, not `{}`", .0.escape_debug())]
    Character(char),
}

impl ToolName {
    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ToolName {
    type Err = InvalidToolName;

    fn from_str(text: &str) -> Result<Self, InvalidToolName> {
        if text.is_empty() {
            return Err(InvalidToolName::Empty);
        }
        if let Some(stranger) = unusual_character(text) {
            return Err(InvalidToolName::Character(stranger));
        }
        if text.len() > limits::TOOL_NAME_CHARACTERS {
            return Err(InvalidToolName::TooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The first character that MCP does not recommend in a tool's name.
pub fn unusual_character(name: &str) -> Option<char> {
    name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
}

/// `max_name_length`: how many characters the exposed names of tools and prompts have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameLength(usize);

/// Why a text is not a length for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "names can be held to {} to {} characters",
    limits::SHORTEST_NAME_LENGTH,
    limits::TOOL_NAME_CHARACTERS
)]
pub struct InvalidNameLength;

/// Characters of the hash, and the one before it.
const SUFFIX: usize = 9;

impl NameLength {
    /// How many characters.
    pub fn characters(self) -> usize {
        self.0
    }

    /// The name, or if it is too long its beginning with a hash of the whole behind it: `github_list_pull_re_1f0a33c2`.
    /// `None`: it is short enough. A function of the name alone.
    pub fn shorten(self, name: &str) -> Option<String> {
        if name.len() <= self.0 || name.chars().count() <= self.0 {
            return None;
        }
        Some(hashed(name, self.0))
    }
}

/// A name of so many characters: the beginning of a longer one, with a hash of the whole behind it.
pub(crate) fn hashed(name: &str, characters: usize) -> String {
    let hash = Sha256::digest(name.as_bytes());
    let mut short: String = name.chars().take(characters - SUFFIX).collect();
    short.push('_');
    hash.iter().take(4).for_each(|byte| short.push_str(&format!("{byte:02x}")));
    short
}

impl FromStr for NameLength {
    type Err = InvalidNameLength;

    fn from_str(text: &str) -> Result<Self, InvalidNameLength> {
        let length = text.parse().map_err(|_| InvalidNameLength)?;
        let range = limits::SHORTEST_NAME_LENGTH..=limits::TOOL_NAME_CHARACTERS;
        if range.contains(&length) { Ok(Self(length)) } else { Err(InvalidNameLength) }
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_called_what_mcp_recommends() {
        let long = "a".repeat(129);
        for (text, fault) in [
            ("gh_create-pr.v2", None),
            (&long[..128], None),
            (long.as_str(), Some(InvalidToolName::TooLong)),
            ("", Some(InvalidToolName::Empty)),
            ("a b", Some(InvalidToolName::Character(' '))),
            ("a\u{200b}", Some(InvalidToolName::Character('\u{200b}'))),
        ] {
            assert_eq!(text.parse::<ToolName>().err(), fault, "{text}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_beginning_and_ends_in_a_hash_of_the_whole() {
        let length: NameLength = "24".parse().unwrap();
        assert_eq!(length.shorten("github_list_pull_request"), None);
        let short = length.shorten("github_list_pull_requests").unwrap();
        assert_eq!((short.chars().count(), &short[..16]), (24, "github_list_pul_"));
        assert_eq!(length.shorten("github_list_pull_requests").unwrap(), short);
        assert_ne!(length.shorten("github_list_pull_requestz").unwrap(), short);
        assert_eq!(length.shorten("ääääääääääääääääääääääää"), None, "characters, not bytes");
        assert_eq!(length.shorten(&"ä".repeat(25)).unwrap().chars().count(), 24);
        for text in ["15", "129", "-1", "x", ""] {
            assert_eq!(text.parse::<NameLength>(), Err(InvalidNameLength), "{text}");
        }
    }
}
