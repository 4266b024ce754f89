//! A backend that answers with the bytes it is told to, and remembers the bytes it got.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A server on a port of its own.
#[derive(Debug)]
pub struct RawBackend {
    address: SocketAddr,
    recorded: Arc<Mutex<Vec<Recorded>>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// POST, GET or DELETE.
    pub method: Method,
    /// Path and query.
    pub target: Uri,
    /// All of them.
    pub headers: HeaderMap,
    /// Byte for byte.
    pub body: Bytes,
}

/// What to answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A body that says it is JSON.
    Json(String),
    /// Events, each with this data.
    Events(Vec<String>),
    /// A status with a body.
    Status(StatusCode, String),
    /// A body with further headers.
    WithHeaders(Vec<(&'static str, String)>, String),
    /// The same after a while.
    After(Duration, Box<Reply>),
    /// Nothing, ever.
    Silence,
}

type Script = dyn Fn(&Recorded) -> Reply + Send + Sync;

#[derive(Clone)]
struct Shared {
    script: Arc<Script>,
    recorded: Arc<Mutex<Vec<Recorded>>>,
}

impl RawBackend {
    /// Listens and answers as `script` says.
    ///
    /// # Panics
    /// No port is to be had.
    pub async fn start(script: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(0, script).await
    }

    /// The same at a port that is known.
    ///
    /// # Panics
    /// Somebody else has it.
    pub async fn start_at(port: u16, script: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let recorded = Arc::<Mutex<Vec<Recorded>>>::default();
        let shared = Shared { script: Arc::new(script), recorded: recorded.clone() };
        let router = axum::Router::new().fallback(serve).with_state(shared);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve_until(listener, router, stopped));
        Self { address, recorded, stop, task }
    }

    /// Refuses connections from now on, and ends those that stand.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        self.task.abort();
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Everything that came, in order.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests of one MCP method that came, in order.
    pub fn calls(&self, method: &str) -> Vec<Recorded> {
        self.recorded()
            .into_iter()
            .filter(|recorded| recorded.mcp_method().as_deref() == Some(method))
            .collect()
    }
}

impl Drop for RawBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Recorded {
    /// The body as it was written.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// The body as JSON, `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `method` of the body.
    pub fn mcp_method(&self) -> Option<String> {
        self.json().get("method").and_then(Value::as_str).map(ToOwned::to_owned)
    }

    /// `id` of the body, as it is written in an answer.
    pub fn id(&self) -> String {
        self.json().get("id").map(ToString::to_string).unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A response to this request.
    pub fn result(&self, result: &str) -> Reply {
        Reply::Json(format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}", self.id()))
    }

    /// An error to this request.
    pub fn error(&self, code: i32) -> Reply {
        let id = self.id();
        Reply::Json(format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":\"no\"}}}}"
        ))
    }
}

/// What an MCP server answers to everything but calls: in the era that it speaks, with these tools (JSON, comma separated).
/// `None` for what a test wants to answer itself.
pub fn mcp_reply(recorded: &Recorded, is_modern: bool, tools: &str) -> Option<Reply> {
    let tail = if is_modern { r#","resultType":"complete","ttlMs":0,"cacheScope":"private""# } else { "" };
    Some(match (recorded.mcp_method()?.as_str(), is_modern) {
        ("server/discover", true) => recorded.result(&format!(
            r#"{{"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}},"resources":{{}},"prompts":{{}}}}{tail}}}"#
        )),
        ("server/discover", false) | ("initialize", true) => recorded.error(-32601),
        ("initialize", false) => recorded.result(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{},"prompts":{}},"serverInfo":{"name":"raw","version":"1"}}"#,
        ),
        ("notifications/initialized", _) => Reply::Status(StatusCode::ACCEPTED, String::new()),
        ("tools/list", _) => recorded.result(&format!("{{\"tools\":[{tools}]{tail}}}")),
        ("resources/list", _) => recorded.result(&format!(
            r#"{{"resources":[{{"uri":"raw://one","name":"one","size":12345678901234567890}}]{tail}}}"#
        )),
        ("resources/templates/list", _) => {
            recorded.result(&format!(r#"{{"resourceTemplates":[{{"uriTemplate":"raw://t/{{x}}","name":"t"}}]{tail}}}"#))
        }
        ("prompts/list", _) => recorded.result(&format!(r#"{{"prompts":[{{"name":"ask","x-more":1.10}}]{tail}}}"#)),
        _ => return None,
    })
}

/// Each connection in a task that ends with the others.
async fn serve_until(listener: TcpListener, router: axum::Router, stopped: watch::Receiver<bool>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (service, mut stopped) = (TowerToHyperService::new(router.clone()), stopped.clone());
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let serving = builder.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                // A client that goes away is no fault of ours.
                _ = serving => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
    }
}

async fn serve(State(shared): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let recorded = Recorded { method: head.method, target: head.uri, headers: head.headers, body };
    shared.recorded.lock().unwrap_or_else(PoisonError::into_inner).push(recorded.clone());
    let json = HeaderValue::from_static("application/json");
    let mut reply = (shared.script)(&recorded);
    while let Reply::After(time, then) = reply {
        tokio::time::sleep(time).await;
        reply = *then;
    }
    match reply {
        Reply::Silence | Reply::After(..) => std::future::pending().await,
        Reply::Json(body) => respond(StatusCode::OK, json, body.into()),
        Reply::Status(status, body) => respond(status, json, body.into()),
        Reply::Events(events) => {
            let events = events.into_iter().map(|data| Ok::<_, Infallible>(format!("data: {data}\n\n")));
            let body = Body::from_stream(stream::iter(events));
            respond(StatusCode::OK, HeaderValue::from_static("text/event-stream"), body)
        }
        Reply::WithHeaders(headers, body) => {
            let mut response = respond(StatusCode::OK, json, body.into());
            for (name, value) in headers {
                let value = HeaderValue::from_str(&value).expect("a header value");
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
            response
        }
    }
}

fn respond(status: StatusCode, content_type: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
