//! Who may do what on the control channel: which replicas may follow which virtual servers, and what operators may do.

use std::str::FromStr;

use crate::name::Name;

/// What is said of everybody who may do anything. Nobody else may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Those who may follow.
    pub replicas: Vec<ReplicaAccess>,
    /// Those who may ask and change.
    pub operators: Vec<OperatorAccess>,
}

/// Replicas that may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaAccess {
    /// Who.
    pub id: PeerPattern,
    /// The virtual servers that they may have; all if absent.
    pub virtual_servers: Option<Vec<Name>>,
}

/// Operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorAccess {
    /// Who.
    pub id: PeerPattern,
    /// What they may do.
    pub role: Role,
}

/// What an operator may do; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything.
    Read,
    /// Apply manifests.
    Write,
    /// Take out, and go back.
    Admin,
}

/// A name in a certificate, or all that begin alike: `spiffe://acme.example/replica/*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPattern {
    text: Box<str>,
    /// What stands at the end may be anything but a further step.
    is_open: bool,
}

/// A text is not the name of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPeer {
    /// It is neither of the two kinds.
    #[error("a peer is `spiffe://<trust domain>/<path>` or `dns:<name>`")]
    Kind,
    /// A star that stands elsewhere than for the last step of a path.
    #[error("`*` stands for the last step of a path alone, as in `spiffe://acme.example/replica/*`")]
    Star,
}

impl FromStr for PeerPattern {
    type Err = InvalidPeer;

    fn from_str(text: &str) -> Result<Self, InvalidPeer> {
        let (bare, is_open) = match text.strip_suffix("/*") {
            Some(bare) => (&text[..=bare.len()], true),
            None => (text, false),
        };
        if bare.contains('*') {
            return Err(InvalidPeer::Star);
        }
        let spiffe = bare.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
        let is_spiffe = spiffe.is_some_and(|(domain, path)| {
            let steps = path.strip_suffix('/').filter(|_| is_open).unwrap_or(path);
            let is_path = (is_open && steps.is_empty()) || !steps.split('/').any(str::is_empty);
            !domain.is_empty() && is_path
        });
        let is_dns = !is_open && bare.strip_prefix("dns:").is_some_and(|name| !name.is_empty());
        if !is_spiffe && !is_dns {
            return Err(InvalidPeer::Kind);
        }
        let text = if is_dns { bare.to_ascii_lowercase().into() } else { bare.into() };
        Ok(Self { text, is_open })
    }
}

impl PeerPattern {
    fn is_of(&self, name: &str) -> bool {
        match name.strip_prefix(&*self.text) {
            Some(rest) if self.is_open => !rest.is_empty() && !rest.contains('/'),
            Some(rest) => rest.is_empty(),
            None => false,
        }
    }

    fn is_one_of(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.is_of(name))
    }
}

impl Access {
    /// The most that somebody with these names may do as an operator. `None`: nothing.
    pub fn operator(&self, names: &[String]) -> Option<Role> {
        let theirs = self.operators.iter().filter(|operator| operator.id.is_one_of(names));
        theirs.map(|operator| operator.role).max()
    }

    /// The virtual servers that somebody with these names may follow: `Some(None)` is all, `None` not one.
    pub fn replica(&self, names: &[String]) -> Option<Option<Vec<Name>>> {
        let mut theirs = self.replicas.iter().filter(|replica| replica.id.is_one_of(names)).peekable();
        theirs.peek()?;
        let mut all = Vec::new();
        for replica in theirs {
            match &replica.virtual_servers {
                None => return Some(None),
                Some(some) => all.extend(some.iter().cloned()),
            }
        }
        all.sort();
        all.dedup();
        Some(Some(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_whom_they_name() {
        let table = [
            ("spiffe://acme.example/replica/*", "spiffe://acme.example/replica/a", true),
            ("spiffe://acme.example/replica/*", "spiffe://acme.example/replica/a/b", false),
            ("spiffe://acme.example/replica/*", "spiffe://acme.example/replica/", false),
            ("spiffe://acme.example/replica/*", "spiffe://acme.example/replica", false),
            ("spiffe://acme.example/replica/a", "spiffe://acme.example/replica/ab", false),
            ("spiffe://acme.example/replica/a", "spiffe://acme.example.evil/replica/a", false),
            ("spiffe://acme.example/*", "spiffe://acme.example/a", true),
            ("dns:CI.acme.example", "dns:ci.acme.example", true),
            ("dns:ci.acme.example", "spiffe://ci.acme.example/a", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(pattern.parse::<PeerPattern>().unwrap().is_of(name), expected, "{pattern} {name}");
        }
        for (bad, why) in [
            ("*", InvalidPeer::Star),
            ("spiffe://*/a", InvalidPeer::Star),
            ("spiffe://acme.example/re*", InvalidPeer::Star),
            ("spiffe:///a", InvalidPeer::Kind),
            ("spiffe://acme.example", InvalidPeer::Kind),
            ("spiffe://acme.example//a", InvalidPeer::Kind),
            ("spiffe://acme.example/a/", InvalidPeer::Kind),
            ("dns:", InvalidPeer::Kind),
            ("dns:*.example", InvalidPeer::Star),
            ("ada", InvalidPeer::Kind),
        ] {
            assert_eq!(bad.parse::<PeerPattern>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn the_most_that_is_said_of_somebody_counts() {
        let id = |text: &str| text.parse::<PeerPattern>().unwrap();
        let some = |names: &[&str]| Some(names.iter().map(|name| name.parse().unwrap()).collect());
        let access = Access {
            replicas: vec![
                ReplicaAccess { id: id("spiffe://d/replica/*"), virtual_servers: some(&["b", "a"]) },
                ReplicaAccess { id: id("spiffe://d/replica/one"), virtual_servers: some(&["c"]) },
                ReplicaAccess { id: id("spiffe://d/replica/all"), virtual_servers: None },
            ],
            operators: vec![
                OperatorAccess { id: id("spiffe://d/operator/*"), role: Role::Read },
                OperatorAccess { id: id("spiffe://d/operator/ada"), role: Role::Admin },
            ],
        };
        let names = |name: &str| [name.to_owned()];
        assert_eq!(access.replica(&names("spiffe://d/replica/x")), Some(some(&["a", "b"])));
        assert_eq!(access.replica(&names("spiffe://d/replica/one")), Some(some(&["a", "b", "c"])));
        assert_eq!(access.replica(&names("spiffe://d/replica/all")), Some(None));
        assert_eq!(access.replica(&names("spiffe://d/operator/ada")), None);
        assert_eq!(access.operator(&names("spiffe://d/operator/ada")), Some(Role::Admin));
        assert_eq!(access.operator(&names("spiffe://d/operator/bob")), Some(Role::Read));
        assert_eq!(access.operator(&names("spiffe://d/replica/all")), None);
    }
}
