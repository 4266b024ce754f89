//! A session with a legacy backend. Whatever is said in it is shown what its user is shown now: tokens end before sessions do, and the next
//! caller of the same client may have come with another grant.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use vmcp_core::backend::BackendId;
use vmcp_core::limits;
use vmcp_mcp::{self as mcp, Carrier, Exchange, Failure, Peer};
use vmcp_oauth::Tokens;

use crate::backend::Backend;
use crate::level::Level;
use crate::principal::Identity;
use crate::sticky::Carried;

/// In whose name a session is used, and with whom.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) tokens: Tokens,
    pub(super) identity: Identity,
    pub(super) backend: Arc<Backend>,
}

/// A session with a backend, ended when the last user lets go of it.
#[derive(Debug)]
pub(crate) struct Opened {
    backend: BackendId,
    /// By which it is ended.
    exchange: Exchange,
    url: Uri,
    carrier: Carrier,
    /// What every request to the backend carried when it was begun, whoever asked.
    own: HeaderMap,
    session: mcp::Session,
    user: ArcSwap<User>,
    is_heard: AtomicBool,
    /// The events behind which somebody goes on with a stream that has ended.
    resumed: Mutex<Vec<Vec<u8>>>,
    /// Its client carries it, and may come back with it to anybody.
    is_carried: AtomicBool,
}

/// The header that a backend is shown, if there is one.
type Header = Option<(HeaderName, HeaderValue)>;

impl Opened {
    /// One that was begun at this address.
    pub(super) fn new(exchange: Exchange, user: User, url: Uri, session: mcp::Session) -> Self {
        Self {
            backend: user.backend.id.clone(),
            exchange,
            url,
            carrier: user.backend.carrier,
            own: user.backend.headers.clone().unwrap_or_default(),
            session,
            user: ArcSwap::from_pointee(user),
            is_heard: AtomicBool::new(false),
            resumed: Mutex::default(),
            is_carried: AtomicBool::new(false),
        }
    }

    pub(crate) fn session(&self) -> &mcp::Session {
        &self.session
    }

    /// With which backend.
    pub(crate) fn backend(&self) -> &BackendId {
        &self.backend
    }

    /// Where it was begun: no other address knows it.
    pub(crate) fn url(&self) -> &Uri {
        &self.url
    }

    /// Whether a backend is called as this one was.
    pub(super) fn was_begun_as(&self, backend: &Backend) -> bool {
        Some(&self.own) == backend.headers.as_ref() && self.carrier == backend.carrier
    }

    /// From now on it is used in this caller's name.
    pub(crate) fn is_used_by(&self, identity: &Identity, backend: &Arc<Backend>) {
        let user = self.user.load();
        if user.identity.marks() != identity.marks() || !Arc::ptr_eq(&user.backend, backend) {
            let (identity, backend) = (identity.clone(), backend.clone());
            self.user.store(Arc::new(User { identity, backend, ..User::clone(&user) }));
        }
    }

    /// The same, where the backend is what it was.
    pub(crate) fn is_spoken_in_by(&self, identity: &Identity) {
        let backend = self.user.load().backend.clone();
        self.is_used_by(identity, &backend);
    }

    /// Where it is, and with what everybody asks there.
    fn bare(&self) -> Peer {
        Peer { url: self.url.clone(), carrier: self.carrier, headers: self.own.clone() }
    }

    /// With what the backend is asked now. `None`: there is nothing that it could be shown.
    async fn peer(&self) -> Option<Peer> {
        let user = self.user.load_full();
        Some(shown(self.bare(), &user).await?.0)
    }

    /// What the backend says in it by itself. `None`: it says nothing so, or to nobody who shows what is shown here.
    ///
    /// # Errors
    /// It cannot be heard now.
    pub(crate) async fn listen(&self, exchange: &Exchange) -> Result<Option<mcp::EventStream>, Failure> {
        let user = self.user.load_full();
        let Some((peer, header)) = shown(self.bare(), &user).await else { return Err(Failure::TimedOut) };
        let listening = mcp::listen(exchange, &peer, &self.session);
        let heard =
            tokio::time::timeout(limits::PROBE_TIME, listening).await.unwrap_or(Err(Failure::TimedOut));
        match &heard {
            Err(Failure::Status(StatusCode::UNAUTHORIZED)) if !user.backend.shown.may_be_another() => {
                Ok(None)
            }
            Err(failure) => {
                let whose = (&user.tokens, &user.identity);
                user.backend.shown.replace_refused(whose, header.as_ref(), failure).await;
                heard
            }
            Ok(_) => heard,
        }
    }

    /// What comes behind the event with this id, if the backend offers that.
    pub(crate) async fn resume(&self, exchange: &Exchange, last_id: &[u8]) -> Option<mcp::EventStream> {
        let peer = self.peer().await?;
        mcp::resume(exchange, &peer, &self.session, last_id).await.ok()?
    }

    /// Whether nobody goes on behind this event, and not too many behind others. From now on somebody does.
    pub(crate) fn begins_to_be_resumed(&self, last_id: &[u8]) -> bool {
        let mut resumed = self.resumed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = resumed.len() < limits::RESUMED_AT_ONCE && resumed.iter().all(|known| known != last_id);
        if is_new {
            resumed.push(last_id.to_vec());
        }
        is_new
    }

    pub(crate) fn is_resumed_no_more(&self, last_id: &[u8]) {
        self.resumed.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| known != last_id);
    }

    /// Asks the backend to log so much.
    pub(crate) async fn log(&self, exchange: &Exchange, level: Level) {
        let asking = async {
            let peer = self.peer().await?;
            // One that cannot says more, or less, than was wanted; its answers are good all the same.
            self.session.ask(exchange, &peer, level.to_request(), Level::ID).await.ok()
        };
        let _ = tokio::time::timeout(limits::PROBE_TIME, asking).await;
    }

    /// Sends a message that wants no answer. Whether the backend likes it changes nothing for the client.
    pub(crate) fn say(self: &Arc<Self>, exchange: &Exchange, body: Bytes) {
        let (opened, exchange) = (self.clone(), exchange.clone());
        tokio::spawn(async move {
            let sending = async {
                let peer = opened.peer().await?;
                opened.session.send(&exchange, &peer, body).await.ok()
            };
            let _ = tokio::time::timeout(limits::PROBE_TIME, sending).await;
        });
    }

    /// Whether nobody listens to what the backend says in it by itself. From now on somebody does.
    pub(crate) fn begins_to_be_heard(&self) -> bool {
        !self.is_heard.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_heard_no_more(&self) {
        self.is_heard.store(false, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.session.duplex.as_ref().is_some_and(|duplex| duplex.is_over())
    }

    /// As its client is to carry it. `None`: it has no id. From now on the end of this value is not its end.
    pub(crate) fn carried(&self, backend: &Backend) -> Option<Carried> {
        let id = self.session.id.clone()?;
        self.is_now_carried();
        Some(Carried::new(backend, &self.url, self.session.version, id))
    }

    pub(super) fn is_now_carried(&self) {
        self.is_carried.store(true, Ordering::Release);
    }

    pub(super) fn is_carried(&self) -> bool {
        self.is_carried.load(Ordering::Acquire)
    }

    /// Tells the backend. One that does not answer is not waited for; it will forget the session by itself.
    pub(super) fn end(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let user = self.user.load_full();
        let (bare, exchange, session) = (self.bare(), self.exchange.clone(), self.session.clone());
        runtime.spawn(async move {
            let ending = async {
                if let Some((peer, _)) = shown(bare, &user).await {
                    mcp::close(&exchange, &peer, &session).await;
                }
            };
            let _ = tokio::time::timeout(limits::PROBE_TIME, ending).await;
        });
    }
}

/// The same with what its user is shown now. `None`: there is nothing.
async fn shown(mut peer: Peer, user: &User) -> Option<(Peer, Header)> {
    let header = user.backend.shown.header(&user.tokens, &user.identity).await.ok()?;
    if let Some((name, value)) = &header {
        peer.headers.insert(name, value.clone());
    }
    Some((peer, header))
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.is_carried() {
            self.end();
        }
    }
}
