//! A collector of OpenTelemetry, which takes records as logs (OTLP 1.x, OTLP/HTTP with JSON).

use http::{StatusCode, Uri};
use tokio::runtime::Runtime;
use vmcp_core::limits;
use vmcp_json::{Limits, Object, quote};

use crate::audit::ledger::Written;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Taken, all but so many.
    Taken { lost: usize },
    /// It will never be taken as it is (OTLP, Failures: not retryable).
    Rejected,
}

/// Sends batches, one after the other.
#[derive(Debug)]
pub(super) struct Collector {
    url: String,
    /// What it is sent with; made with the first batch.
    client: Option<(Runtime, reqwest::Client)>,
}

impl Collector {
    pub(super) fn new(url: &Uri) -> Self {
        Self { url: url.to_string(), client: None }
    }

    pub(super) fn send(&mut self, records: &[Written]) -> Result<Sent, String> {
        let (runtime, client) = match self.client.take() {
            Some(known) => known,
            None => connectable()?,
        };
        let sending = client.post(&self.url).header("content-type", "application/json").body(batch(records));
        let sent = runtime.block_on(answered(sending));
        self.client = Some((runtime, client));
        match sent? {
            (StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE, _) => Ok(Sent::Rejected),
            (status, body) if status.is_success() => {
                Ok(Sent::Taken { lost: rejected(&body).min(records.len()) })
            }
            (status, _) => Err(format!("the collector answers {status}")),
        }
    }
}

/// The status, and as much of the body as says what was rejected.
async fn answered(sending: reqwest::RequestBuilder) -> Result<(StatusCode, Vec<u8>), String> {
    let failed = |error: reqwest::Error| error.to_string();
    let mut response = sending.send().await.map_err(failed)?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&piece);
        if body.len() > limits::AUDIT_ANSWER_BYTES {
            break;
        }
    }
    Ok((response.status(), body))
}

/// How many records of a batch that was taken were not (OTLP, Partial Success).
fn rejected(body: &[u8]) -> usize {
    let read = || {
        let limits = Limits::new(body.len(), limits::DEPTH);
        let partial = Object::parse(body, &limits).ok()?.get("partialSuccess")?.as_object()?;
        // A 64-bit number, which is a text in JSON.
        partial.get("rejectedLogRecords")?.raw().trim_matches('"').parse().ok()
    };
    read().unwrap_or(0)
}

fn connectable() -> Result<(Runtime, reqwest::Client), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let client = reqwest::Client::builder()
        .timeout(limits::AUDIT_SEND_TIME)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build();
    Ok((runtime.map_err(|error| error.to_string())?, client.map_err(|error| error.to_string())?))
}

/// Severity 9 is INFO. The record, which is JSON, is the body; what it is called is an attribute.
fn batch(records: &[Written]) -> String {
    let now_ms = vmcp_runtime::unix_ms();
    let logs: Vec<String> = records.iter().map(|record| log(record, now_ms)).collect();
    let service = attribute("service.name", "vmcp-data-plane");
    format!(
        "{{\"resourceLogs\":[{{\"resource\":{{\"attributes\":[{service}]}},\"scopeLogs\":[{{\"scope\":{{\"name\":\"vmcp.audit\"}},\"logRecords\":[{}]}}]}}]}}",
        logs.join(",")
    )
}

fn log(record: &Written, now_ms: u64) -> String {
    let (time, observed) = (record.at_ms * 1_000_000, now_ms * 1_000_000);
    format!(
        "{{\"timeUnixNano\":\"{time}\",\"observedTimeUnixNano\":\"{observed}\",\"severityNumber\":9,\"severityText\":\"AUDIT\",\"attributes\":[{}],\"body\":{{\"stringValue\":{}}}}}",
        attribute("event.name", "audit_event"),
        quote(record.line.trim_end()),
    )
}

fn attribute(key: &str, value: &str) -> String {
    format!("{{\"key\":\"{key}\",\"value\":{{\"stringValue\":{}}}}}", quote(value))
}
