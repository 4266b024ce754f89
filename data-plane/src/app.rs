//! Constructs the long-lived parts of a data plane and wires them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::watch;
use vmcp_mcp::Exchange;
use vmcp_revision::Follower;
use vmcp_runtime::{Drain, Guard, Metrics, serve_on_lanes};

use crate::backend::BackendSessions;
use crate::follow;
use crate::http::router;
use crate::metrics::Counters;
use crate::session::Sessions;
use crate::snapshot::Snapshot;

/// What a data plane is told at start.
#[derive(Debug)]
pub struct Settings {
    /// Where MCP clients come in.
    pub listener: TcpListener,
    /// The pool of connections to backends.
    pub exchange: Exchange,
    /// Where counters are registered.
    pub metrics: Metrics,
    /// Tells when to stop.
    pub drain: Drain,
}

/// A running data plane.
#[derive(Debug)]
pub struct DataPlane {
    observed: watch::Receiver<Observed>,
}

/// What a data plane says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The revision that it serves; 0 before the first.
    pub revision: u64,
    /// The generation of that revision.
    pub generation: u64,
    /// Parts that it could not use, and why. The virtual servers that need them are held at their last good state.
    pub rejected: Vec<(String, String)>,
}

/// What every request can reach, shared by all lanes but for the connections to backends.
#[derive(Debug, Clone)]
pub(crate) struct Plane {
    /// The whole that is served; replaced in one step.
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    /// Wakes streams when the snapshot has been replaced.
    pub(crate) changed: watch::Sender<u64>,
    /// Connections to backends, kept where the requests are that use them.
    pub(crate) exchange: Exchange,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) backend_sessions: BackendSessions,
    pub(crate) counters: Arc<Counters>,
    pub(crate) drain: Drain,
    pub(crate) guard: Guard,
}

/// A data plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener has no address, or threads cannot be started.
    #[error("could not serve the listener")]
    Listener(#[source] std::io::Error),
    /// There is no randomness for keys.
    #[error("could not make the keys that seal session ids")]
    Keys,
}

impl DataPlane {
    /// Serves what `follower` brings until `settings.drain` says to stop.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(settings: Settings, follower: Follower) -> Result<Self, StartError> {
        let Settings { listener, exchange, metrics, drain } = settings;
        let address = listener.local_addr().map_err(StartError::Listener)?;
        let plane = Plane {
            snapshot: Arc::default(),
            changed: watch::Sender::new(0),
            backend_sessions: BackendSessions::new(),
            exchange,
            sessions: Arc::new(Sessions::new().map_err(|_| StartError::Keys)?),
            counters: Arc::new(Counters::register(&metrics)),
            drain: drain.clone(),
            guard: Guard::new(address),
        };
        let (observe, observed) = watch::channel(Observed::default());
        drain.spawn(follow::run(plane.clone(), follower, observe));
        let lane =
            move || router(Arc::new(Plane { exchange: plane.exchange.unconnected(), ..plane.clone() }));
        serve_on_lanes(listener, &drain, lane).map_err(StartError::Listener)?;
        Ok(Self { observed })
    }

    /// What it says of itself, as it changes.
    pub fn observed(&self) -> watch::Receiver<Observed> {
        self.observed.clone()
    }
}
