//! Children as MCP servers over HTTP: one listener on loopback, one unguessable path per workload.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::rand;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::sync::watch;
use vmcp_core::desired::Command;
use vmcp_core::limits;
use vmcp_core::sentence::shown;
use vmcp_mcp::{Message, ProtocolVersion, Request, body, code, error, header, method, result, sse};
use vmcp_runtime::{Drain, listen};

use crate::connection::{Asked, CannotAsk};
use crate::environment::Environment;
use crate::handshake::Spoken;
use crate::pending::ToCaller;
use crate::stderr::Tail;
use crate::supervise::{self, ChildState, ChildStatus, Tell, Up};

/// Hosts workloads until the process stops.
#[derive(Debug)]
pub struct StdioHost {
    address: SocketAddr,
    children: Arc<Children>,
    environment: Environment,
    drain: Drain,
}

/// A hosted workload.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Where it is called. Whoever knows this can call it.
    pub url: Uri,
    status: watch::Receiver<ChildStatus>,
    stderr: Tail,
    up: watch::Receiver<Option<Up>>,
}

/// The children that answer, by the secret in their path.
type Children = ArcSwap<HashMap<String, watch::Receiver<Option<Up>>>>;

impl StdioHost {
    /// Listens on loopback, with no workload yet.
    ///
    /// # Errors
    /// No port is to be had.
    pub async fn start(environment: Environment, drain: Drain) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let children = Arc::<Children>::default();
        let router =
            Router::new().route("/{secret}/mcp", post(serve).get(serve)).with_state(children.clone());
        drain.spawn(listen(listener, router, drain.clone()));
        Ok(Self { address, children, environment, drain })
    }

    /// Starts a workload and keeps it running.
    ///
    /// # Errors
    /// There is no randomness to make its path from.
    pub fn host(&self, command: Command) -> std::io::Result<Workload> {
        let mut secret = [0; 24];
        rand::fill(&mut secret).map_err(|_| std::io::Error::other("no randomness is available"))?;
        let secret = BASE64_URL_SAFE_NO_PAD.encode(secret);
        let url = format!("http://{}/{secret}/mcp", self.address);
        let url = url.parse().map_err(std::io::Error::other)?;
        let (tell_up, up) = watch::channel(None);
        let (tell_status, status) = watch::channel(ChildStatus::new());
        self.children.rcu(|children| {
            let mut children = HashMap::clone(children);
            children.insert(secret.clone(), up.clone());
            children
        });
        let stderr = Tail::new(limits::CHILD_STDERR_BYTES);
        let tell = Tell { up: tell_up, status: tell_status, stderr: stderr.clone() };
        self.drain.spawn(supervise::run(command, self.environment.clone(), tell, self.drain.clone()));
        Ok(Workload { url, status, stderr, up })
    }
}

impl Workload {
    /// How its child is.
    pub fn status(&self) -> ChildStatus {
        ChildStatus { stderr: self.stderr.text(), ..self.status.borrow().clone() }
    }

    /// Waits until its child answers for the first time.
    ///
    /// # Errors
    /// Its first life has ended before: how, and what it wrote last.
    pub async fn first_answer(&mut self) -> Result<(), String> {
        let is_decided =
            |status: &ChildStatus| status.state == ChildState::Running || status.last_exit.is_some();
        match self.status.wait_for(is_decided).await.map(|status| status.last_exit.clone()) {
            Ok(None) => Ok(()),
            Ok(Some(exit)) => {
                let stderr = self.stderr.text();
                let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
                Err(last.map_or_else(|| exit.clone(), |line| format!("{exit}: {}", shown(line))))
            }
            // The supervisor is gone only when the process stops.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until its child answers in a life after this one, counted from 1, and says in which. Lives in which it never
    /// answered are passed over.
    pub async fn next_life(&mut self, after: u64) -> u64 {
        let is_later = |up: &Option<Up>| up.as_ref().is_some_and(|up| up.life > after);
        match self.up.wait_for(is_later).await.map(|up| up.as_ref().map(|up| up.life)) {
            Ok(Some(life)) => life,
            // The supervisor is gone only when the process stops.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

async fn serve(
    State(children): State<Arc<Children>>,
    Path(secret): Path<String>,
    request: axum::extract::Request,
) -> Response {
    let Some(child) = children.load().get(&secret).cloned() else { return empty(StatusCode::NOT_FOUND) };
    let Some(up) = child.borrow().clone() else { return empty(StatusCode::SERVICE_UNAVAILABLE) };
    if request.method() == Method::GET {
        return hear(&up);
    }
    // The body does not say it: what a modern client has written there travels on to legacy servers.
    let modern = ProtocolVersion::LATEST_MODERN.as_str();
    let is_modern = request.headers().get(header::PROTOCOL_VERSION).is_some_and(|version| version == modern);
    let Ok(body) = body::collect(&mut request.into_body(), limits::REQUEST_BYTES).await else {
        return empty(StatusCode::PAYLOAD_TOO_LARGE);
    };
    match Message::parse(&body, &limits::REQUEST) {
        Ok(Message::Request(request)) => answer(&up, &request, &body, is_modern).await,
        // What one caller tells is not for a child that others use too, and a child asks nothing through us.
        Ok(Message::Notification(_) | Message::Response(_)) => empty(StatusCode::ACCEPTED),
        Err(rejected) => {
            let message = error(None, code::INVALID_REQUEST, &rejected.why.to_string(), None);
            json(StatusCode::BAD_REQUEST, message.into())
        }
    }
}

async fn answer(up: &Up, request: &Request<'_>, body: &Bytes, is_modern: bool) -> Response {
    match (&up.spoken, is_modern) {
        (Spoken::Modern, true) => {}
        (Spoken::Legacy { initialized }, false) if request.method == method::INITIALIZE => {
            return json(StatusCode::OK, result(request.id.raw(), initialized).into());
        }
        (Spoken::Legacy { .. }, false) => {}
        (Spoken::Modern, false) => {
            let data = format!("{{\"supported\":[\"{}\"]}}", ProtocolVersion::LATEST_MODERN);
            let code = code::UNSUPPORTED_PROTOCOL_VERSION;
            let message = error(Some(request.id.raw()), code, "Unsupported protocol version", Some(&data));
            return json(StatusCode::BAD_REQUEST, message.into());
        }
        (Spoken::Legacy { .. }, true) => {
            let message =
                error(Some(request.id.raw()), code::METHOD_NOT_FOUND, "This server is legacy", None);
            return json(StatusCode::BAD_REQUEST, message.into());
        }
    }
    match up.connection.ask(request, body, up.spoken.era()).await {
        Ok(asked) => pass_on(asked).await,
        Err(CannotAsk::Full) => empty(StatusCode::TOO_MANY_REQUESTS),
        Err(CannotAsk::Gone) => empty(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// The stream of what a legacy child says by itself (MCP 2025-11-25, Streamable HTTP, Listening for Messages from the Server).
fn hear(up: &Up) -> Response {
    match (&up.spoken, up.connection.listen()) {
        (Spoken::Modern, _) => empty(StatusCode::METHOD_NOT_ALLOWED),
        (Spoken::Legacy { .. }, Ok(asked)) => events(sse::KEEP_ALIVE, asked),
        (Spoken::Legacy { .. }, Err(_)) => empty(StatusCode::TOO_MANY_REQUESTS),
    }
}

/// One body if the response comes first, else a stream.
async fn pass_on(mut asked: Asked) -> Response {
    match asked.next().await {
        None => empty(StatusCode::BAD_GATEWAY),
        Some(ToCaller::Response(body)) => json(StatusCode::OK, body),
        Some(ToCaller::Notification(first)) => events(sse::encode(&first), asked),
    }
}

/// A stream that begins so, and ends with the response.
fn events(first: Bytes, asked: Asked) -> Response {
    let rest = stream::unfold(Some(asked), |asked| async {
        let mut asked = asked?;
        Some(match asked.next().await {
            Some(ToCaller::Notification(message)) => (Ok(sse::encode(&message)), Some(asked)),
            Some(ToCaller::Response(message)) => (Ok(sse::encode(&message)), None),
            // A stream that breaks off says that the child has gone; one that ends would say something else.
            None => (Err(std::io::Error::other("the child has gone")), None),
        })
    });
    let events = stream::iter([Ok::<Bytes, std::io::Error>(first)]).chain(rest);
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
