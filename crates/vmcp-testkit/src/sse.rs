//! A backend that speaks HTTP with SSE, the transport of MCP 2024-11-05.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::backend::{Recorded, Reply};

/// A server on a port of its own.
#[derive(Debug)]
pub struct SseBackend {
    address: SocketAddr,
    recorded: Arc<Mutex<Vec<Recorded>>>,
    sessions: Arc<Mutex<HashMap<String, mpsc::Sender<String>>>>,
    task: JoinHandle<()>,
}

type Script = dyn Fn(&Recorded) -> Reply + Send + Sync;

#[derive(Clone)]
struct Shared {
    script: Arc<Script>,
    recorded: Arc<Mutex<Vec<Recorded>>>,
    sessions: Arc<Mutex<HashMap<String, mpsc::Sender<String>>>>,
    last: Arc<AtomicU64>,
}

impl SseBackend {
    /// Listens and answers as `script` says; what it answers goes out on the stream of the session.
    ///
    /// # Panics
    /// No port is to be had.
    pub async fn start(script: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (recorded, sessions) = (Arc::default(), Arc::default());
        let shared = Shared {
            script: Arc::new(script),
            recorded: Arc::clone(&recorded),
            sessions: Arc::clone(&sessions),
            last: Arc::default(),
        };
        let router =
            axum::Router::new().route("/sse", get(listen)).route("/messages", post(take)).with_state(shared);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Self { address, recorded, sessions, task }
    }

    /// Where its stream of events is.
    pub fn url(&self) -> String {
        format!("http://{}/sse", self.address)
    }

    /// Everything that was posted, in order.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The streams that are open.
    pub fn sessions(&self) -> usize {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| !session.is_closed());
        sessions.len()
    }

    /// Says something on every stream.
    pub fn say(&self, message: &str) {
        for session in self.sessions.lock().unwrap_or_else(PoisonError::into_inner).values() {
            // One that is not read any more hears nothing.
            let _ = session.try_send(message.to_owned());
        }
    }

    /// Ends every stream.
    pub fn hang_up(&self) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for SseBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(State(shared): State<Shared>) -> Response {
    let id = shared.last.fetch_add(1, Ordering::SeqCst).to_string();
    let (tell, messages) = mpsc::channel(256);
    let first = format!("event: endpoint\ndata: /messages?session={id}\n\n");
    shared.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(id, tell);
    let rest = stream::unfold(messages, |mut messages| async {
        let message: String = messages.recv().await?;
        Some((format!("event: message\ndata: {message}\n\n"), messages))
    });
    let body = stream::iter([first]).chain(rest).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
    response
}

async fn take(
    State(shared): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let recorded = Recorded { method: head.method, target: head.uri, headers: head.headers, body };
    let session = query.get("session").cloned().unwrap_or_default();
    let session = shared.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&session).cloned();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    let Some(session) = session else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    shared.recorded.lock().unwrap_or_else(PoisonError::into_inner).push(recorded.clone());
    let mut reply = (shared.script)(&recorded);
    if let Reply::Status(status, body) = &reply {
        *response.status_mut() = *status;
        *response.body_mut() = Body::from(body.clone());
    }
    // The post is answered first.
    tokio::spawn(async move {
        while let Reply::After(time, then) = reply {
            tokio::time::sleep(time).await;
            reply = *then;
        }
        let messages = match reply {
            Reply::Json(body) => vec![body],
            Reply::Events(messages) => messages,
            Reply::Status(..) | Reply::WithHeaders(..) | Reply::After(..) | Reply::Silence => Vec::new(),
        };
        for message in messages {
            // Whoever has gone hears nothing.
            let _ = session.send(message).await;
        }
    });
    response
}
