//! Constructs the long-lived parts of a control plane and wires them.

use std::sync::Arc;

use tokio::sync::watch;
use vmcp_core::desired::Desired;
use vmcp_mcp::Exchange;
use vmcp_revision::{Follower, Publisher};
use vmcp_runtime::Drain;

use crate::accept::Acceptor;
use crate::reconcile::{self, Inputs};
use crate::status::Status;
use crate::workloads::Hosted;

/// What a control plane is told at start.
#[derive(Debug)]
pub struct Settings {
    /// The pool of connections to backends.
    pub exchange: Exchange,
    /// Where stdio workloads are hosted; it changes as they come up.
    pub hosted: watch::Receiver<Hosted>,
    /// Tells when to stop.
    pub drain: Drain,
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    acceptor: Acceptor,
    status: watch::Receiver<Arc<Status>>,
}

impl ControlPlane {
    /// Runs until `settings.drain` says to stop. Nothing is published before something is accepted.
    pub fn start(settings: Settings) -> (Self, Follower) {
        let Settings { exchange, hosted, drain } = settings;
        let (acceptor, accepted) = Acceptor::new();
        let (publisher, follower) = Publisher::new();
        let (tell, status) = watch::channel(Arc::default());
        let inputs = Inputs { accepted, hosted, exchange };
        drain.spawn(reconcile::run(inputs, publisher, tell, drain.clone()));
        (Self { acceptor, status }, follower)
    }

    /// Takes the whole of a desired state and returns its generation.
    pub fn accept(&self, desired: Desired) -> u64 {
        self.acceptor.accept(desired)
    }

    /// How things are, as they change.
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }
}
