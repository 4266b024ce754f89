//! What must hold after every step, and in the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vmcp_core::name::Name;

use super::super::{FromReplica, ToReplica};
use super::replica::Replica;
use super::{MEMBERS, REPLICAS, Tally, Whole, World};
use crate::part::{Digest, Part, PartName};
use crate::published::Published;
use crate::serving::Serving;

/// What has happened.
#[derive(Default)]
pub(super) struct Log {
    /// Every revision that was stored.
    published: BTreeMap<u64, Whole>,
    /// What the member has heard to be rejected, by stream.
    rejected: BTreeMap<u64, BTreeSet<(PartName, Digest)>>,
    notes: VecDeque<String>,
    pub(super) tally: Tally,
}

impl Log {
    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.notes.push_back(what.into());
        if self.notes.len() > 60 {
            self.notes.pop_front();
        }
    }

    /// A complaint, and what came before it.
    pub(super) fn tell(&self, what: &str) -> String {
        let notes: Vec<&str> = self.notes.iter().map(String::as_str).collect();
        format!("{what}\n  {}", notes.join("\n  "))
    }

    /// A revision was stored: under a number of its own, and never without a virtual server, since one is always wanted.
    pub(super) fn published(&mut self, whole: &Whole) {
        if !whole.parts.keys().any(|name| matches!(name, PartName::VirtualServer(_))) {
            panic!("{}", self.tell(&format!("revision {} is empty", whole.revision)));
        }
        let before = self.published.insert(whole.revision, whole.clone());
        if before.is_some() {
            panic!("{}", self.tell(&format!("revision {} is used twice", whole.revision)));
        }
    }

    pub(super) fn heard(&mut self, stream: u64, message: &FromReplica) {
        if let FromReplica::Ack(ack) = message {
            let rejected = ack.rejected.iter().map(|rejected| (rejected.name.clone(), rejected.digest));
            self.rejected.entry(stream).or_default().extend(rejected);
        }
    }

    /// The bytes of what was rejected on a stream are not sent on it again.
    pub(super) fn check_said(&self, stream: u64, message: &ToReplica) {
        let ToReplica::Upsert { name, digest, .. } = message else { return };
        let rejected = self.rejected.get(&stream);
        if rejected.is_some_and(|rejected| rejected.contains(&(name.clone(), *digest))) {
            panic!("{}", self.tell(&format!("`{name}` is sent again on stream {stream}")));
        }
    }
}

impl World {
    /// What a replica says that it holds, it can use.
    pub(super) fn check_claims(&self, number: usize, hello: &FromReplica) {
        let replica = &self.replicas[number];
        let held = Replica::claims(hello).map(|hello| hello.held.clone()).unwrap_or_default();
        for (name, digest) in held {
            let published = self
                .log
                .published
                .values()
                .find_map(|whole| whole.parts.get(&name).filter(|part| part.digest == digest));
            if published.is_some_and(|part| !replica.understands(part)) {
                panic!("{}", self.log.tell(&format!("replica {number} claims `{name}`, which it rejects")));
            }
        }
    }

    /// Each virtual server is whole, of one revision that was published; nothing goes back.
    pub(super) fn check_replica(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        let Serving { held, servers, .. } = &replica.serving;
        let complain = |what: String| panic!("{}", self.log.tell(&format!("replica {number}: {what}")));
        for (name, served) in servers {
            let Some(whole) = self.log.published.get(&served.revision) else {
                complain(format!("`{name}` is of revision {}, which nobody has published", served.revision));
                continue;
            };
            if *served.parts != parts_of(name, whole) {
                complain(format!("`{name}` is not what was published as revision {}", served.revision));
            }
        }
        // What its version can use of the revision that it is at, it serves.
        let newest = self.log.published.get(&held.revision).filter(|_| held.revision > replica.resumed);
        for (name, wanted) in newest.map(|whole| every_server(&replica.wants(whole))).unwrap_or_default() {
            let is_usable = wanted.values().all(|part| replica.understands(part));
            if is_usable && servers.get(&name).is_none_or(|served| *served.parts != wanted) {
                complain(format!("`{name}` is not what was published as revision {}", held.revision));
            }
        }
        let floor = replica.kept.max(replica.reached);
        if held.revision < floor {
            complain(format!("it has gone back from revision {floor} to {}", held.revision));
        }
        replica.reached = held.revision;
    }

    /// Everybody serves the newest revision, but for what its version cannot use; and the member knows what that is.
    pub(super) fn check_agreement(&self) {
        let newest = self.store.whole();
        assert!((0..MEMBERS).all(|member| self.members[member].is_up()), "all members are back");
        for number in 0..REPLICAS {
            let replica = &self.replicas[number];
            let complain =
                |what: String| panic!("{}", self.log.tell(&format!("replica {number} in the end: {what}")));
            if replica.serving.held.revision != self.store.revision() {
                complain(format!(
                    "it is at revision {} of {}",
                    replica.serving.held.revision, newest.revision
                ));
            }
            let newest = replica.wants(&newest);
            let rejects: BTreeSet<(PartName, Digest)> = newest
                .parts
                .values()
                .filter(|part| !replica.understands(part))
                .map(|part| (part.name.clone(), part.digest))
                .collect();
            let told =
                replica.stream.and_then(|stream| self.log.rejected.get(&stream)).cloned().unwrap_or_default();
            if !rejects.is_subset(&told) {
                complain("its member does not know what it rejects".to_owned());
            }
            for (name, wanted) in every_server(&newest) {
                let is_usable = wanted.values().all(|part| replica.understands(part));
                let served = replica.serving.servers.get(&name).map(|served| &*served.parts);
                if is_usable && served != Some(&wanted) {
                    complain(format!("`{name}` is not the newest"));
                }
            }
        }
    }
}

fn every_server(whole: &Published) -> BTreeMap<Name, BTreeMap<PartName, Part>> {
    let names = whole.parts.keys().filter_map(|name| match name {
        PartName::VirtualServer(name) => Some(name),
        _ => None,
    });
    names.map(|name| (name.clone(), parts_of(name, whole))).collect()
}

/// The parts that a virtual server is made of, written out once more, so that the code under test is not held to itself.
fn parts_of(name: &Name, whole: &Published) -> BTreeMap<PartName, Part> {
    let mut parts = BTreeMap::new();
    for part in whole.parts.values() {
        let words: Vec<String> = part.name.to_string().split('/').map(ToOwned::to_owned).collect();
        let is_its = words[0] != "backend" && words[1] == name.as_str();
        let is_needed = words[0] == "backend"
            && whole
                .parts
                .keys()
                .any(|other| other.to_string() == format!("catalog/{name}/{}/{}", words[1], words[2]));
        if is_its || is_needed {
            parts.insert(part.name.clone(), part.clone());
        }
    }
    parts
}
