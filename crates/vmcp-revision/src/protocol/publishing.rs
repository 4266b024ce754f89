//! The end of a stream that publishes: what its replica holds, what was sent, what comes next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use vmcp_core::limits;
use vmcp_core::name::Name;

use super::planted::{Fault, is_planted};
use super::rejections::Rejections;
use super::{Ack, FromReplica, Hello, Observe, Report, ToReplica, Violation};
use crate::part::{Digest, PartName};
use crate::published::Published;

/// One stream, seen from the control plane. Costs memory in proportion to the set of parts, never to the history.
#[derive(Debug)]
pub struct Publishing {
    peer: Option<Peer>,
    observed: Option<Arc<Observe>>,
    /// What is observed has changed, and cannot be said yet.
    has_more_to_say: bool,
    observed_at: Duration,
    heard_at: Duration,
    pinged_at: Duration,
    piece_bytes: usize,
}

/// What is known of the replica.
#[derive(Debug)]
struct Peer {
    wanted: Vec<Name>,
    /// The set that it is at, or will be at when what is under way has arrived.
    sent: BTreeMap<PartName, Digest>,
    /// What it has rejected on this stream.
    rejected: Rejections,
    /// The revision that it is at.
    revision: u64,
    /// Whether it has answered a revision of this stream, or needs none.
    is_current: bool,
    under_way: Option<UnderWay>,
}

/// A revision that is being sent, or waits for its answer.
#[derive(Debug)]
struct UnderWay {
    target: Arc<Published>,
    steps: VecDeque<Step>,
    has_begun: bool,
    is_committed: bool,
}

#[derive(Debug)]
enum Step {
    Remove(PartName),
    /// From this byte on.
    Upsert(PartName, usize),
}

/// What a message of the replica means to others than this stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It follows from now on.
    Hello(Hello),
    /// It has answered a revision.
    Ack {
        /// How.
        ack: Ack,
        /// The generation of that revision.
        generation: u64,
    },
    /// How it fares.
    Report(Report),
    /// It is there.
    Pong,
}

impl Publishing {
    /// A stream that has just been opened, at a time on any clock that only goes forward.
    pub fn new(now: Duration) -> Self {
        Self {
            peer: None,
            observed: None,
            has_more_to_say: false,
            observed_at: now,
            heard_at: now,
            pinged_at: now,
            piece_bytes: limits::PART_PIECE_BYTES,
        }
    }

    /// The same with smaller pieces, so that few bytes are several.
    #[cfg(test)]
    pub(super) fn with_pieces_of(mut self, bytes: usize) -> Self {
        self.piece_bytes = bytes;
        self
    }

    /// Takes a message.
    ///
    /// # Errors
    /// [`Violation`]: the stream is to be ended.
    pub fn receive(&mut self, message: FromReplica, now: Duration) -> Result<Heard, Violation> {
        self.heard_at = now;
        match (message, &mut self.peer) {
            (FromReplica::Hello(hello), peer @ None) => {
                *peer = Some(Peer::new(&hello));
                Ok(Heard::Hello(hello))
            }
            (FromReplica::Ack(ack), Some(peer)) => {
                let generation = peer.answered(&ack)?;
                Ok(Heard::Ack { ack, generation })
            }
            (FromReplica::Report(report), Some(_)) => Ok(Heard::Report(report)),
            (FromReplica::Pong, Some(_)) => Ok(Heard::Pong),
            (FromReplica::Hello(_), Some(_)) => Err(Violation::OutOfOrder { said: "Hello" }),
            (_, None) => Err(Violation::OutOfOrder { said: "anything before Hello" }),
        }
    }

    /// What to say next, if anything: the rest of the revision under way, or the newest one, or what is observed, or a question
    /// whether anybody is there.
    pub fn next(
        &mut self,
        current: &Arc<Published>,
        observe: &Arc<Observe>,
        now: Duration,
    ) -> Option<ToReplica> {
        let peer = self.peer.as_mut()?;
        // A large revision takes its time, and a replica that hears nothing but that is to say that it is there.
        if now >= self.pinged_at + limits::PING_TIME {
            self.pinged_at = now;
            return Some(ToReplica::Ping);
        }
        if let Some(message) = peer.next(current, self.piece_bytes) {
            return Some(message);
        }
        let is_new = !self.observed.as_ref().is_some_and(|said| said == observe);
        self.has_more_to_say = is_new;
        if is_new && (self.observed.is_none() || now >= self.observed_at + limits::OBSERVE_TIME) {
            self.observed = Some(observe.clone());
            self.observed_at = now;
            self.has_more_to_say = false;
            return Some(ToReplica::Observe(peer.observes(observe)));
        }
        None
    }

    /// When something is due even if nobody says anything; only the end of patience, while nothing can be said.
    pub fn due_at(&self, can_speak: bool) -> Duration {
        let silent_at = self.heard_at + limits::SILENCE_TIME;
        if can_speak && self.peer.is_some() {
            let said_at =
                if self.has_more_to_say { self.observed_at + limits::OBSERVE_TIME } else { silent_at };
            silent_at.min(self.pinged_at + limits::PING_TIME).min(said_at)
        } else {
            silent_at
        }
    }

    /// Whether the replica has been silent for so long that it is taken for gone.
    pub fn is_silent(&self, now: Duration) -> bool {
        now >= self.heard_at + limits::SILENCE_TIME
    }

    /// Whether the replica has answered the revision that it was sent last, or needed none.
    pub fn is_answered(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.is_current)
    }

    /// Whether the replica serves a revision that is newer than this one.
    pub fn is_ahead_of(&self, current: &Published) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.revision > current.revision)
    }
}

impl Peer {
    /// As far as it is about what the replica has, if it has not everything.
    fn observes(&self, observe: &Observe) -> Observe {
        let mut observe = observe.clone();
        if !self.wanted.is_empty() {
            observe.backends.retain(|(id, _)| self.sent.contains_key(&PartName::Backend(id.clone())));
            observe.keys.retain(|keys| self.wanted.iter().any(|server| keys.of.contains(server)));
        }
        observe
    }

    fn new(hello: &Hello) -> Self {
        Self {
            wanted: hello.virtual_servers.clone(),
            sent: hello.held.iter().cloned().collect(),
            rejected: Rejections::default(),
            revision: hello.revision,
            is_current: false,
            under_way: None,
        }
    }

    fn answered(&mut self, ack: &Ack) -> Result<u64, Violation> {
        let answered = self
            .under_way
            .take_if(|sent| sent.is_committed && sent.target.revision == ack.revision)
            .ok_or(Violation::OutOfOrder { said: "Ack" })?;
        self.revision = ack.revision;
        self.is_current = true;
        for rejected in &ack.rejected {
            let part = answered.target.parts.get(&rejected.name);
            if let Some(part) = part.filter(|part| part.digest == rejected.digest) {
                self.rejected.remember(part);
            }
        }
        Ok(answered.target.generation)
    }

    fn next(&mut self, current: &Arc<Published>, piece_bytes: usize) -> Option<ToReplica> {
        if self.under_way.is_none() {
            self.begin(current);
        }
        let under_way = self.under_way.as_mut().filter(|under_way| !under_way.is_committed)?;
        let target = under_way.target.clone();
        if !under_way.has_begun {
            under_way.has_begun = true;
            return Some(ToReplica::Begin { revision: target.revision, generation: target.generation });
        }
        let Some(step) = under_way.steps.pop_front() else {
            under_way.is_committed = true;
            return Some(ToReplica::Commit { revision: target.revision, digest: target.digest() });
        };
        match step {
            Step::Remove(name) => {
                self.sent.remove(&name);
                Some(ToReplica::Remove { name })
            }
            Step::Upsert(name, from) => {
                let part = target.parts.get(&name)?;
                let digest = part.digest;
                self.sent.insert(name.clone(), digest);
                let is_rejected = self.rejected.find(&name, digest).is_some();
                if is_rejected && !is_planted(Fault::SendsRejectedAgain) {
                    return Some(ToReplica::Repeat { name, digest });
                }
                let to = (from + piece_bytes).min(part.bytes.len());
                let has_more = to < part.bytes.len();
                if has_more {
                    under_way.steps.push_front(Step::Upsert(name.clone(), to));
                }
                Some(ToReplica::Upsert { name, digest, bytes: part.bytes.slice(from..to), has_more })
            }
        }
    }

    /// Begins what differs between the replica and the newest revision. Nothing, if the replica is at a newer one: it never
    /// goes back.
    fn begin(&mut self, current: &Arc<Published>) {
        let is_known = self.is_current && current.revision == self.revision;
        let is_older = current.revision < self.revision && !is_planted(Fault::GoesBack);
        if current.revision == 0 || is_known || is_older {
            return;
        }
        let target =
            if self.wanted.is_empty() { current.clone() } else { Arc::new(current.narrowed(&self.wanted)) };
        let gone =
            self.sent.keys().filter(|name| !target.parts.contains_key(*name)).cloned().map(Step::Remove);
        let new = target
            .parts
            .iter()
            .filter(|(name, part)| self.sent.get(*name) != Some(&part.digest))
            .map(|(name, _)| Step::Upsert(name.clone(), 0));
        let mut steps: VecDeque<Step> = gone.chain(new).collect();
        if is_planted(Fault::SkipsAChange) && steps.len() > 1 {
            steps.pop_front();
        }
        if steps.is_empty() && current.revision == self.revision {
            self.is_current = true;
            return;
        }
        self.under_way = Some(UnderWay { target, steps, has_begun: false, is_committed: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::IssuerKeys;

    #[test]
    fn a_replica_gets_the_keys_of_its_own_virtual_servers_issuers() {
        let keys = |issuer: &str, of: &[&str]| IssuerKeys {
            issuer: issuer.to_owned(),
            jwks_url: None,
            document: "{}".to_owned(),
            fetched_ms: 1,
            of: of.iter().filter_map(|name| name.parse().ok()).collect(),
        };
        let all = vec![
            keys("https://one", &["one"]),
            keys("https://two", &["two"]),
            keys("https://both", &["one", "two"]),
        ];
        let observe = Observe { backends: Vec::new(), keys: all };
        let got = |wanted: &[&str]| -> Vec<String> {
            let virtual_servers = wanted.iter().filter_map(|name| name.parse().ok()).collect();
            let peer = Peer::new(&Hello { virtual_servers, ..Hello::default() });
            peer.observes(&observe).keys.into_iter().map(|keys| keys.issuer).collect()
        };
        assert_eq!(got(&["one"]), ["https://one", "https://both"]);
        assert_eq!(got(&["three"]), [""; 0]);
        assert_eq!(got(&[]).len(), 3, "all, who serves all");
    }
}
