//! One request to a backend and its answer, over pooled connections. The only thing that opens them.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use vmcp_json::Limits;

use crate::body::collect;
use crate::connect::{Connector, Connects, Origins};
use crate::failure::Failure;
use crate::header::{self, SessionId};
use crate::message::{Message, Response};
use crate::retry_after;
use crate::stream::EventStream;

/// What an answer may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Time until a connection stands, TLS included.
    pub connect: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Largest answer in one piece, in bytes.
    pub answer_bytes: usize,
    /// Largest event of a stream, in bytes.
    pub event_bytes: usize,
    /// Deepest nesting of an answer.
    pub depth: usize,
}

impl Default for Bounds {
    /// What backends of every kind live with.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            // Shorter than the 5 s after which common servers close it.
            idle: Duration::from_secs(4),
            // An image or a document, base64; it may come either way.
            answer_bytes: 64 * 1024 * 1024,
            event_bytes: 64 * 1024 * 1024,
            // Schemas and arguments that people write stay under 30.
            depth: 64,
        }
    }
}

/// A request to a backend.
#[derive(Debug, Clone)]
pub struct Call {
    /// The backend's MCP endpoint.
    pub url: Uri,
    /// Headers besides `Content-Type` and `Accept`.
    pub headers: HeaderMap,
    /// One JSON-RPC message.
    pub body: Bytes,
}

/// What came back.
#[derive(Debug)]
pub struct Answered {
    /// The session that a legacy backend has begun with this answer.
    pub session: Option<SessionId>,
    /// The answer itself.
    pub answer: Answer,
}

/// What came back, by its shape.
#[derive(Debug)]
pub enum Answer {
    /// One body that says it is JSON. Unread.
    Message(Bytes),
    /// A stream of events.
    Stream(EventStream),
    /// Taken, with nothing to say: the answer to notifications.
    Accepted,
    /// Another status. The body may be a JSON-RPC error.
    Refused {
        /// Not 2xx.
        status: StatusCode,
        /// At most 64 KiB of it.
        body: Bytes,
        /// When the backend says to come back.
        retry_after: Option<Duration>,
    },
}

/// An answer that has begun: its head is there.
#[derive(Debug)]
pub struct Begun {
    response: http::Response<Incoming>,
    bounds: Bounds,
}

/// Connections to backends, pooled by origin. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exchange {
    client: Client<Connector, Full<Bytes>>,
    connects: Connects,
    bounds: Bounds,
    unasked: Unasked,
}

/// Who counts the answers to what nobody has asked.
#[derive(Clone)]
struct Unasked(Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for Unasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unasked")
    }
}

const REFUSAL_BYTES: usize = 64 * 1024;
static JSON: HeaderValue = HeaderValue::from_static("application/json");
static BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

impl Exchange {
    /// A pool with no connections yet. TLS trusts what the operating system trusts; where that is nobody, what Mozilla does.
    pub fn new(bounds: Bounds) -> Self {
        let connects = Connects::new(bounds.connect);
        Self { client: pool(&connects, &bounds), connects, bounds, unasked: Unasked(Arc::new(|| {})) }
    }

    /// The same; whatever is an answer to nothing is dropped, and counted so.
    pub fn counting_unasked(self, count: impl Fn() + Send + Sync + 'static) -> Self {
        Self { unasked: Unasked(Arc::new(count)), ..self }
    }

    pub(crate) fn count_unasked(&self) {
        (self.unasked.0)();
    }

    /// Replaces what is special about the servers at some hosts and ports, for all clones. Connections that stand stay.
    ///
    /// # Errors
    /// Certificates that are none; everything stays as it was.
    pub fn set_origins(&self, origins: Origins) -> io::Result<()> {
        self.connects.set(origins)
    }

    /// The same with a pool of its own, for a thread that is to share no connection with others.
    pub fn unconnected(&self) -> Self {
        Self { client: pool(&self.connects, &self.bounds), ..self.clone() }
    }

    /// How deep and how large an answer may be, for whoever reads one.
    pub fn answer_limits(&self) -> Limits {
        // What a backend cuts in the middle of a pair is passed on as it is.
        Limits::new(self.bounds.answer_bytes, self.bounds.depth).with_lone_surrogates()
    }

    /// Sends one message and returns what the backend answers. Redirects are not followed. Dropping the future
    /// closes the exchange.
    ///
    /// # Errors
    /// See [`Failure`]; a status that is not 2xx is an [`Answer::Refused`].
    pub async fn send(&self, call: Call) -> Result<Answered, Failure> {
        self.begin(call).await?.answer().await
    }

    /// Sends one message and waits until the answer begins.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] and [`Failure::Broken`].
    pub async fn begin(&self, call: Call) -> Result<Begun, Failure> {
        let response = self.open(Method::POST, call.url, call.headers, call.body).await?;
        Ok(Begun { response, bounds: self.bounds })
    }

    /// Sends one request and waits for its response, whether it comes alone or at the end of a stream; what else the
    /// stream carries is passed over. For requests that we author. `id` is JSON.
    ///
    /// # Errors
    /// See [`Failure`]. A JSON-RPC error is a response.
    pub async fn ask(&self, call: Call, id: &str) -> Result<(Bytes, Option<SessionId>), Failure> {
        let answered = self.send(call).await?;
        self.response(answered, id).await
    }

    /// The response to a request that we author, out of what came back.
    pub(crate) async fn response(
        &self,
        answered: Answered,
        id: &str,
    ) -> Result<(Bytes, Option<SessionId>), Failure> {
        let limits = self.answer_limits();
        let Answered { session, answer } = answered;
        let is_ours =
            |body: &[u8]| read_response(body, &limits).is_some_and(|response| response_is(&response, id));
        let body = match answer {
            Answer::Message(body) => body,
            Answer::Refused { body, .. } if is_ours(&body) => body,
            Answer::Refused { status, .. } => return Err(Failure::Status(status)),
            Answer::Accepted => return Err(Failure::Protocol("a request was answered with nothing".into())),
            Answer::Stream(mut stream) => loop {
                match stream.next().await? {
                    Some(event) if is_ours(&event.data) => break event.data,
                    Some(_) => {}
                    None => return Err(Failure::Protocol("the stream ended without a response".into())),
                }
            },
        };
        if is_ours(&body) {
            Ok((body, session))
        } else {
            Err(Failure::Protocol("not a response to the request".into()))
        }
    }

    /// Opens a stream of events that a server begins by itself.
    pub(crate) async fn listen(&self, url: Uri, headers: HeaderMap) -> Result<Answer, Failure> {
        let response = self.open(Method::GET, url, headers, Bytes::new()).await?;
        Ok(Begun { response, bounds: self.bounds }.answer().await?.answer)
    }

    /// Ends a legacy session; whatever comes back is passed over.
    pub(crate) async fn delete(&self, url: Uri, headers: HeaderMap) {
        // A backend may not know how to end sessions (405), or may have forgotten this one (404).
        drop(self.open(Method::DELETE, url, headers, Bytes::new()).await);
    }

    async fn open(
        &self,
        method: Method,
        url: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = url;
        *request.headers_mut() = headers;
        request.headers_mut().insert(CONTENT_TYPE, JSON.clone());
        request.headers_mut().insert(ACCEPT, BOTH.clone());
        self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                Failure::Unreachable(error.into())
            } else {
                Failure::Broken(error.into())
            }
        })
    }
}

impl Begun {
    /// The answer: whole if it is one body, otherwise as it comes.
    ///
    /// # Errors
    /// See [`Failure`]; a status that is not 2xx is an [`Answer::Refused`].
    pub async fn answer(self) -> Result<Answered, Failure> {
        let Self { mut response, bounds } = self;
        let status = response.status();
        let session = response.headers().get(header::SESSION_ID).cloned().map(SessionId::new);
        let answer = if !status.is_success() {
            let retry_after = retry_after::read(response.headers());
            let body = collect(response.body_mut(), REFUSAL_BYTES).await.unwrap_or_default();
            Answer::Refused { status, body, retry_after }
        } else if is_encoded(response.headers()) {
            return Err(Failure::Protocol("answered in a content encoding that nobody asked for".into()));
        } else {
            match content_type(response.headers()) {
                ContentType::Json => {
                    Answer::Message(collect(response.body_mut(), bounds.answer_bytes).await?)
                }
                ContentType::Events => {
                    Answer::Stream(EventStream::new(response.into_body(), bounds.event_bytes))
                }
                ContentType::Other if status == StatusCode::ACCEPTED || status == StatusCode::NO_CONTENT => {
                    Answer::Accepted
                }
                ContentType::Other => {
                    return Err(Failure::Protocol("answered with neither JSON nor events".into()));
                }
            }
        };
        Ok(Answered { session, answer })
    }
}

/// Nothing is ever unpacked, so that little cannot become much.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn pool(connects: &Connects, bounds: &Bounds) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(bounds.idle)
        .build(connects.connector())
}

pub(crate) fn read_response<'a>(body: &'a [u8], limits: &Limits) -> Option<Response<'a>> {
    match Message::parse(body, limits) {
        Ok(Message::Response(response)) => Some(response),
        _ => None,
    }
}

/// An error without an id answers the only request of its exchange.
fn response_is(response: &Response<'_>, id: &str) -> bool {
    response.id.is_none_or(|answered| answered.is(id))
}

enum ContentType {
    Json,
    Events,
    Other,
}

fn content_type(headers: &HeaderMap) -> ContentType {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        ContentType::Json
    } else if essence.eq_ignore_ascii_case("text/event-stream") {
        ContentType::Events
    } else {
        ContentType::Other
    }
}
