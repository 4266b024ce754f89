//! What backends say to a legacy client by themselves, on the way to the stream that it listens on. Who does not listen misses it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::broadcast::{self, error::RecvError};
use vmcp_core::limits;

use crate::session::Session;

/// One for each session that listens, for as long as it does. Cheap to clone; off the way of calls, so a lock will do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mailboxes {
    open: Arc<Mutex<HashMap<u128, broadcast::Sender<Bytes>>>>,
}

/// One end of it, for the stream on which a client listens.
#[derive(Debug)]
pub(crate) struct Mailbox {
    mailboxes: Mailboxes,
    client: u128,
    messages: broadcast::Receiver<Bytes>,
}

impl Mailboxes {
    /// A client begins to listen; it may do so on several streams.
    pub(crate) fn listen(&self, client: &Session) -> Mailbox {
        let mut open = self.open();
        let sender =
            open.entry(client.id).or_insert_with(|| broadcast::Sender::new(limits::MAILBOX_MESSAGES));
        Mailbox { mailboxes: self.clone(), client: client.id, messages: sender.subscribe() }
    }

    /// Whether a client listens.
    pub(crate) fn is_open(&self, client: &Session) -> bool {
        self.open().contains_key(&client.id)
    }

    /// Something for a client; if it does not listen, it misses it.
    pub(crate) fn put(&self, client: &Session, message: Bytes) {
        if let Some(sender) = self.open().get(&client.id) {
            let _ = sender.send(message);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u128, broadcast::Sender<Bytes>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    /// The next message; what a slow reader has missed is passed over.
    pub(crate) async fn next(&mut self) -> Bytes {
        loop {
            match self.messages.recv().await {
                Ok(message) => return message,
                Err(RecvError::Lagged(_)) => {}
                // Not before this end is gone.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let mut open = self.mailboxes.open();
        // This end is still counted.
        if open.get(&self.client).is_some_and(|sender| sender.receiver_count() <= 1) {
            open.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use vmcp_mcp::ProtocolVersion;

    use super::*;
    use crate::declared::Declared;

    #[tokio::test]
    async fn what_is_put_is_heard_by_who_listens_and_nothing_is_kept_for_others() {
        let (mailboxes, version) = (Mailboxes::default(), ProtocolVersion::V2025_11_25);
        let session = |id| Session { id, version, declared: Declared::default(), issued_at: 0 };
        let (one, other) = (session(1), session(2));
        mailboxes.put(&one, Bytes::from_static(b"missed"));
        let (mut first, mut second) = (mailboxes.listen(&one), mailboxes.listen(&one));
        mailboxes.put(&other, Bytes::from_static(b"not for it"));
        mailboxes.put(&one, Bytes::from_static(b"heard"));
        assert_eq!((first.next().await, second.next().await), ("heard".into(), "heard".into()));
        drop(first);
        assert!(mailboxes.is_open(&one) && !mailboxes.is_open(&other));
        drop(second);
        assert!(!mailboxes.is_open(&one));
    }
}
