//! Sessions with legacy backends: one per client session and backend; one per call for clients that have none; or one for all who may be
//! asked the same, where the manifest says so. Each is ended when nobody can use it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Uri;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use vmcp_core::backend::BackendId;
use vmcp_core::desired::Sessions;
use vmcp_core::limits;
use vmcp_mcp::{self as mcp, Carrier, Exchange, Failure, Holder, OURSELVES, Peer};
use vmcp_oauth::Tokens;

use crate::backend::Backend;
use crate::backend::opened::{Opened, User};
use crate::declared::Declared;
use crate::level::Level;
use crate::principal::{Identity, Principal};
use crate::refusal::Reason;
use crate::session::Session;
use crate::sticky::Carried;

/// The sessions that are open. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct BackendSessions {
    tokens: Tokens,
    open: Cache<Key, Arc<Opened>>,
    /// How much backends are to log, by client.
    levels: moka::sync::Cache<u128, Level>,
}

/// Who asks, and in which session, if the client keeps one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) session: Option<&'a Session>,
}

/// Whose it is, and with whom.
type Key = (Owner, BackendId);

/// Whose session with a backend it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    Client(u128),
    /// All clients of this principal that may be asked this, by one virtual server that shows the same.
    Everybody {
        principal: Principal,
        declared: Declared,
        mark: [u8; 32],
        grant: [u8; 32],
    },
}

/// A session could not be begun.
#[derive(Debug)]
pub(crate) struct NotOpened {
    pub(crate) reason: Reason,
    /// No connection came to stand.
    pub(crate) is_unreachable: bool,
    /// Where.
    pub(crate) url: Uri,
    is_judged: AtomicBool,
}

impl BackendSessions {
    pub(crate) fn new(tokens: Tokens) -> Self {
        // The newest counts most: a client that has just come keeps its session.
        let open = Cache::builder()
            .eviction_policy(EvictionPolicy::lru())
            .max_capacity(limits::BACKEND_SESSIONS)
            .time_to_idle(limits::BACKEND_SESSION_IDLE_TIME)
            .build();
        let levels = moka::sync::Cache::builder()
            .max_capacity(limits::BACKEND_SESSIONS)
            .time_to_idle(limits::BACKEND_SESSION_IDLE_TIME)
            .build();
        Self { tokens, open, levels }
    }

    /// The session of a client with a backend, and whether it is new here; concurrent first calls begin one, with `peer`, or go on with
    /// what the client carries.
    pub(crate) async fn opened(
        &self,
        exchange: &Exchange,
        caller: Caller<'_>,
        backend: &Arc<Backend>,
        peer: Peer,
        patience: Duration,
        carried: impl FnOnce() -> Option<Carried>,
    ) -> Result<(Arc<Opened>, bool), Arc<NotOpened>> {
        let is_current = |open: &Opened| {
            backend.live.place_of(open.url()).is_some() && open.was_begun_as(backend) && !open.is_over()
        };
        let (key, client) = (key(caller, backend), caller.session);
        if let Some(key) = &key {
            match self.open.get(key).await {
                Some(open) if is_current(&open) => {
                    open.is_used_by(caller.identity, backend);
                    return Ok((open, false));
                }
                // A stream that has ended, or leads where the backend is no more, cannot be gone on with.
                Some(_) => self.open.invalidate(key).await,
                None => {}
            }
        }
        // Large, and rare: every call would carry it along.
        let opening = Box::pin(async {
            let user = || self.user(caller.identity, backend);
            let exchange = exchange.clone();
            if let Some(opened) = carried().and_then(|carried| carry_on(exchange.clone(), user(), carried)) {
                return Ok(Arc::new(opened));
            }
            let opened = open(exchange.clone(), user(), peer, patience, client).await?;
            if let Some(client) = client.filter(|_| backend.sessions != Sessions::Shared)
                && backend.abilities.logs
                && let Some(level) = self.levels.get(&client.id)
            {
                opened.log(&exchange, level).await;
            }
            Ok(Arc::new(opened))
        });
        match key {
            Some(key) => {
                let entry = self.open.entry(key).or_try_insert_with(opening).await?;
                Ok((entry.value().clone(), entry.is_fresh()))
            }
            None => opening.await.map(|opened| (opened, true)).map_err(Arc::new),
        }
    }

    /// The backend does not know this one any more. One that another call has begun in its place stays.
    pub(crate) async fn forget(&self, caller: Caller<'_>, backend: &Backend, forgotten: &Arc<Opened>) {
        let Some(key) = key(caller, backend) else { return };
        if self.open.get(&key).await.is_some_and(|open| Arc::ptr_eq(&open, forgotten)) {
            self.open.invalidate(&key).await;
        }
    }

    /// Those that a client has now with these backends, and shares with nobody, to be used in this caller's name.
    pub(crate) async fn of(
        &self,
        (client, identity): (&Session, &Identity),
        backends: impl Iterator<Item = &Arc<Backend>>,
    ) -> Vec<Arc<Opened>> {
        let mut all = Vec::new();
        for backend in backends.filter(|backend| backend.legacy.is_some()) {
            if let Some(opened) = self.open.get(&(Owner::Client(client.id), backend.id.clone())).await {
                opened.is_used_by(identity, backend);
                all.push(opened);
            }
        }
        all
    }

    fn user(&self, identity: &Identity, backend: &Arc<Backend>) -> User {
        User { tokens: self.tokens.clone(), identity: identity.clone(), backend: backend.clone() }
    }

    /// How much the backends of a client are to log from now on; those that it has no session with yet, from its beginning on.
    pub(crate) fn set_level(&self, client: &Session, level: Level) {
        self.levels.insert(client.id, level);
    }

    /// The client has ended its session, and with it those with our backends.
    pub(crate) async fn end(
        &self,
        exchange: &Exchange,
        (client, identity): (&Session, &Identity),
        backends: &[Arc<Backend>],
        carried: &[Carried],
    ) {
        for backend in backends {
            let known = self.open.remove(&(Owner::Client(client.id), backend.id.clone())).await;
            if let Some(known) = &known {
                known.is_used_by(identity, backend);
            }
            let mut unknown = carried.iter().filter(|_| known.is_none());
            let unknown = unknown.find_map(|carried| {
                carry_on(exchange.clone(), self.user(identity, backend), carried.clone())
            });
            if let Some(opened) = known.filter(|opened| opened.is_carried()).or(unknown.map(Arc::new)) {
                opened.end();
            }
        }
        // Only then does the cache let go of them.
        self.open.run_pending_tasks().await;
    }
}

/// `None`: it is for one call.
fn key(Caller { identity, session: client }: Caller<'_>, backend: &Backend) -> Option<Key> {
    let owner = match backend.sessions {
        Sessions::Shared => Some(Owner::Everybody {
            principal: identity.principal,
            declared: declared(client, backend),
            mark: backend.mark,
            grant: if backend.shown.is_of_caller() { identity.marks().0 } else { [0; 32] },
        }),
        Sessions::Auto | Sessions::Sticky => client.map(|client| Owner::Client(client.id)),
    };
    owner.map(|owner| (owner, backend.id.clone()))
}

/// What the backend may ask in the session. On one stream for all of them it could not say whom it asks.
fn declared(client: Option<&Session>, backend: &Backend) -> Declared {
    let is_one_stream = backend.carrier == Carrier::Sse && backend.sessions == Sessions::Shared;
    client.filter(|_| !is_one_stream).map(|client| client.declared).unwrap_or_default()
}

/// The session that a client carries. `None`: it is with another backend, or at an address where this one is no more.
fn carry_on(exchange: Exchange, user: User, carried: Carried) -> Option<Opened> {
    let url = carried.at(&user.backend)?.clone();
    let session = mcp::Session { version: carried.version, id: Some(carried.id), duplex: None };
    let opened = Opened::new(exchange, user, url, session);
    opened.is_now_carried();
    Some(opened)
}

async fn open(
    exchange: Exchange,
    user: User,
    peer: Peer,
    patience: Duration,
    client: Option<&Session>,
) -> Result<Opened, NotOpened> {
    let backend = &user.backend;
    let capabilities = declared(client, backend).to_json();
    let holder = match backend.sessions {
        Sessions::Shared => Holder::Several(&capabilities),
        Sessions::Auto | Sessions::Sticky => Holder::One(&capabilities),
    };
    let opening = mcp::open(&exchange, &peer, &OURSELVES, holder);
    let opened = tokio::time::timeout(limits::PROBE_TIME.min(patience), opening).await;
    let reason = match opened {
        Ok(Ok(Some(initialized))) => {
            return Ok(Opened::new(exchange, user, peer.url, initialized.session));
        }
        Ok(Ok(None)) => Reason::Protocol,
        Ok(Err(failure)) => {
            let (is_unreachable, reason) =
                (matches!(failure, Failure::Unreachable(_)), Reason::from(&failure));
            return Err(NotOpened {
                reason,
                is_unreachable,
                url: peer.url,
                is_judged: AtomicBool::new(false),
            });
        }
        Err(_) => Reason::Timeout,
    };
    Err(NotOpened { reason, is_unreachable: false, url: peer.url, is_judged: AtomicBool::new(false) })
}

impl NotOpened {
    /// Whether nobody else has said yet what this shows of the backend: of those who waited for one opening, one does.
    pub(crate) fn is_first(&self) -> bool {
        !self.is_judged.swap(true, Ordering::Relaxed)
    }
}
