//! Load: a closed loop that asks again when it is answered, and an open loop at a fixed rate whose latencies count from
//! when a request should have gone out, so that a slow answer delays no measurement (no coordinated omission).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

/// Requests to one address; connections take them in turn.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) requests: Arc<Vec<Prepared>>,
}

/// A request ready to go.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What it must be answered with.
    pub(crate) expects: StatusCode,
}

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    /// In nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Measured {
    /// Takes in what came of another load of the same kind.
    pub(crate) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.requests += other.requests;
        self.elapsed += other.elapsed;
        Ok(self.latency.add(&other.latency)?)
    }
}

/// As many requests as `connections` that wait for their answers can make.
pub(crate) async fn closed_loop(load: &Load, connections: usize, time: Duration) -> anyhow::Result<Measured> {
    let turn = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (load, turn) = (load.clone(), turn.clone());
            tokio::spawn(async move {
                let mut connection = connect(&load).await?;
                let mut latency = histogram()?;
                while started.elapsed() < time {
                    let asked = Instant::now();
                    ask(&mut connection, &load, turn.fetch_add(1, Ordering::Relaxed)).await?;
                    latency.record(nanoseconds(asked.elapsed()))?;
                }
                anyhow::Ok(latency)
            })
        })
        .collect();
    gather(tasks, started).await
}

/// `rate` requests a second over `connections`, whatever the answers do.
pub(crate) async fn open_loop(
    load: &Load,
    connections: usize,
    rate: u64,
    time: Duration,
) -> anyhow::Result<Measured> {
    let total = rate * u64::try_from(time.as_millis())? / 1_000;
    let (dispatch, queue) = mpsc::channel::<Instant>(usize::try_from(total)?);
    let queue = Arc::new(Mutex::new(queue));
    let turn = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    // A thread of its own: the runtime's timer knows milliseconds only.
    let pacer = std::thread::spawn(move || {
        for n in 0..total {
            let due = started + Duration::from_nanos(n * 1_000_000_000 / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if dispatch.blocking_send(due).is_err() {
                return;
            }
        }
    });
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (load, turn, queue) = (load.clone(), turn.clone(), queue.clone());
            tokio::spawn(async move {
                let mut connection = connect(&load).await?;
                let mut latency = histogram()?;
                loop {
                    let Some(due) = queue.lock().await.recv().await else { return anyhow::Ok(latency) };
                    ask(&mut connection, &load, turn.fetch_add(1, Ordering::Relaxed)).await?;
                    latency.record(nanoseconds(due.elapsed()))?;
                }
            })
        })
        .collect();
    let measured = gather(tasks, started).await;
    pacer.join().map_err(|_| anyhow::anyhow!("the pacing thread panicked"))?;
    measured
}

/// One request on a connection of its own.
pub(crate) async fn once(load: &Load) -> anyhow::Result<()> {
    let mut connection = connect(load).await?;
    ask(&mut connection, load, 0).await.map(drop)
}

/// How long each page of a list takes, from the first to the last, on one connection.
pub(crate) async fn pages(load: &Load) -> anyhow::Result<Vec<Duration>> {
    let mut connection = connect(load).await?;
    let (mut page, mut times) = (load.clone(), Vec::new());
    loop {
        let began = Instant::now();
        let body = ask(&mut connection, &page, 0).await?;
        times.push(began.elapsed());
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        let Some(cursor) = answer["result"]["nextCursor"].as_str() else { return Ok(times) };
        let mut first = load.requests[0].clone();
        let text = String::from_utf8_lossy(&first.body);
        first.body = text.replace("\"params\":{", &format!("\"params\":{{\"cursor\":\"{cursor}\",")).into();
        page.requests = Arc::new(vec![first]);
    }
}

async fn gather(
    tasks: Vec<tokio::task::JoinHandle<anyhow::Result<Histogram<u64>>>>,
    started: Instant,
) -> anyhow::Result<Measured> {
    let mut latency = histogram()?;
    for task in tasks {
        latency.add(task.await??)?;
    }
    Ok(Measured { requests: latency.len(), elapsed: started.elapsed(), latency })
}

async fn connect(load: &Load) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(load.address).await.context("could not connect")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask(connection: &mut SendRequest<Full<Bytes>>, load: &Load, turn: usize) -> anyhow::Result<Bytes> {
    let prepared = &load.requests[turn % load.requests.len()];
    let mut request = Request::post(load.path.as_str()).body(Full::new(prepared.body.clone()))?;
    *request.headers_mut() = prepared.headers.clone();
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    ensure!(response.status() == prepared.expects, "answered with {}", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    let is_expected = prepared.expects != StatusCode::OK || has_result(&body);
    ensure!(is_expected, "answered with {}", String::from_utf8_lossy(&body));
    Ok(body)
}

/// A measurement of errors would be worth nothing.
fn has_result(body: &[u8]) -> bool {
    body.windows(9).take(200).any(|window| window == b"\"result\":")
}

pub(crate) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).clamp(1_000, 60_000_000_000)
}
