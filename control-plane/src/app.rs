//! Constructs the long-lived parts of a control plane and wires them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use vmcp_core::backend::BackendId;
use vmcp_core::desired::Desired;
use vmcp_mcp::Exchange;
use vmcp_revision::{Follower, Publisher};
use vmcp_runtime::Drain;

use crate::introspect::Located;
use crate::reconcile::{self, Inputs};
use crate::status::Status;

/// Where stdio workloads have been hosted, by backend: those that have been up at least once.
pub type Hosted = BTreeMap<BackendId, Located>;

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
    desired: watch::Sender<Accepted>,
    status: watch::Receiver<Arc<Status>>,
}

/// A desired state and its number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accepted {
    /// 0 before the first.
    pub(crate) generation: u64,
    pub(crate) desired: Arc<Desired>,
}

impl ControlPlane {
    /// Runs until `settings.drain` says to stop. Nothing is published before something is accepted.
    pub fn start(settings: Settings) -> (Self, Follower) {
        let Settings { exchange, hosted, drain } = settings;
        let (desired, accepted) = watch::channel(Accepted::default());
        let (publisher, follower) = Publisher::new();
        let (tell, status) = watch::channel(Arc::default());
        let inputs = Inputs { accepted, hosted, exchange };
        drain.spawn(reconcile::run(inputs, publisher, tell, drain.clone()));
        (Self { desired, status }, follower)
    }

    /// The only writer of desired state: takes the whole of it and returns its generation.
    pub fn accept(&self, desired: Desired) -> u64 {
        self.desired.send_modify(|accepted| {
            *accepted = Accepted { generation: accepted.generation + 1, desired: Arc::new(desired) };
        });
        self.desired.borrow().generation
    }

    /// How things are, as they change.
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }
}
