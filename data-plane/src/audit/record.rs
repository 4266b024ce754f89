//! What a record says: ToolHive's fields by ToolHive's names, and ours beside them.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use vmcp_authz::Decision;
use vmcp_json::quote_to;
use vmcp_oauth::Verified;

use crate::audit::event::EventType;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    /// It may not be done, or not by whoever asks.
    Denied,
    /// The request was at fault, or was given up.
    Failure,
    /// We or a backend were.
    Error,
    /// It was done, and what came of it is an error.
    ApplicationError,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::ApplicationError => "application_error",
        }
    }
}

/// What is known of one event. What is empty is left out.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) peer: Option<IpAddr>,
    pub(super) user_agent: String,
    pub(super) request_id: String,
    pub(super) trace_id: String,
    pub(super) transport: &'static str,
    pub(super) endpoint: String,
    pub(super) virtual_server: String,
    /// A hash of the session's id.
    pub(super) session: String,
    pub(super) who: Who,
    /// What the client calls itself.
    pub(super) client: Option<(String, String)>,
    pub(super) method: String,
    /// What it is done to, by exposed name or URI.
    pub(super) name: String,
    /// As JSON.
    pub(super) rpc_id: String,
    pub(super) backend: String,
    pub(super) original_name: String,
    pub(super) decision: Option<Arc<Decision>>,
    pub(super) request_bytes: usize,
    pub(super) response_bytes: Option<u64>,
    pub(super) error: Option<(i64, String)>,
    /// Why it is one, in one of our words.
    pub(super) reason: &'static str,
    /// As JSON.
    pub(super) request: Option<String>,
    pub(super) response: Option<String>,
}

/// Who asks.
#[derive(Debug, Default)]
pub(super) enum Who {
    #[default]
    Unknown,
    Named(String),
    Verified(Arc<Verified>),
}

/// What is the same for all records of a server, or was measured.
pub(super) struct Frame<'a> {
    pub(super) event: EventType,
    pub(super) outcome: Outcome,
    pub(super) component: &'a str,
    pub(super) delegation: usize,
    pub(super) id: [u8; 16],
    pub(super) at_ms: u64,
    pub(super) took: Duration,
    /// How much of it was spent waiting for the backend.
    pub(super) backend_took: Option<Duration>,
}

impl Record {
    /// One line.
    pub(super) fn to_line(&self, frame: &Frame<'_>) -> String {
        let at = i64::try_from(frame.at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let at = format!("{:.3}", at.unwrap_or_default());
        let mut line = Line(String::with_capacity(1_024));
        line.0.push_str("{\"time\":\"");
        line.0.push_str(&at);
        line.0.push_str("\",\"level\":\"AUDIT\",\"msg\":\"audit_event\"");
        line.text("audit_id", &uuid(frame.id));
        line.text("type", frame.event.name());
        line.text("logged_at", &at);
        line.text("outcome", frame.outcome.as_str());
        line.text("component", frame.component);
        line.open("source");
        line.text("type", if self.peer.is_some() { "network" } else { "local" });
        line.text("value", &self.peer.map(|peer| peer.to_canonical().to_string()).unwrap_or_default());
        line.open("extra");
        line.some("user_agent", &self.user_agent);
        line.some("request_id", &self.request_id);
        line.close();
        line.close();
        self.subjects(&mut line, frame.delegation);
        line.open("target");
        line.text("endpoint", &self.endpoint);
        line.some("method", &self.method);
        line.some("name", &self.name);
        line.text("type", frame.event.target());
        line.close();
        line.open("metadata");
        self.extra(&mut line, frame);
        line.close();
        if self.request.is_some() || self.response.is_some() {
            line.open("data");
            line.some_json("request", self.request.as_deref());
            line.some_json("response", self.response.as_deref());
            line.close();
        }
        line.0.push_str("}\n");
        line.0
    }

    fn subjects(&self, line: &mut Line, depth: usize) {
        line.open("subjects");
        match &self.who {
            Who::Unknown => {}
            Who::Named(name) => line.text("user", name),
            Who::Verified(verified) => {
                let said = ["name", "preferred_username", "email"]
                    .iter()
                    .find_map(|claim| verified.claims.get(*claim).and_then(Value::as_str));
                line.text("user_id", &verified.subject);
                line.text("user", said.unwrap_or("anonymous"));
                line.text("issuer", &verified.issuer);
                line.some("client_id", verified.client.as_deref().unwrap_or_default());
            }
        }
        if let Some((name, version)) = &self.client {
            line.text("client_name", name);
            line.text("client_version", version);
        }
        line.close();
        if let Who::Verified(verified) = &self.who
            && !verified.actors.is_empty()
        {
            line.texts("delegation", verified.actors.iter().take(depth));
        }
    }

    fn extra(&self, line: &mut Line, frame: &Frame<'_>) {
        line.open("extra");
        line.number("duration_ms", millis(frame.took));
        if let Some(took) = frame.backend_took {
            line.number("backend_duration_ms", millis(took));
        }
        line.text("transport", self.transport);
        line.number("request_size_bytes", self.request_bytes);
        if let Some(bytes) = self.response_bytes {
            line.number("response_size_bytes", bytes);
        }
        line.text("virtual_server", &self.virtual_server);
        line.some("backend_name", &self.backend);
        line.some("backend_item", &self.original_name);
        if let Some(decision) = &self.decision {
            line.text("decision", if decision.is_allowed { "allow" } else { "deny" });
            line.texts("policies", decision.policies.iter());
            line.some("decision_error", decision.error.as_deref().unwrap_or_default());
        }
        line.some("session", &self.session);
        line.some_json("jsonrpc_id", Some(&self.rpc_id).filter(|id| !id.is_empty()).map(String::as_str));
        line.some("trace_id", &self.trace_id);
        line.some("reason", self.reason);
        if let Some((code, message)) = &self.error {
            line.number("jsonrpc_error_code", code);
            line.text("jsonrpc_error_message", message);
        }
        line.close();
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// RFC 9562, version 4.
fn uuid(mut id: [u8; 16]) -> String {
    (id[6], id[8]) = (id[6] & 0x0f | 0x40, id[8] & 0x3f | 0x80);
    let number = u128::from_be_bytes(id);
    let part = |shift: u32, digits: u32| (number >> shift) & ((1 << (digits * 4)) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 8),
        part(80, 4),
        part(64, 4),
        part(48, 4),
        part(0, 12)
    )
}

/// JSON in the making.
struct Line(String);

impl Line {
    fn key(&mut self, key: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    fn open(&mut self, key: &str) {
        self.key(key);
        self.0.push('{');
    }

    fn close(&mut self) {
        self.0.push('}');
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        quote_to(&mut self.0, text);
    }

    fn some(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.text(key, text);
        }
    }

    fn some_json(&mut self, key: &str, json: Option<&str>) {
        if let Some(json) = json {
            self.key(key);
            self.0.push_str(json);
        }
    }

    fn texts<'t>(&mut self, key: &str, texts: impl Iterator<Item = &'t String>) {
        self.key(key);
        self.0.push('[');
        for (at, text) in texts.enumerate() {
            self.0.push_str(if at == 0 { "" } else { "," });
            quote_to(&mut self.0, text);
        }
        self.0.push(']');
    }

    fn number(&mut self, key: &str, number: impl std::fmt::Display) {
        self.key(key);
        let _ = write!(self.0, "{number}");
    }
}
