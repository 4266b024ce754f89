//! Legacy session ids and list cursors: sealed, so that any replica can read its own and nobody can make one.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_mcp::ProtocolVersion;
use vmcp_runtime::unix_ms;

use crate::declared::Declared;
use crate::principal::Scope;
use crate::sealing::{NoRandomness, SessionKeys, random};
use crate::snapshot::Position;
use crate::sticky::{self, Carried};
use crate::task::TaskId;

/// Opens and seals; remembers which sessions have ended.
#[derive(Debug)]
pub(crate) struct Sessions {
    keys: SessionKeys,
    ended: Cache<u128, ()>,
}

/// A session that a client has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: u128,
    pub(crate) version: ProtocolVersion,
    /// What servers may ask of the client.
    pub(crate) declared: Declared,
    /// Seconds since 1970.
    pub(crate) issued_at: u64,
}

/// Not a session of ours that is still good. Whether foreign, altered, expired or ended, nobody learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownSession;

/// Not a cursor of ours for this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownCursor;

/// Not what a backend keeps with a client for this request, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownState;

/// Told apart from later forms.
const FORM: u8 = 3;

/// Every version is a date.
const VERSION_BYTES: usize = 10;

impl Sessions {
    pub(crate) fn new(keys: SessionKeys) -> Self {
        let ended = Cache::builder()
            .eviction_policy(EvictionPolicy::lru())
            .max_capacity(limits::ENDED_SESSIONS)
            .time_to_live(limits::SESSION_TIME)
            .build();
        Self { keys, ended }
    }

    /// The id of a session with a virtual server, as its client keeps it.
    pub(crate) fn seal(
        &self,
        scope: Scope<'_>,
        session: &Session,
        carried: &[Carried],
    ) -> Result<String, NoRandomness> {
        let bytes = [session.to_bytes(), sticky::to_bytes(carried)].concat();
        Ok(encode_base64(&self.keys.current().ring.seal(&scope.purpose("session"), random()?, &bytes)))
    }

    /// What a client carries in the id of a session that has been opened.
    pub(crate) fn carried(&self, scope: Scope<'_>, sealed: &str) -> Vec<Carried> {
        let bytes = self.unseal(scope, sealed).unwrap_or_default();
        let carried = Session::from_bytes(&bytes).and_then(|(_, rest)| sticky::from_bytes(rest));
        carried.unwrap_or_default()
    }

    fn unseal(&self, scope: Scope<'_>, sealed: &str) -> Result<Vec<u8>, UnknownSession> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).map_err(|_| UnknownSession)?;
        self.keys.current().ring.open(&scope.purpose("session"), &sealed).map_err(|_| UnknownSession)
    }

    pub(crate) fn open(&self, scope: Scope<'_>, sealed: &str) -> Result<Session, UnknownSession> {
        let bytes = self.unseal(scope, sealed)?;
        let (session, _) = Session::from_bytes(&bytes).ok_or(UnknownSession)?;
        let age = now().saturating_sub(session.issued_at);
        if age > limits::SESSION_TIME.as_secs() || self.ended.contains_key(&session.id) {
            return Err(UnknownSession);
        }
        Ok(session)
    }

    pub(crate) fn end(&self, session: &Session) {
        self.ended.insert(session.id, ());
    }

    /// What a backend keeps with a client between two rounds of one request.
    pub(crate) fn seal_state(&self, purpose: &[u8], state: &str) -> Result<String, NoRandomness> {
        self.seal_state_at(purpose, state, now())
    }

    fn seal_state_at(&self, purpose: &[u8], state: &str, sealed_at: u64) -> Result<String, NoRandomness> {
        let bytes = [&sealed_at.to_le_bytes()[..], state.as_bytes()].concat();
        Ok(encode_base64(&self.keys.current().ring.seal(purpose, random()?, &bytes)))
    }

    pub(crate) fn open_state(&self, purpose: &[u8], sealed: &str) -> Result<String, UnknownState> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).map_err(|_| UnknownState)?;
        let bytes = self.keys.current().ring.open(purpose, &sealed).map_err(|_| UnknownState)?;
        let (sealed_at, state) = bytes.split_first_chunk::<8>().ok_or(UnknownState)?;
        let age = now().saturating_sub(u64::from_le_bytes(*sealed_at));
        if age > limits::STATE_TIME.as_secs() {
            return Err(UnknownState);
        }
        String::from_utf8(state.to_vec()).map_err(|_| UnknownState)
    }

    /// The id under which clients of a virtual server know a task.
    pub(crate) fn seal_task(&self, scope: Scope<'_>, task: &TaskId) -> String {
        let (purpose, keys) = (scope.purpose("task"), self.keys.current());
        let nonce = task.nonce(&keys.nonces, &purpose);
        encode_base64(&keys.ring.seal(&purpose, nonce, task.to_text().as_bytes()))
    }

    /// Whose task that is. `None`: no id of ours.
    pub(crate) fn open_task(&self, scope: Scope<'_>, sealed: &str) -> Option<TaskId> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let text = self.keys.current().ring.open(&scope.purpose("task"), &sealed).ok()?;
        TaskId::from_text(std::str::from_utf8(&text).ok()?)
    }

    /// A cursor that goes on behind an item of a list.
    pub(crate) fn cursor(
        &self,
        scope: Scope<'_>,
        kind: Kind,
        behind: &Position,
    ) -> Result<String, NoRandomness> {
        let text = format!("{}\n{}", behind.backend, behind.exposed_name);
        Ok(encode_base64(&self.keys.current().ring.seal(
            &scope.purpose(kind.list()),
            random()?,
            text.as_bytes(),
        )))
    }

    pub(crate) fn open_cursor(
        &self,
        scope: Scope<'_>,
        kind: Kind,
        cursor: &str,
    ) -> Result<Position, UnknownCursor> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| UnknownCursor)?;
        let text =
            self.keys.current().ring.open(&scope.purpose(kind.list()), &sealed).map_err(|_| UnknownCursor)?;
        let text = String::from_utf8(text).map_err(|_| UnknownCursor)?;
        let (backend, exposed_name) = text.split_once('\n').ok_or(UnknownCursor)?;
        let backend = backend.parse().map_err(|_| UnknownCursor)?;
        Ok(Position { backend, exposed_name: exposed_name.to_owned() })
    }
}

impl Session {
    /// A new one.
    pub(crate) fn begin(version: ProtocolVersion, declared: Declared) -> Result<Self, NoRandomness> {
        Ok(Self { id: u128::from_le_bytes(random()?), version, declared, issued_at: now() })
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.issued_at.to_le_bytes());
        bytes.push(self.declared.to_byte());
        bytes.extend_from_slice(self.version.as_str().as_bytes());
        bytes
    }

    /// The session, and what is behind it.
    fn from_bytes(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (form, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (issued_at, rest) = rest.split_first_chunk::<8>()?;
        let (declared, rest) = rest.split_first()?;
        let (version, rest) = rest.split_at_checked(VERSION_BYTES)?;
        let declared = Declared::from_byte(*declared);
        let version = ProtocolVersion::parse(std::str::from_utf8(version).ok()?)?;
        let (id, issued_at) = (u128::from_le_bytes(*id), u64::from_le_bytes(*issued_at));
        (*form == FORM).then_some((Self { id, version, declared, issued_at }, rest))
    }
}

fn encode_base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
fn now() -> u64 {
    unix_ms() / 1_000
}

#[cfg(test)]
mod tests {
    use vmcp_core::name::Name;

    use super::*;
    use crate::principal::Principal;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// At this virtual server.
    fn at(text: &str) -> Scope<'static> {
        Scope { server: Box::leak(Box::new(name(text))), principal: Principal::ANONYMOUS }
    }

    fn begin(sessions: &Sessions, version: ProtocolVersion, declared: Declared) -> String {
        sessions.seal(at("a"), &Session::begin(version, declared).unwrap(), &[]).unwrap()
    }

    #[test]
    fn a_session_is_good_at_its_virtual_server_until_it_ends() {
        let sessions = Sessions::new(SessionKeys::own().unwrap());
        let id = begin(&sessions, ProtocolVersion::V2025_06_18, Declared::from_byte(9));
        assert!(id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}");
        let session = sessions.open(at("a"), &id).unwrap();
        assert_eq!(session.version, ProtocolVersion::V2025_06_18);
        assert_eq!(session.declared, Declared::from_byte(9));
        assert_eq!(sessions.open(at("b"), &id), Err(UnknownSession));
        assert_eq!(Sessions::new(SessionKeys::own().unwrap()).open(at("a"), &id), Err(UnknownSession));
        sessions.end(&session);
        assert_eq!(sessions.open(at("a"), &id), Err(UnknownSession));
    }

    #[test]
    fn replicas_with_the_same_key_read_each_other_s_sessions() {
        let [one, other] = [(); 2].map(|()| Sessions::new(SessionKeys::test(&[7])));
        let id = begin(&one, ProtocolVersion::V2025_11_25, Declared::default());
        assert!(other.open(at("a"), &id).is_ok());
    }

    #[test]
    fn no_altered_session_or_cursor_is_accepted() {
        let sessions = Sessions::new(SessionKeys::own().unwrap());
        let id = begin(&sessions, ProtocolVersion::V2025_11_25, Declared::default());
        let behind = Position { backend: name("b"), exposed_name: "b_x\ny".into() };
        let cursor = sessions.cursor(at("a"), Kind::Tool, &behind).unwrap();
        assert_eq!(sessions.open_cursor(at("a"), Kind::Tool, &cursor), Ok(behind));
        assert_eq!(sessions.open_cursor(at("a"), Kind::Prompt, &cursor), Err(UnknownCursor));
        let here = at("a");
        for at in 0..id.len() {
            let mut altered = id.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(sessions.open(here, &altered), Err(UnknownSession), "{at}");
        }
        for at in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(sessions.open_cursor(here, Kind::Tool, &altered), Err(UnknownCursor), "{at}");
        }
    }

    #[test]
    fn a_task_has_one_id_and_it_is_good_at_its_virtual_server() {
        let sessions = Sessions::new(SessionKeys::own().unwrap());
        let task = |id: &str| TaskId { backend: name("b"), tool: "b_t".to_owned(), id: id.to_owned() };
        let sealed = sessions.seal_task(at("a"), &task("1\n2"));
        assert_eq!(sealed, sessions.seal_task(at("a"), &task("1\n2")));
        assert_ne!(sealed, sessions.seal_task(at("a"), &task("1")));
        assert_eq!(sessions.open_task(at("a"), &sealed), Some(task("1\n2")));
        assert_eq!(sessions.open_task(at("other"), &sealed), None);
        assert_eq!(sessions.open_task(at("a"), "b.1"), None);
    }

    #[test]
    fn handles_are_not_credentials_when_their_time_is_over() {
        let (sessions, here) = (Sessions::new(SessionKeys::own().unwrap()), at("a"));
        let session = Session::begin(ProtocolVersion::V2025_11_25, Declared::default()).unwrap();
        let ago = |time: std::time::Duration| now() - time.as_secs();
        for (is_good, time) in [(true, limits::SESSION_TIME / 2), (false, limits::SESSION_TIME * 2)] {
            let id = sessions.seal(here, &Session { issued_at: ago(time), ..session }, &[]).unwrap();
            assert_eq!(sessions.open(here, &id).is_ok(), is_good, "{time:?}");
        }
        for (is_good, time) in [(true, limits::STATE_TIME / 2), (false, limits::STATE_TIME * 2)] {
            let state = sessions.seal_state_at(b"p", "text", ago(time)).unwrap();
            assert_eq!(sessions.open_state(b"p", &state).is_ok(), is_good, "{time:?}");
        }
    }

    #[test]
    fn handles_are_not_credentials_that_can_be_guessed() {
        let sessions = Sessions::new(SessionKeys::own().unwrap());
        let behind = Position { backend: name("b"), exposed_name: "b_told".into() };
        let mut ones = vec![0_u32; 8];
        let mut seen = std::collections::HashSet::new();
        const MANY: u32 = 10_000;
        for _ in 0..MANY {
            let cursor = sessions.cursor(at("a"), Kind::Tool, &behind).unwrap();
            for handle in [begin(&sessions, ProtocolVersion::V2025_11_25, Declared::default()), cursor] {
                let bytes = BASE64_URL_SAFE_NO_PAD.decode(&handle).unwrap();
                for read in [&b"2025-11-25"[..], b"b_told"] {
                    assert!(!bytes.windows(read.len()).any(|some| some == read), "it can be read");
                }
                // Behind the key's id.
                assert!(seen.insert(bytes[1..9].to_vec()), "two begin alike");
                for (bit, ones) in ones.iter_mut().enumerate() {
                    *ones += u32::from(bytes[1] >> bit & 1);
                }
            }
        }
        assert!(ones.iter().all(|ones| (MANY * 95 / 100..MANY * 105 / 100).contains(ones)), "{ones:?}");
    }

    #[test]
    fn eras_07_what_is_sealed_for_one_principal_is_good_for_no_other() {
        let (sessions, here) = (Sessions::new(SessionKeys::own().unwrap()), at("a"));
        let other = Scope { principal: Principal::test(1), ..here };
        let session = Session::begin(ProtocolVersion::V2025_11_25, Declared::default()).unwrap();
        let id = sessions.seal(other, &session, &[]).unwrap();
        assert_eq!(sessions.open(other, &id), Ok(session));
        assert_eq!(sessions.open(here, &id), Err(UnknownSession));
        assert_eq!(sessions.open(Scope { principal: Principal::test(2), ..here }, &id), Err(UnknownSession));
        let behind = Position { backend: name("b"), exposed_name: "b_x".into() };
        let cursor = sessions.cursor(other, Kind::Tool, &behind).unwrap();
        assert_eq!(sessions.open_cursor(here, Kind::Tool, &cursor), Err(UnknownCursor));
        let task =
            sessions.seal_task(other, &TaskId { backend: name("b"), tool: "t".into(), id: "1".into() });
        assert_eq!(sessions.open_task(here, &task), None);
    }

    /// `eras_07`: neither an id, nor a cursor, nor a state that a backend keeps is accepted with anything in it changed.
    #[test]
    fn eras_07_a_million_random_changes_are_never_accepted() {
        let (sessions, all) = (Sessions::new(SessionKeys::own().unwrap()), at("a"));
        let behind = Position { backend: name("b"), exposed_name: "b_x".into() };
        let sealed = [
            begin(&sessions, ProtocolVersion::V2025_11_25, Declared::default()),
            sessions.cursor(all, Kind::Tool, &behind).unwrap(),
            sessions.seal_state(b"purpose", "what a backend keeps").unwrap(),
        ];
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            // xorshift64: the same changes in every run.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % u64::try_from(below).unwrap()).unwrap()
        };
        for turn in 0..1_000_000 {
            let which = turn % sealed.len();
            let mut bytes = sealed[which].clone().into_bytes();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                bytes[at] ^= 1 << random(7);
            }
            let altered = String::from_utf8(bytes).unwrap();
            let is_accepted = altered != sealed[which]
                && match which {
                    0 => sessions.open(all, &altered).is_ok(),
                    1 => sessions.open_cursor(all, Kind::Tool, &altered).is_ok(),
                    _ => sessions.open_state(b"purpose", &altered).is_ok(),
                };
            assert!(!is_accepted, "{altered}");
        }
    }
}
