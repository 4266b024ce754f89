//! What backends say to a legacy client by themselves, on the way to the stream that it listens on. Who does not listen misses it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::broadcast::{self, error::RecvError};
use vmcp_core::backend::BackendId;
use vmcp_core::limits;

use crate::session::Session;
use crate::watch::Heard;

/// One for each session that listens, for as long as it does. Cheap to clone; off the way of calls, so a lock will do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mailboxes {
    open: Arc<Mutex<HashMap<u128, broadcast::Sender<Said>>>>,
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// As the client reads it.
    pub(crate) event: Bytes,
    pub(crate) about: About,
}

/// What a message is about.
#[derive(Debug, Clone)]
pub(crate) enum About {
    /// Something that the client watches, of which it may hear as long as its stream stands.
    Watched,
    /// A resource that has changed.
    Resource(Arc<Heard>),
    /// Nothing in particular: this backend says it.
    Backend(BackendId),
}

/// One end of it, for the stream on which a client listens.
#[derive(Debug)]
pub(crate) struct Mailbox {
    mailboxes: Mailboxes,
    client: u128,
    messages: broadcast::Receiver<Said>,
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
    pub(crate) fn put(&self, client: &Session, message: Said) {
        if let Some(sender) = self.open().get(&client.id) {
            let _ = sender.send(message);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u128, broadcast::Sender<Said>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    /// The next message; what a slow reader has missed is passed over.
    pub(crate) async fn next(&mut self) -> Said {
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
        let said = |text: &'static str| Said { event: Bytes::from(text), about: About::Watched };
        mailboxes.put(&one, said("missed"));
        let (mut first, mut second) = (mailboxes.listen(&one), mailboxes.listen(&one));
        mailboxes.put(&other, said("not for it"));
        mailboxes.put(&one, said("heard"));
        assert_eq!((first.next().await.event, second.next().await.event), ("heard".into(), "heard".into()));
        drop(first);
        assert!(mailboxes.is_open(&one) && !mailboxes.is_open(&other));
        drop(second);
        assert!(!mailboxes.is_open(&one));
    }
}
