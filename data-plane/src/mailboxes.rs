//! What backends say to a legacy client by themselves, on the way to the stream that it listens on. Who does not listen misses it.

use axum::body::Bytes;
use moka::sync::Cache;
use tokio::sync::broadcast;
use vmcp_core::limits;

use crate::session::Session;

/// One for each session that listens. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mailboxes {
    open: Cache<u128, broadcast::Sender<Bytes>>,
}

impl Mailboxes {
    pub(crate) fn new() -> Self {
        let open = Cache::builder()
            .max_capacity(limits::MAILBOXES)
            .time_to_idle(limits::BACKEND_SESSION_IDLE_TIME)
            .build();
        Self { open }
    }

    /// A client begins to listen.
    pub(crate) fn listen(&self, client: &Session) -> broadcast::Receiver<Bytes> {
        self.open.get_with(client.id, || broadcast::Sender::new(limits::MAILBOX_MESSAGES)).subscribe()
    }

    /// Where to put what is for a client, if it listens.
    pub(crate) fn of(&self, client: &Session) -> Option<broadcast::Sender<Bytes>> {
        self.open.get(&client.id).filter(|mailbox| mailbox.receiver_count() > 0)
    }

    /// Its session has ended.
    pub(crate) fn close(&self, client: &Session) {
        self.open.invalidate(&client.id);
    }
}
