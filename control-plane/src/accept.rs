//! The only writer of desired state.

use std::sync::Arc;

use tokio::sync::watch;
use vmcp_core::desired::Desired;

/// A desired state and its number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accepted {
    /// 0 before the first.
    pub(crate) generation: u64,
    pub(crate) desired: Arc<Desired>,
}

/// The end that writes.
#[derive(Debug)]
pub(crate) struct Acceptor {
    accepted: watch::Sender<Accepted>,
}

impl Acceptor {
    /// Nothing has been accepted.
    pub(crate) fn new() -> (Self, watch::Receiver<Accepted>) {
        let (accepted, receiver) = watch::channel(Accepted::default());
        (Self { accepted }, receiver)
    }

    /// Takes the whole of a desired state and returns its generation.
    pub(crate) fn accept(&self, desired: Desired) -> u64 {
        self.accepted.send_modify(|accepted| {
            *accepted = Accepted { generation: accepted.generation + 1, desired: Arc::new(desired) };
        });
        self.accepted.borrow().generation
    }
}
