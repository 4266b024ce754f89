//! Sessions with legacy backends: one per client session and backend, begun at first use; one per call for clients that
//! have none. Each is ended when nobody can use it any more.

use std::sync::Arc;

use moka::future::Cache;
use moka::policy::EvictionPolicy;
use vmcp_core::backend::BackendId;
use vmcp_core::limits;
use vmcp_mcp::{self as mcp, Exchange, OURSELVES, Peer};

use crate::refusal::Reason;
use crate::snapshot::{Backend, Server};

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
    ) -> Result<Arc<Opened>, Reason> {
        let opening = async { open(exchange, backend, peer).await.map(Arc::new) };
        let Some(client) = client else { return opening.await };
        let key = (client, backend.id.clone());
        // A stream that has ended cannot be gone on with.
        if self.open.get(&key).await.is_some_and(|open| open.is_over()) {
            self.open.invalidate(&key).await;
        }
        self.open.try_get_with(key, opening).await.map_err(|reason| *reason)
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
    pub(crate) async fn end(&self, client: u128, server: &Server) {
        for backend in &server.backends {
            self.open.invalidate(&(client, backend.id.clone())).await;
        }
        // Only then does the cache let go of them.
        self.open.run_pending_tasks().await;
    }
}

async fn open(exchange: &Exchange, backend: &Backend, peer: Peer) -> Result<Opened, Reason> {
    let opening = mcp::open(exchange, &peer, &OURSELVES);
    match tokio::time::timeout(limits::PROBE_TIME.min(backend.timeouts.first_byte), opening).await {
        Ok(Ok(Some(initialized))) => {
            Ok(Opened { exchange: exchange.clone(), peer, session: initialized.session })
        }
        Ok(Ok(None)) => Err(Reason::Protocol),
        Ok(Err(failure)) => Err(Reason::from(&failure)),
        Err(_) => Err(Reason::Timeout),
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
