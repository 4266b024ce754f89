//! `prefix_format`: how a workload's name goes before its tools' names.

use std::fmt;
use std::str::FromStr;

use crate::name::Name;

/// A text in which `{workload}`, anywhere and any number of times, stands for the workload's name. One without it goes before
/// the names of every workload alike; names that meet then are withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixFormat(String);

/// Why a text is not a prefix format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrefix {
    /// No prefix at all.
    #[error("a prefix format must not be empty; `priority` and `manual` keep names as they are")]
    Empty,
    /// A placeholder that nobody fills.
    #[error("unknown placeholder `{{{0}}}`; the only one is `{{workload}}`")]
    Placeholder(String),
    /// A character that tools' names should not have (MCP 2025-11-25, Tools, Tool Names).
    #[error("a prefix consists of letters, digits, `.`, `_` and `-` beside `{{workload}}`, not `{}`", .0.escape_debug())]
    Character(char),
    /// No room left for names.
    #[error("a prefix format has at most {LONGEST} characters")]
    TooLong,
}

const LONGEST: usize = 64;

const WORKLOAD: &str = "{workload}";

impl PrefixFormat {
    /// The name under which a workload's item is exposed.
    pub fn apply(&self, workload: &Name, original_name: &str) -> String {
        format!("{}{original_name}", self.0.replace(WORKLOAD, workload.as_str()))
    }
}

impl Default for PrefixFormat {
    fn default() -> Self {
        Self(format!("{WORKLOAD}_"))
    }
}

impl FromStr for PrefixFormat {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let rest = text.replace(WORKLOAD, "");
        if let Some((_, tail)) = rest.split_once('{') {
            let placeholder = tail.split('}').next().unwrap_or_default();
            return Err(InvalidPrefix::Placeholder(placeholder.to_owned()));
        }
        if text.is_empty() {
            return Err(InvalidPrefix::Empty);
        }
        let is_usual = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(stranger) = rest.chars().find(|c| !is_usual(c)) {
            return Err(InvalidPrefix::Character(stranger));
        }
        if text.len() > LONGEST {
            return Err(InvalidPrefix::TooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PrefixFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_stands_anywhere_in_the_prefix() {
        let github: Name = "github".parse().unwrap();
        let table = [
            ("{workload}_", "github_x"),
            ("{workload}.", "github.x"),
            ("my-{workload}-", "my-github-x"),
            ("{workload}{workload}", "githubgithubx"),
            ("team_", "team_x"),
        ];
        for (format, expected) in table {
            assert_eq!(format.parse::<PrefixFormat>().unwrap().apply(&github, "x"), expected);
        }
    }

    #[test]
    fn other_placeholders_and_strange_characters_are_refused() {
        assert_eq!("".parse::<PrefixFormat>(), Err(InvalidPrefix::Empty));
        assert_eq!("{workload}}_".parse::<PrefixFormat>(), Err(InvalidPrefix::Character('}')));
        assert_eq!("{workload}/".parse::<PrefixFormat>(), Err(InvalidPrefix::Character('/')));
        assert_eq!(
            format!("{{workload}}{}", "_".repeat(64)).parse::<PrefixFormat>(),
            Err(InvalidPrefix::TooLong)
        );
        let table = [("{server}_", "server"), ("{workload}{n}", "n"), ("{", "")];
        for (format, name) in table {
            assert_eq!(format.parse::<PrefixFormat>(), Err(InvalidPrefix::Placeholder(name.into())));
        }
    }
}
