//! Constructs the long-lived parts of a data plane and wires them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::watch;
use vmcp_core::backend::BackendId;
use vmcp_core::name::Name;
use vmcp_mcp::Exchange;
use vmcp_oauth::{Tokens, Verifier};
use vmcp_revision::protocol::{Following, Observe};
use vmcp_revision::{Connection, Follower, Serving, Source};
use vmcp_runtime::{Drain, Guard, Metrics, ServerTls, serve_on_lanes};

use crate::audit::Ledgers;
use crate::backend::BackendSessions;
use crate::follow::{Follow, Observed, StateDir};
use crate::http::router;
use crate::inventories::PersonalInventories;
use crate::mailboxes::Mailboxes;
use crate::metrics::Counters;
use crate::plane::Plane;
use crate::questions::Questions;
use crate::sealing::SessionKeys;
use crate::session::Sessions;
use crate::shared::SharedCalls;
use crate::snapshot::{Decode, Held, Snapshot};
use crate::streams::Streams;

/// What a data plane is told at start.
#[derive(Debug)]
pub struct Settings {
    /// Where MCP clients come in.
    pub listener: TcpListener,
    /// With them it speaks TLS alone.
    pub tls: Option<ServerTls>,
    /// The control planes that it follows, one at a time.
    pub sources: Vec<Source>,
    /// Tells it from other replicas.
    pub replica: String,
    /// Those that it serves; all if there is none.
    pub virtual_servers: Vec<Name>,
    /// Where it keeps what it serves.
    pub state: Option<StateDir>,
    /// They seal session ids and cursors, if replicas share them.
    pub session_keys: Option<SessionKeys>,
    /// How parts become values.
    pub decode: Decode,
    /// The pool of connections to backends.
    pub exchange: Exchange,
    /// Where counters are registered.
    pub metrics: Metrics,
    /// Tells when to stop following.
    pub drain: Drain,
}

/// A running data plane.
#[derive(Debug)]
pub struct DataPlane {
    replica: String,
    observed: watch::Receiver<Observed>,
    connection: watch::Receiver<Connection>,
    observe: watch::Receiver<Observe>,
    snapshot: Arc<ArcSwap<Snapshot>>,
}

/// A data plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener has no address, or threads cannot be started.
    #[error("could not serve the listener")]
    Listener(#[source] std::io::Error),
    /// Issuers of tokens cannot be asked over TLS.
    #[error("could not prepare TLS towards issuers of tokens")]
    Tls(#[source] std::io::Error),
    /// There is no randomness for keys.
    #[error("could not make the keys that seal session ids")]
    Keys,
}

impl DataPlane {
    /// Serves what was kept, then what its control planes bring, until `settings.drain` says to stop.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let Settings { listener, tls, sources, replica, virtual_servers, state, session_keys, .. } = settings;
        let Settings { decode, exchange, metrics, drain, .. } = settings;
        let address = listener.local_addr().map_err(StartError::Listener)?;
        let keys = session_keys.map_or_else(SessionKeys::own, Ok).map_err(|_| StartError::Keys)?;
        let counters = Arc::new(Counters::register(&metrics));
        let counted = counters.clone();
        let tokens = Tokens::default();
        let plane = Plane {
            snapshot: Arc::new(ArcSwap::from_pointee(Snapshot::empty(Ledgers::new(counters.records())))),
            told: Arc::default(),
            changed: watch::Sender::new(0),
            backend_sessions: BackendSessions::new(tokens.clone()),
            mailboxes: Mailboxes::default(),
            streams: Streams::default(),
            questions: Questions::new(),
            shared_calls: SharedCalls::new(),
            exchange: exchange.counting_unasked(move || {
                counted.dropped().inc();
            }),
            tokens,
            personal_inventories: PersonalInventories::default(),
            verifier: Arc::new(Verifier::new().map_err(StartError::Tls)?),
            sessions: Arc::new(Sessions::new(keys)),
            counters: counters.clone(),
            drain: drain.clone(),
            guard: Guard::new(address),
            scheme: if tls.is_some() { "https" } else { "http" },
        };
        let (observe, observed) = watch::channel(Observed::default());
        let state = state.map(Arc::new);
        let (held, serving) = (Held::new(), Serving::default());
        let wanted = virtual_servers.clone();
        let plane_here = plane.clone();
        let keys = Vec::new();
        let mut follow = Follow { plane: plane_here, decode, state, observe, held, serving, wanted, keys };
        let heard_ms = follow.resume();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let held = follow.serving.held.clone();
        let following = Following::new(replica.clone(), version, virtual_servers, held);
        let snapshot = plane.snapshot.clone();
        let reports = move || {
            let snapshot = snapshot.load();
            (counters.report(snapshot.avoided()), snapshot.reports_every())
        };
        let follower = Follower::start(following, sources, reports, heard_ms, &drain);
        let (connection, observe) = (follower.connection(), follower.observed());
        drain.spawn(follow.run(follower));
        let snapshot = plane.snapshot.clone();
        let lane =
            move || router(Arc::new(Plane { exchange: plane.exchange.unconnected(), ..plane.clone() }));
        serve_on_lanes(listener, tls, &drain, lane).map_err(StartError::Listener)?;
        Ok(Self { replica, observed, connection, observe, snapshot })
    }

    /// Its id.
    pub fn replica(&self) -> &str {
        &self.replica
    }

    /// What it says of itself, as it changes.
    pub fn observed(&self) -> watch::Receiver<Observed> {
        self.observed.clone()
    }

    /// Whether there is a control plane, as it changes.
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    /// Backends that it does not call now, since calls to them fail.
    pub fn avoided(&self) -> Vec<BackendId> {
        self.snapshot.load().avoided()
    }

    /// Waits until what was done has been recorded, within a bound. To be called when nothing is served any more.
    pub async fn flush(&self) {
        let ledgers = self.snapshot.load().ledgers().clone();
        ledgers.flush().await;
    }

    /// What the control plane observes beside revisions, as it changes.
    pub fn told(&self) -> watch::Receiver<Observe> {
        self.observe.clone()
    }
}
