//! One record in the making. It is written once: when the answer is known, or when nobody waits for it any more.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::{digest, rand};
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, StatusCode};
use vmcp_authz::Decision;
use vmcp_core::limits;
use vmcp_json::{Limits, Object};
use vmcp_mcp::{Response as Answering, header};
use vmcp_runtime::unix_ms;

use crate::asked::{Asked, Client};
use crate::audit::ledger::{Place, Written};
use crate::audit::record::{Frame, Outcome, Record, Who};
use crate::audit::{Audit, EventType, data};
use crate::metrics;
use crate::principal::Identity;
use crate::refusal::Refusal;
use crate::snapshot::{Server, Target};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
/// What a modern request says of who sends it.
const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";

/// Where a request came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door<'a> {
    /// Whoever holds the other end of the connection: the last proxy, if there are any.
    pub(crate) peer: Option<IpAddr>,
    pub(crate) path: &'a str,
    /// `streamable-http` or `sse`.
    pub(crate) transport: &'static str,
}

/// What will be recorded, if anything is. Dropped without an answer, it is recorded as given up.
#[derive(Debug, Default)]
pub(crate) struct Entry(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    audit: Arc<Audit>,
    place: Place,
    began: Instant,
    /// When the backend was asked.
    asked_backend: Option<Instant>,
    event: EventType,
    record: Record,
}

/// What an answer says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    error: Option<(i64, String)>,
    /// A tool says that it has failed.
    is_error: bool,
    data: Option<String>,
}

impl Entry {
    /// One for a server that records anything, with a place to write it to; there may be none.
    pub(crate) async fn open(
        server: &Server,
        door: Door<'_>,
        headers: &HeaderMap,
        identity: Option<&Identity>,
    ) -> Result<Self, Refusal> {
        let Some(audit) = &server.audit else { return Ok(Self(None)) };
        let began = Instant::now();
        let place = audit.ledger.place(audit.settings.overflow).await;
        let place = place.ok_or_else(Refusal::audit_unavailable)?;
        let text = |name: &HeaderName| {
            let text = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
            text.map(|text| cut(&text)).unwrap_or_default()
        };
        let record = Record {
            peer: door.peer,
            user_agent: text(&USER_AGENT),
            request_id: text(&REQUEST_ID),
            trace_id: trace_id(&text(&TRACE_PARENT)).unwrap_or_default(),
            transport: door.transport,
            endpoint: cut(door.path),
            virtual_server: server.name.to_string(),
            session: headers.get(header::SESSION_ID).map(|id| fingerprint(id.as_bytes())).unwrap_or_default(),
            who: identity.map_or(Who::Unknown, |identity| match &identity.token {
                Some(token) => Who::Verified(token.verified.clone()),
                None => Who::Named(identity.claims().subject.to_owned()),
            }),
            ..Record::default()
        };
        let (audit, event) = (audit.clone(), EventType::HttpRequest);
        Ok(Self(Some(Box::new(Open { audit, place, began, asked_backend: None, event, record }))))
    }

    /// It is of another kind.
    pub(crate) fn is(&mut self, event: EventType, method: &str) {
        if let Some(open) = &mut self.0 {
            open.event = event;
            open.record.method = cut(method);
        }
    }

    /// How much came with it.
    pub(crate) fn weighs(&mut self, bytes: usize) {
        if let Some(open) = &mut self.0 {
            open.record.request_bytes = bytes;
        }
    }

    /// What is asked.
    pub(crate) fn asks(&mut self, asked: &Asked<'_>) {
        let Some(open) = &mut self.0 else { return };
        open.event = EventType::of(asked.ask);
        let record = &mut open.record;
        record.method = asked.ask.method().to_owned();
        record.rpc_id = asked.request.id.raw().to_owned();
        if record.rpc_id.len() > limits::AUDIT_TEXT {
            record.rpc_id = vmcp_json::quote(&cut(&record.rpc_id));
        }
        let name = asked.name().and_then(|name| name.as_str());
        record.name = name.map(|name| cut(&name)).unwrap_or_default();
        record.client = client_info(asked);
        let settings = &open.audit.settings;
        if let Some(params) = asked.request.params.as_ref().filter(|_| settings.include_request_data) {
            let raw = params.raw().as_bytes();
            record.request = data::shown(raw, settings.max_data_size, &settings.redact, &limits::REQUEST);
        }
    }

    /// It is about this one of what is asked for.
    pub(crate) fn names(&mut self, name: &str) {
        if let Some(open) = &mut self.0 {
            open.record.name = cut(name);
        }
    }

    /// It will not be done, for a reason in one of our words.
    pub(crate) fn is_because(&mut self, why: &'static str) {
        if let Some(open) = &mut self.0 {
            open.record.reason = why;
        }
    }

    /// What policies have said of it.
    pub(crate) fn decided(&mut self, decision: Option<&Arc<Decision>>) {
        if let Some(open) = &mut self.0 {
            open.record.decision = decision.cloned();
        }
    }

    /// Who is asked for it.
    pub(crate) fn goes_to(&mut self, target: &Target) {
        if let Some(open) = &mut self.0 {
            target.backend.id.name.as_str().clone_into(&mut open.record.backend);
            target.original_name.as_ref().clone_into(&mut open.record.original_name);
            open.asked_backend = Some(Instant::now());
        }
    }

    /// Leaves nothing behind: whoever has it now has to end it.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// What a backend's answer says of itself, as far as it is to be recorded.
    pub(crate) fn read(&self, response: &Answering<'_>, limits: &Limits) -> Ended {
        let Some(open) = &self.0 else { return Ended::default() };
        let settings = &open.audit.settings;
        let (error, is_error, said) = match &response.outcome {
            vmcp_mcp::Outcome::Result(result) => {
                (None, result.get("isError").is_some_and(|value| value.is_true()), result)
            }
            vmcp_mcp::Outcome::Error { code, error } => (Some((*code, message(error))), false, error),
        };
        let data = settings
            .include_response_data
            .then(|| data::shown(said.raw().as_bytes(), settings.max_data_size, &settings.redact, limits));
        Ended { error, is_error, data: data.flatten() }
    }

    /// A backend has answered; `bytes`: how much goes to the client.
    pub(crate) fn answered(&mut self, ended: Ended, bytes: usize) {
        let Some(mut open) = self.0.take() else { return };
        let is_error = ended.error.is_some() || ended.is_error;
        let detects = open.audit.settings.detect_application_errors;
        let record = &mut open.record;
        (record.error, record.response, record.response_bytes) =
            (ended.error, ended.data, Some(bytes as u64));
        open.write(if is_error && detects { Outcome::ApplicationError } else { Outcome::Success });
    }

    /// We have answered it ourselves.
    pub(crate) async fn served(&mut self, response: Response) -> Response {
        let Some(mut open) = self.0.take() else { return response };
        open.record.response_bytes = http_body::Body::size_hint(response.body()).exact();
        let settings = &open.audit.settings;
        let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
        if !settings.include_response_data || !is_json {
            open.write(Outcome::Success);
            return response;
        }
        let (head, body) = response.into_parts();
        // It is in memory.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let limits = Limits::new(body.len(), limits::DEPTH).with_lone_surrogates();
        let result = Object::parse(&body, &limits).ok().and_then(|whole| Some(whole.get("result")?.raw()));
        let shown = result
            .and_then(|raw| data::shown(raw.as_bytes(), settings.max_data_size, &settings.redact, &limits));
        open.record.response = shown;
        open.write(Outcome::Success);
        Response::from_parts(head, Body::from(body))
    }

    /// The answer is "no".
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        let Some(mut open) = self.0.take() else { return };
        let record = &mut open.record;
        record.error = Some((refusal.code().into(), cut(refusal.message())));
        if let Some(decision) = refusal.decision() {
            record.decision = Some(decision.clone());
        }
        let status = refusal.status();
        let is_denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            || refusal.decision().is_some();
        let outcome = match () {
            () if is_denied => Outcome::Denied,
            () if status.is_server_error() || refusal.outcome() == metrics::Outcome::Failed => Outcome::Error,
            () => Outcome::Failure,
        };
        open.write(outcome);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(mut open) = self.0.take() {
            open.record.reason = "given_up";
            open.write(Outcome::Failure);
        }
    }
}

impl Open {
    fn write(self: Box<Self>, outcome: Outcome) {
        let Self { audit, place, began, asked_backend, event, record } = *self;
        if !audit.settings.records(event.name()) {
            return;
        }
        let mut id = [0; 16];
        // Without randomness records can still be told apart by what they say.
        let _ = rand::fill(&mut id);
        let (component, delegation) = (&audit.settings.component, audit.settings.max_delegation_depth);
        let (at_ms, took) = (unix_ms(), began.elapsed());
        let backend_took = asked_backend.map(|asked| asked.elapsed());
        let frame = Frame { event, outcome, component, delegation, id, at_ms, took, backend_took };
        place.put(Written { at_ms, line: record.to_line(&frame) });
    }
}

fn message(error: &Object<'_>) -> String {
    cut(&error.get("message").and_then(|message| message.as_str()).unwrap_or_default())
}

/// As much of a text as is recorded: clients and backends choose how long it is.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(limits::AUDIT_TEXT)).unwrap_or_default().to_owned()
}

fn client_info(asked: &Asked<'_>) -> Option<(String, String)> {
    let params = asked.request.params.as_ref()?;
    let info = match asked.client {
        Client::Modern => params.get("_meta")?.as_object()?.get(META_CLIENT)?.as_object()?,
        Client::Legacy { .. } => params.get("clientInfo")?.as_object()?,
    };
    let text = |name: &str| {
        let text = info.get(name).and_then(|value| value.as_str());
        text.map(|text| cut(&text)).unwrap_or_default()
    };
    Some((text("name"), text("version")))
}

/// W3C Trace Context, `traceparent`.
fn trace_id(parent: &str) -> Option<String> {
    let id = parent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// Tells sessions apart for whoever reads records, and is good for nothing else.
fn fingerprint(id: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, id);
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
