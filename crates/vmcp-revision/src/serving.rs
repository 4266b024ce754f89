//! What a replica serves: each virtual server whole, as of the newest revision in which all of its parts could be used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vmcp_core::name::Name;

use crate::part::{Part, PartName};
use crate::protocol::HeldBack;
use crate::published::Published;

/// What is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serving {
    /// The newest revision, without what was rejected of it.
    pub held: Arc<Published>,
    /// By name.
    pub servers: BTreeMap<Name, ServedWhole>,
    /// Those of the newest revision, whether they are served or not.
    pub names: BTreeSet<Name>,
}

/// A virtual server, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedWhole {
    /// The revision that it is of.
    pub revision: u64,
    /// Its own part, its shares, and their backends. The same value as before where nothing has changed.
    pub parts: Arc<BTreeMap<PartName, Part>>,
}

impl Serving {
    /// What is served once `published` has arrived, of which `rejected` cannot be used; and the virtual servers that stay behind.
    #[must_use]
    pub fn advance(
        &self,
        published: &Arc<Published>,
        rejected: &BTreeSet<PartName>,
    ) -> (Self, Vec<HeldBack>) {
        let mut servers = BTreeMap::new();
        let mut held_back = Vec::new();
        let mut names = BTreeSet::new();
        for (name, parts) in by_server(published) {
            names.insert(name.clone());
            let before = self.servers.get(&name);
            let bad: Vec<PartName> = parts.iter().filter(|part| rejected.contains(*part)).cloned().collect();
            if bad.is_empty() {
                let parts = whole(&parts, published);
                let parts = before
                    .map(|before| &before.parts)
                    .filter(|before| ***before == parts)
                    .cloned()
                    .unwrap_or_else(|| Arc::new(parts));
                servers.insert(name, ServedWhole { revision: published.revision, parts });
            } else {
                let revision = before.map_or(0, |before| before.revision);
                servers.extend(before.map(|before| (name.clone(), before.clone())));
                held_back.push(HeldBack { virtual_server: name, revision, parts: bad });
            }
        }
        let held =
            if rejected.is_empty() { published.clone() } else { Arc::new(without(published, rejected)) };
        (Self { held, servers, names }, held_back)
    }

    /// Whether there is anything to serve, or nothing to be served: if not, it is not ready.
    pub fn is_ready(&self) -> bool {
        self.held.revision > 0 && (!self.servers.is_empty() || self.names.is_empty())
    }

    /// What is served of what was kept on disk, where only some parts can be used. A virtual server is served as it was kept, or
    /// not: without a part that it had, it would be another one.
    #[must_use]
    pub fn resumed(self, is_usable: impl Fn(&Part) -> bool) -> Self {
        let unusable: BTreeSet<PartName> =
            self.held.parts.values().filter(|part| !is_usable(part)).map(|part| part.name.clone()).collect();
        let held = if unusable.is_empty() { self.held } else { Arc::new(without(&self.held, &unusable)) };
        let is_whole = |server: &ServedWhole| server.parts.values().all(&is_usable);
        let servers = self.servers.into_iter().filter(|(_, server)| is_whole(server)).collect();
        Self { held, servers, names: self.names }
    }
}

/// The names of the parts that each virtual server is made of.
fn by_server(published: &Published) -> BTreeMap<Name, BTreeSet<PartName>> {
    let names = published.parts.keys().filter_map(|name| match name {
        PartName::VirtualServer(server) => Some((server.clone(), BTreeSet::from([name.clone()]))),
        _ => None,
    });
    let mut servers: BTreeMap<Name, BTreeSet<PartName>> = names.collect();
    for name in published.parts.keys() {
        let Some(parts) = name.virtual_server().and_then(|server| servers.get_mut(&server)) else { continue };
        parts.insert(name.clone());
        if let PartName::Catalog { backend, .. } = name {
            parts.insert(PartName::Backend(backend.clone()));
        }
    }
    servers
}

fn whole(names: &BTreeSet<PartName>, published: &Published) -> BTreeMap<PartName, Part> {
    let parts = names.iter().filter_map(|name| published.parts.get_key_value(name));
    parts.map(|(name, part)| (name.clone(), part.clone())).collect()
}

fn without(published: &Published, rejected: &BTreeSet<PartName>) -> Published {
    let good = published.parts.iter().filter(|(name, _)| !rejected.contains(*name));
    let good = good.map(|(name, part)| (name.clone(), part.clone())).collect();
    Published::new(published.revision, published.generation, good)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn published(revision: u64, parts: &[(&str, &'static str)]) -> Arc<Published> {
        let parts = parts.iter().map(|(name, bytes)| {
            let name: PartName = name.parse().unwrap();
            (name.clone(), Part::new(name, Bytes::from_static(bytes.as_bytes())))
        });
        Arc::new(Published::new(revision, 1, parts.collect()))
    }

    fn rejected(names: &[&str]) -> BTreeSet<PartName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn revisions(serving: &Serving) -> Vec<(String, u64)> {
        serving.servers.iter().map(|(name, whole)| (name.to_string(), whole.revision)).collect()
    }

    #[test]
    fn the_unit_of_rejection_is_the_virtual_server() {
        let set = |version| {
            [
                ("virtual_server/one", "1"),
                ("virtual_server/two", "2"),
                ("catalog/one/g/b", version),
                ("catalog/two/g/c", version),
                ("backend/g/b", "b"),
                ("backend/g/c", version),
            ]
        };
        let (first, held_back) = Serving::default().advance(&published(1, &set("x")), &rejected(&[]));
        assert_eq!((revisions(&first), held_back.len()), (vec![("one".into(), 1), ("two".into(), 1)], 0));

        for bad in ["backend/g/c", "catalog/two/g/c", "policy_set/two"] {
            let mut parts = set("y").to_vec();
            parts.push(("policy_set/two", "later"));
            let (next, held_back) = first.advance(&published(2, &parts), &rejected(&[bad]));
            assert_eq!(revisions(&next), [("one".into(), 2), ("two".into(), 1)], "{bad}");
            let two = "two".parse().unwrap();
            assert!(Arc::ptr_eq(&next.servers[&two].parts, &first.servers[&two].parts), "whole");
            assert_eq!((held_back[0].virtual_server.as_str(), held_back[0].revision), ("two", 1));
            assert!(!next.held.parts.contains_key(&bad.parse().unwrap()));
        }
    }

    #[test]
    fn what_was_kept_is_served_whole_or_not_at_all() {
        let set = [("virtual_server/one", "1"), ("virtual_server/two", "2"), ("policy_set/two", "p")];
        let (serving, _) = Serving::default().advance(&published(1, &set), &rejected(&["policy_set/two"]));
        let resumed = serving.clone().resumed(|_| true);
        assert_eq!(resumed, serving, "`two` has never been good, though what is held of it is");
        let resumed = serving.resumed(|part| part.name.to_string() != "virtual_server/one");
        assert!(resumed.servers.is_empty() && resumed.held.parts.len() == 1);
    }

    #[test]
    fn what_has_never_been_good_is_not_served_and_what_is_gone_is_gone() {
        let set = published(3, &[("virtual_server/one", "1"), ("virtual_server/two", "2")]);
        let (serving, held_back) = Serving::default().advance(&set, &rejected(&["virtual_server/two"]));
        assert_eq!(revisions(&serving), [("one".into(), 3)]);
        assert_eq!(held_back[0].revision, 0);
        let (serving, _) = serving.advance(&published(4, &[]), &rejected(&[]));
        assert!(serving.servers.is_empty());
    }
}
