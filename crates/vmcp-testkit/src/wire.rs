//! A backend below HTTP: what goes over the wire, when, and how the connection ends.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::backend::{Recorded, Reply};

/// What is done after a request has been read.
#[derive(Debug, Clone)]
pub enum Step {
    /// These bytes are written.
    Write(Vec<u8>),
    /// Time passes.
    Pause(Duration),
    /// These bytes are written again and again, this long apart, until the other end has had enough.
    Repeat(Vec<u8>, Duration),
    /// These bytes are written whenever the number has grown, until the other end has had enough.
    WriteEach(Arc<AtomicUsize>, Vec<u8>),
    /// Nothing more comes, and the connection stays.
    Hang,
    /// The connection ends, with what was not read thrown away.
    Reset,
}

/// A server on a port of its own.
#[derive(Debug)]
pub struct WireBackend {
    address: SocketAddr,
    recorded: Arc<Mutex<Vec<Recorded>>>,
    task: JoinHandle<()>,
}

type Script = dyn Fn(&Recorded) -> Vec<Step> + Send + Sync;

impl WireBackend {
    /// Listens and does as `script` says.
    ///
    /// # Panics
    /// No port is to be had.
    pub async fn start(script: impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let recorded = Arc::<Mutex<Vec<Recorded>>>::default();
        let (script, all) = (Arc::<Script>::from(Box::new(script) as Box<Script>), recorded.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), all.clone()));
            }
        });
        Self { address, recorded, task }
    }

    /// Its MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Everything that came, in order.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for WireBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A whole answer with this type and body.
pub fn whole(status: &str, headers: &str, body: &[u8]) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    vec![Step::Write([head.as_bytes(), body].concat())]
}

/// The answer of a backend that does as it should.
///
/// # Panics
/// It is neither a body nor a status.
pub fn well(reply: Reply) -> Vec<Step> {
    match reply {
        Reply::Json(body) => whole("200 OK", "content-type: application/json\r\n", body.as_bytes()),
        Reply::Status(status, body) => whole(&status.to_string(), "", body.as_bytes()),
        other => panic!("not one body: {other:?}"),
    }
}

/// The head of a stream of events.
pub fn events() -> Step {
    Step::Write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec())
}

/// One event.
pub fn event(data: &str) -> Step {
    Step::Write(format!("data: {data}\n\n").into_bytes())
}

async fn serve(mut stream: TcpStream, script: Arc<Script>, all: Arc<Mutex<Vec<Recorded>>>) {
    let mut buffer = Vec::new();
    while let Some(recorded) = read(&mut stream, &mut buffer).await {
        all.lock().unwrap_or_else(PoisonError::into_inner).push(recorded.clone());
        let steps = (script)(&recorded);
        // What does not say how long it is ends with the connection.
        let ends = steps.iter().any(|step| !matches!(step, Step::Write(bytes) if has_length(bytes)));
        for step in steps {
            if play(&mut stream, step).await.is_none() {
                return;
            }
        }
        if ends {
            return;
        }
    }
}

fn has_length(bytes: &[u8]) -> bool {
    bytes.windows(15).any(|window| window.eq_ignore_ascii_case(b"content-length:"))
}

/// `None`: the connection is over.
async fn play(stream: &mut TcpStream, step: Step) -> Option<()> {
    match step {
        Step::Write(bytes) => stream.write_all(&bytes).await.ok(),
        Step::Pause(time) => {
            tokio::time::sleep(time).await;
            Some(())
        }
        Step::Repeat(bytes, apart) => loop {
            stream.write_all(&bytes).await.ok()?;
            if !apart.is_zero() {
                tokio::time::sleep(apart).await;
            }
        },
        Step::WriteEach(count, bytes) => {
            let mut written = count.load(Ordering::SeqCst);
            loop {
                let now = count.load(Ordering::SeqCst);
                for _ in written..now {
                    stream.write_all(&bytes).await.ok()?;
                }
                written = now;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Step::Hang => {
            // Until the other end closes.
            let mut rest = [0; 1024];
            while stream.read(&mut rest).await.ok()? > 0 {}
            None
        }
        Step::Reset => {
            stream.set_zero_linger().ok()?;
            None
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Recorded> {
    let mut chunk = vec![0; 16 * 1024];
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break buffer.drain(..end + 4).collect::<Vec<u8>>();
        }
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        buffer.extend_from_slice(&chunk[..count]);
    };
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut first = head.split(' ');
    let method: Method = first.next()?.parse().ok()?;
    let target: Uri = first.next()?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let name: HeaderName = name.parse().ok()?;
        headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    let length =
        headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        buffer.extend_from_slice(&chunk[..count]);
    }
    let body = Bytes::from(buffer.drain(..length).collect::<Vec<u8>>());
    Some(Recorded { method, target, headers, body })
}
