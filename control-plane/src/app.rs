//! Constructs the long-lived parts of a control plane and wires them.

use std::sync::Arc;

use tokio::sync::watch;
use vmcp_manifest::Hosting;
use vmcp_mcp::Exchange;
use vmcp_revision::Publisher;
use vmcp_runtime::Drain;

use crate::accept::{Acceptor, Refused};
use crate::compile::Backends;
use crate::health::HealthOf;
use crate::reconcile::{self, Inputs, Outputs};
use crate::status::{Status, describe};
use crate::store::{Store, StoreFault};
use crate::workloads::{Found, Hosted, ToolHiveFolders, workloads};

/// What a control plane is told at start.
#[derive(Debug)]
pub struct Settings {
    /// What outlives it.
    pub store: Store,
    /// Whether programs that manifests describe are started.
    pub hosting: Hosting,
    /// Where stdio workloads are hosted; it changes as they come up.
    pub hosted: watch::Receiver<Hosted>,
    /// Where ToolHive keeps its files, for groups that do not say.
    pub toolhive: ToolHiveFolders,
    /// The pool of connections to backends.
    pub exchange: Exchange,
    /// Tells when to stop.
    pub drain: Drain,
}

/// A running control plane. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    /// Takes what operators want.
    pub acceptor: Acceptor,
    /// Publishes to data planes.
    pub publisher: Publisher,
    pub(crate) status: watch::Receiver<Arc<Status>>,
    pub(crate) backends: watch::Receiver<Arc<Backends>>,
    /// Whether there were revisions before this process.
    pub(crate) has_resumed: bool,
}

/// A control plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What was stored cannot be read.
    #[error("could not read what was stored")]
    Store(#[from] StoreFault),
    /// The manifests that were stored have faults for this version.
    #[error("this version does not take the manifests that are stored")]
    Stored(#[source] Refused),
}

impl ControlPlane {
    /// Goes on with what is stored, until `settings.drain` says to stop. Nothing is published before something is accepted.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let Settings { store, hosting, hosted, toolhive, exchange, drain } = settings;
        let stored = store.load()?;
        let acceptor = Acceptor::new(store.clone(), hosting, stored.generation, stored.documents)
            .map_err(StartError::Stored)?;
        let has_resumed = stored.published_generation > 0;
        let publisher = Publisher::new();
        // Unknown is not empty: what is stored is known before anything is compiled.
        let accepted = acceptor.subscribe().borrow().clone();
        let found = stored
            .workloads
            .iter()
            .map(|(group, workloads)| (group.clone(), Found::stored(workloads.clone())));
        let wanted = workloads(&accepted.desired, &hosted.borrow(), &found.collect());
        let first = describe(&accepted, 0, &wanted, &stored.observations, &HealthOf::new(), &[]);
        let (tell, status) = watch::channel(Arc::new(first));
        let (tell_backends, backends) = watch::channel(Arc::default());
        let inputs = Inputs {
            accepted: acceptor.subscribe(),
            hosted,
            folders: toolhive,
            exchange,
            known: stored.observations,
            workloads: stored.workloads,
            owners: stored.owners,
            published_generation: stored.published_generation,
        };
        let outputs = Outputs { store, publisher: publisher.clone(), status: tell, backends: tell_backends };
        drain.spawn(reconcile::run(inputs, outputs, drain.clone()));
        Ok(Self { acceptor, publisher, status, backends, has_resumed })
    }

    /// How things are, as they change. Replicas are in the fleet of the publisher.
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }
}
