//! Clients of MCP 2024-11-05: one stream for all that they hear, and posts that are answered on it. A stream lives here, and nowhere
//! else; its end is the end of its session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use aws_lc_rs::rand;
use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::{Semaphore, mpsc};
use vmcp_core::limits;
use vmcp_core::name::Name;

use crate::principal::{Principal, Scope};

/// Those that are open. Cheap to clone; looked at once per message of these clients alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams {
    open: Arc<Mutex<HashMap<String, Arc<OpenStream>>>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct OpenStream {
    /// Of which virtual server.
    server: Name,
    /// Whose it is.
    principal: Principal,
    /// The client's session with us, once it has begun.
    pub(crate) session: Arc<OnceLock<HeaderValue>>,
    /// Events for the client.
    pub(crate) events: mpsc::Sender<Bytes>,
    /// Messages of the client that may be under way.
    pub(crate) under_way: Arc<Semaphore>,
}

/// The client's end of one: what it hears. When it is dropped, the stream is no more.
#[derive(Debug)]
pub(crate) struct Hearing {
    streams: Streams,
    /// Unguessable: whoever has it can speak in the stream's session.
    pub(crate) id: String,
    pub(crate) session: Arc<OnceLock<HeaderValue>>,
    /// Ends when the stream is closed and nobody is about to speak.
    pub(crate) events: mpsc::Receiver<Bytes>,
}

impl Streams {
    /// Opens one. `None`: there is no randomness.
    pub(crate) fn open(&self, scope: Scope<'_>) -> Option<Hearing> {
        let mut random = [0; 16];
        rand::fill(&mut random).ok()?;
        let id = format!("{:032x}", u128::from_le_bytes(random));
        let (tell, events) = mpsc::channel(limits::MAILBOX_MESSAGES);
        let under_way = Arc::new(Semaphore::new(limits::STREAM_REQUESTS));
        let session = Arc::<OnceLock<_>>::default();
        let (server, principal) = (scope.server.clone(), scope.principal);
        let stream = OpenStream { server, principal, session: session.clone(), events: tell, under_way };
        self.all().insert(id.clone(), Arc::new(stream));
        Some(Hearing { streams: self.clone(), id, session, events })
    }

    /// The one with this id, at this virtual server, of this principal.
    pub(crate) fn find(&self, scope: Scope<'_>, id: &str) -> Option<Arc<OpenStream>> {
        let is_theirs =
            |stream: &&Arc<OpenStream>| stream.server == *scope.server && stream.principal == scope.principal;
        self.all().get(id).filter(is_theirs).cloned()
    }

    /// No more is said on it, once those have spoken who are about to.
    pub(crate) fn close(&self, id: &str) {
        self.all().remove(id);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<OpenStream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.streams.close(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_found_at_its_virtual_server_until_nobody_hears_it() {
        let streams = Streams::default();
        let names: [Name; 2] = ["one", "other"].map(|name| name.parse().unwrap());
        let [one, other] =
            [0, 1].map(|place: usize| Scope { server: &names[place], principal: Principal::ANONYMOUS });
        let hearing = streams.open(one).unwrap();
        let id = hearing.id.clone();
        assert!(streams.find(one, &id).is_some());
        assert!(streams.find(other, &id).is_none() && streams.find(one, "x").is_none());
        drop(hearing);
        assert!(streams.find(one, &id).is_none());
        let mut closed = streams.open(one).unwrap();
        streams.close(&closed.id);
        assert!(closed.events.try_recv().is_err_and(|end| end == mpsc::error::TryRecvError::Disconnected));
    }
}
