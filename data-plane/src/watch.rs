//! Resources that a modern client wants to hear of: their backends are listened to for as long as the client listens.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::Instant;
use vmcp_core::limits;
use vmcp_mcp::{self as mcp, EventStream, Message, OURSELVES, method, notification, sse};

use crate::backend::{self, Backend};
use crate::plane::Plane;

/// What is watched at one backend.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) backend: Arc<Backend>,
    pub(crate) uris: Vec<String>,
    /// What the backend is shown.
    pub(crate) headers: HeaderMap,
}

/// Begins to watch. What changes comes as events whose messages carry `meta` (a JSON member), until nobody reads them. `None`: nothing
/// is watched.
pub(crate) fn begin(plane: &Arc<Plane>, watches: Vec<Watch>, meta: &str) -> Option<mpsc::Receiver<Bytes>> {
    if watches.is_empty() {
        return None;
    }
    let (tell, updates) = mpsc::channel(limits::MAILBOX_MESSAGES);
    for watch in watches {
        let watching = Watching { plane: plane.clone(), watch, meta: meta.to_owned(), tell: tell.clone() };
        tokio::spawn(watching.run());
    }
    Some(updates)
}

struct Watching {
    plane: Arc<Plane>,
    watch: Watch,
    meta: String,
    tell: mpsc::Sender<Bytes>,
}

impl Watching {
    async fn run(self) {
        let mut pause = limits::RETRY_FIRST;
        while !self.tell.is_closed() {
            let began = Instant::now();
            match self.open().await {
                Ok(Some(events)) => self.take(events).await,
                Ok(None) => return,
                Err(NotNow) => {}
            }
            // A stream that is cut now and then is opened again soon; one that never stands, later and later.
            if began.elapsed() > limits::STEADY_TIME {
                pause = limits::RETRY_FIRST;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.tell.closed() => return,
            }
            pause = (pause * 2).min(limits::RETRY_LONGEST);
        }
    }

    /// Counts as a call until the stream stands. `None`: the backend does not say.
    async fn open(&self) -> Result<Option<EventStream>, NotNow> {
        let admitted = backend::admit(&self.watch.backend).await.map_err(|_| NotNow)?;
        let (peer, exchange) = (admitted.peer(), &self.plane.exchange);
        let watching = mcp::watch(exchange, &peer, &OURSELVES, &self.watch.uris, &self.watch.headers);
        match tokio::time::timeout(admitted.patience(), watching).await {
            Ok(Ok(events)) => {
                admitted.succeeded();
                Ok(events)
            }
            Ok(Err(_)) | Err(_) => Err(NotNow),
        }
    }

    /// Until the stream ends, or nobody wants to hear it.
    async fn take(&self, mut events: EventStream) {
        loop {
            let next = tokio::select! {
                next = events.next() => next,
                () = self.tell.closed() => return,
            };
            let Ok(Some(event)) = next else { return };
            let Some(message) = self.read(&event.data) else { continue };
            if self.tell.send(message).await.is_err() {
                return;
            }
        }
    }

    /// That one of them has changed, as the client is to hear it.
    fn read(&self, data: &[u8]) -> Option<Bytes> {
        let limits = self.plane.exchange.answer_limits();
        let Ok(Message::Notification(told)) = Message::parse(data, &limits) else { return None };
        let uri = told.params.as_ref().filter(|_| told.method == method::RESOURCE_UPDATED)?.get("uri")?;
        let is_watched =
            uri.as_str().is_some_and(|uri| self.watch.uris.iter().any(|watched| *watched == uri));
        is_watched.then(|| {
            let params = format!("{{\"uri\":{},{}}}", uri.raw(), self.meta);
            sse::encode(notification(method::RESOURCE_UPDATED, Some(&params)).as_bytes())
        })
    }
}

/// The backend cannot be listened to at the moment.
struct NotNow;
