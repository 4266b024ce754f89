//! Names that people give to virtual servers, groups and workloads.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A name: 1 to 63 of `A-Za-z0-9._-`, beginning with a letter or a digit, so that it can stand in a path. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing at all.
    #[error("a name must not be empty")]
    Empty,
    /// Over the bound.
    #[error("a name has at most {LONGEST} characters")]
    TooLong,
    /// Begins with something else than a letter or a digit.
    #[error("a name begins with a letter or a digit")]
    Beginning,
    /// A character that cannot stand in a name.
    #[error("a name consists of letters, digits, `.`, `_` and `-`, not `{}`", .0.escape_debug())]
    Character(char),
}

const LONGEST: usize = 63;

impl Name {
    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let first = text.chars().next().ok_or(InvalidName::Empty)?;
        if text.len() > LONGEST {
            return Err(InvalidName::TooLong);
        }
        let stranger = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')));
        if let Some(stranger) = stranger {
            return Err(InvalidName::Character(stranger));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(InvalidName::Beginning);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_stand_in_a_path_is_a_name() {
        let long = "a".repeat(64);
        let table = [
            ("github", None),
            ("9lives.v2_x-y", None),
            ("", Some(InvalidName::Empty)),
            (long.as_str(), Some(InvalidName::TooLong)),
            (".hidden", Some(InvalidName::Beginning)),
            ("-f", Some(InvalidName::Beginning)),
            ("a/b", Some(InvalidName::Character('/'))),
            ("käse", Some(InvalidName::Character('ä'))),
        ];
        for (text, fault) in table {
            assert_eq!(text.parse::<Name>().err(), fault, "{text}");
        }
    }
}
