//! Sessions with legacy backends: one per client session and backend, begun at first use; one per call for clients that
//! have none. Each is ended when nobody can use it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Uri;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use vmcp_core::backend::BackendId;
use vmcp_core::limits;
use vmcp_mcp::{self as mcp, Exchange, Failure, OURSELVES, Peer};

use crate::backend::Backend;
use crate::refusal::Reason;

/// The sessions that are open. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct BackendSessions {
    open: Cache<(u128, BackendId), Arc<Opened>>,
}

/// A session with a backend, ended when the last user lets go of it.
#[derive(Debug)]
pub(crate) struct Opened {
    exchange: Exchange,
    peer: Peer,
    session: mcp::Session,
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
    pub(crate) fn new() -> Self {
        // The newest counts most: a client that has just come keeps its session.
        let open = Cache::builder()
            .eviction_policy(EvictionPolicy::lru())
            .max_capacity(limits::BACKEND_SESSIONS)
            .time_to_idle(limits::BACKEND_SESSION_IDLE_TIME)
            .build();
        Self { open }
    }

    /// The session of a client with a backend; concurrent first calls begin one, with `peer`.
    pub(crate) async fn opened(
        &self,
        exchange: &Exchange,
        client: Option<u128>,
        backend: &Arc<Backend>,
        peer: Peer,
        patience: Duration,
    ) -> Result<Arc<Opened>, Arc<NotOpened>> {
        let is_current = |open: &Opened| {
            backend.live.place_of(&open.peer.url).is_some()
                && Some(&open.peer.headers) == backend.headers.as_ref()
                && open.peer.carrier == backend.carrier
                && !open.is_over()
        };
        let key = client.map(|client| (client, backend.id.clone()));
        if let Some(key) = &key {
            match self.open.get(key).await {
                Some(open) if is_current(&open) => return Ok(open),
                // A stream that has ended, or leads where the backend is no more, cannot be gone on with.
                Some(_) => self.open.invalidate(key).await,
                None => {}
            }
        }
        // Large, and rare: every call would carry it along.
        let opening = Box::pin(async { open(exchange, peer, patience).await.map(Arc::new) });
        match key {
            Some(key) => self.open.try_get_with(key, opening).await,
            None => opening.await.map_err(Arc::new),
        }
    }

    /// The backend does not know this one any more. One that another call has begun in its place stays.
    pub(crate) async fn forget(&self, client: Option<u128>, backend: &Backend, forgotten: &Arc<Opened>) {
        let Some(client) = client else { return };
        let key = (client, backend.id.clone());
        if self.open.get(&key).await.is_some_and(|open| Arc::ptr_eq(&open, forgotten)) {
            self.open.invalidate(&key).await;
        }
    }

    /// The client has ended its session, and with it those with our backends.
    pub(crate) async fn end(&self, client: u128, backends: &[Arc<Backend>]) {
        for backend in backends {
            self.open.invalidate(&(client, backend.id.clone())).await;
        }
        // Only then does the cache let go of them.
        self.open.run_pending_tasks().await;
    }
}

async fn open(exchange: &Exchange, peer: Peer, patience: Duration) -> Result<Opened, NotOpened> {
    let opening = mcp::open(exchange, &peer, &OURSELVES);
    let opened = tokio::time::timeout(limits::PROBE_TIME.min(patience), opening).await;
    let reason = match opened {
        Ok(Ok(Some(initialized))) => {
            return Ok(Opened { exchange: exchange.clone(), peer, session: initialized.session });
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

impl Opened {
    pub(crate) fn session(&self) -> &mcp::Session {
        &self.session
    }

    /// With whom it was begun: no other address knows it.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    fn is_over(&self) -> bool {
        self.session.duplex.as_ref().is_some_and(|duplex| duplex.is_over())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (exchange, peer, session) = (self.exchange.clone(), self.peer.clone(), self.session.clone());
        runtime.spawn(async move {
            // A backend that does not answer is not waited for; it will forget the session by itself.
            let ending = mcp::close(&exchange, &peer, &session);
            let _ = tokio::time::timeout(limits::PROBE_TIME, ending).await;
        });
    }
}
