//! Constructs the long-lived parts of a data plane and wires them.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use vmcp_mcp::Exchange;
use vmcp_revision::Follower;
use vmcp_runtime::{Drain, Guard, Metrics, serve_on_lanes};

use crate::backend::BackendSessions;
use crate::follow::{self, Observed};
use crate::http::router;
use crate::metrics::Counters;
use crate::plane::Plane;
use crate::session::Sessions;

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
