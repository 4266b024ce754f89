//! Every "no" to a client, with its status and code, in one place.

mod reason;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use vmcp_authz::Decision;
use vmcp_core::backend::BackendId;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_json::quote;
use vmcp_mcp::header::Mismatch;
use vmcp_mcp::{Malformed, ProtocolVersion, code, error};

use crate::metrics::Outcome;
pub(crate) use reason::Reason;

/// A typed "no". Boxed, since it is rare and the line passes it through every step.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    code: i32,
    message: String,
    data: Option<String>,
    id: Option<String>,
    challenge: Option<HeaderValue>,
    outcome: Outcome,
    /// The backend has refused what it was shown.
    is_auth: bool,
    /// By which policies it may not be done.
    decision: Option<Arc<Decision>>,
}

impl Refusal {
    fn new(status: StatusCode, code: i32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Inner {
            status,
            code,
            message,
            data: None,
            id: None,
            challenge: None,
            outcome: Outcome::Refused,
            is_auth: false,
            decision: None,
        }))
    }

    fn with_data(mut self, data: String) -> Self {
        self.0.data = Some(data);
        self
    }

    /// Answers this request; an id that is there stays.
    pub(crate) fn with_id(mut self, id: &str) -> Self {
        self.0.id.get_or_insert_with(|| id.to_owned());
        self
    }

    /// Policies say so. Clients do not hear that.
    pub(crate) fn denied(mut self, decision: Option<Arc<Decision>>) -> Self {
        self.0.decision = decision;
        self
    }

    /// What policies have said, if that is why.
    pub(crate) fn decision(&self) -> Option<&Arc<Decision>> {
        self.0.decision.as_ref()
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn code(&self) -> i32 {
        self.0.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the backend has refused what it was shown.
    pub(crate) fn is_auth(&self) -> bool {
        self.0.is_auth
    }

    /// How it is counted.
    pub(crate) fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Not a message.
    pub(crate) fn malformed(why: &Malformed) -> Self {
        let code = match why {
            Malformed::Json(vmcp_json::Fault::TooLarge { .. }) => return Self::too_large(),
            Malformed::Json(_) | Malformed::Duplicate { .. } => code::PARSE_ERROR,
            Malformed::Batch | Malformed::Envelope(_) => code::INVALID_REQUEST,
        };
        Self::new(StatusCode::BAD_REQUEST, code, format!("Not a JSON-RPC message: {why}"))
    }

    /// A body over the bound.
    pub(crate) fn too_large() -> Self {
        let message = format!("The body is larger than {} bytes", limits::REQUEST_BYTES);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code::INVALID_REQUEST, message)
    }

    /// The client went away while it was sending.
    pub(crate) fn broken() -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::INVALID_REQUEST, "The body did not arrive whole")
    }

    /// Not JSON by its own account.
    pub(crate) fn content_type() -> Self {
        let message = "Content-Type must be application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::INVALID_REQUEST, message)
    }

    /// Headers that contradict the body.
    pub(crate) fn header_mismatch(mismatch: &Mismatch) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::HEADER_MISMATCH, mismatch.to_string())
    }

    /// A version that we do not speak in the era in which it was named.
    pub(crate) fn unsupported_version(requested: &str) -> Self {
        let (supported, requested) = (ProtocolVersion::all_as_json(), quote(requested));
        let data = format!("{{\"supported\":{supported},\"requested\":{requested}}}");
        let (status, code) = (StatusCode::BAD_REQUEST, code::UNSUPPORTED_PROTOCOL_VERSION);
        Self::new(status, code, "Unsupported protocol version").with_data(data)
    }

    /// A modern request that lacks what every one must carry.
    pub(crate) fn malformed_params(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::INVALID_PARAMS, message)
    }

    /// A method that nobody has, in the era in which it was called.
    pub(crate) fn unknown_method(method: &str, is_modern: bool) -> Self {
        let status = if is_modern { StatusCode::NOT_FOUND } else { StatusCode::OK };
        Self::new(status, code::METHOD_NOT_FOUND, format!("Method not found: {method}"))
    }

    /// A tool or prompt that is not there, or not for this caller: one answer.
    pub(crate) fn unknown(noun: &str, name: &str) -> Self {
        Self::new(StatusCode::OK, code::INVALID_PARAMS, format!("Unknown {noun}: {name}"))
    }

    /// A tool or prompt that the caller sees, and may not use with these arguments. By which policy is on record alone.
    pub(crate) fn denied_arguments(noun: &str, name: &str) -> Self {
        let message = format!("The {noun} {name} may not be used with these arguments");
        Self::new(StatusCode::OK, code::DENIED, message).with_data("{\"reason\":\"denied\"}".to_owned())
    }

    /// A resource that is not there, or not for this caller; legacy clients know another code for it
    /// (MCP 2025-11-25, Resources, Error Handling).
    pub(crate) fn unknown_resource(uri: &str, is_modern: bool) -> Self {
        let code = if is_modern { code::INVALID_PARAMS } else { code::RESOURCE_NOT_FOUND };
        let data = format!("{{\"uri\":{}}}", quote(uri));
        Self::new(StatusCode::OK, code, format!("Resource not found: {uri}")).with_data(data)
    }

    /// Its backend does not say when it changes.
    pub(crate) fn cannot_watch(uri: &str) -> Self {
        let message = format!("The backend of {uri} does not tell when a resource changes");
        Self::new(StatusCode::OK, code::METHOD_NOT_FOUND, message)
    }

    /// Not what a backend keeps with this client for this request.
    pub(crate) fn unknown_state() -> Self {
        let message = "`params.requestState` is not one of this request, has been altered, or is too old";
        Self::new(StatusCode::OK, code::INVALID_PARAMS, message)
    }

    /// Not a level of logging.
    pub(crate) fn unknown_level() -> Self {
        let message =
            "`params.level` must be debug, info, notice, warning, error, critical, alert or emergency";
        Self::new(StatusCode::OK, code::INVALID_PARAMS, message)
    }

    /// A URI that templates of several backends describe.
    pub(crate) fn ambiguous_resource(uri: &str) -> Self {
        let message = format!("More than one backend offers resource templates for {uri}");
        Self::new(StatusCode::OK, code::INVALID_PARAMS, message)
    }

    /// Not a cursor of this list.
    pub(crate) fn unknown_cursor() -> Self {
        Self::new(StatusCode::OK, code::INVALID_PARAMS, "Invalid cursor: start the list again")
    }

    /// No session, or not one that is still good.
    pub(crate) fn unknown_session() -> Self {
        Self::new(StatusCode::NOT_FOUND, code::INVALID_REQUEST, "Session not found: initialize again")
    }

    /// A stream was asked for by somebody who cannot read one.
    pub(crate) fn not_acceptable() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, code::INVALID_REQUEST, "Accept must include text/event-stream")
    }

    /// The backend did not answer as it should.
    pub(crate) fn backend(reason: Reason, backend: &BackendId) -> Self {
        let name = &backend.name;
        let message = format!("Backend `{name}` {}", reason.sentence());
        let data = format!("{{\"reason\":{},\"backend\":{}}}", quote(reason.as_str()), quote(name.as_str()));
        let mut refusal = Self::new(StatusCode::OK, code::INTERNAL_ERROR, message).with_data(data);
        refusal.0.outcome = Outcome::Failed;
        refusal.0.is_auth = reason == Reason::Auth;
        refusal
    }

    /// The backend is not called now; `retry_after_ms` says when it may be again.
    pub(crate) fn come_back(reason: Reason, backend: &BackendId, retry_after_ms: u64) -> Self {
        let name = &backend.name;
        let message = format!("Backend `{name}` {}", reason.sentence());
        let (reason, name) = (quote(reason.as_str()), quote(name.as_str()));
        let data = format!("{{\"reason\":{reason},\"backend\":{name},\"retryAfterMs\":{retry_after_ms}}}");
        let mut refusal = Self::new(StatusCode::OK, code::INTERNAL_ERROR, message).with_data(data);
        refusal.0.outcome = Outcome::Failed;
        refusal
    }

    /// Lists are not to be answered in part, and these backends are missing.
    pub(crate) fn missing(backends: &[&Name]) -> Self {
        let names: Vec<String> =
            backends.iter().take(limits::MISSING_BACKENDS).map(|name| quote(name.as_str())).collect();
        let (reason, names) = (quote(Reason::Unavailable.as_str()), names.join(","));
        let message = format!("Not every backend is available: {} missing", backends.len());
        let data = format!("{{\"reason\":{reason},\"backends\":[{names}]}}");
        let mut refusal = Self::new(StatusCode::OK, code::INTERNAL_ERROR, message).with_data(data);
        refusal.0.outcome = Outcome::Failed;
        refusal
    }

    /// A request that only clients may make that know this extension.
    pub(crate) fn missing_extension(name: &str) -> Self {
        let data = format!("{{\"requiredCapabilities\":{{\"extensions\":{{{}:{{}}}}}}}}", quote(name));
        let message = "Missing required client capability";
        Self::new(StatusCode::BAD_REQUEST, code::MISSING_CLIENT_CAPABILITY, message).with_data(data)
    }

    /// Not a task of anybody here.
    pub(crate) fn unknown_task() -> Self {
        Self::new(StatusCode::OK, code::INVALID_PARAMS, "Unknown task")
    }

    /// Who asks is not known. The challenge says where to learn whose token is needed; what is wrong with this one nobody learns.
    pub(crate) fn unauthenticated(challenge: &str) -> Self {
        let mut refusal = Self::new(StatusCode::UNAUTHORIZED, code::INVALID_REQUEST, "Unauthorized");
        refusal.0.challenge = HeaderValue::from_str(challenge).ok();
        refusal
    }

    /// The token is good, and does not allow enough. The challenge says all that is needed.
    pub(crate) fn insufficient_scope(challenge: &str) -> Self {
        let mut refusal = Self::new(StatusCode::FORBIDDEN, code::INVALID_REQUEST, "Insufficient scope");
        refusal.0.challenge = HeaderValue::from_str(challenge).ok();
        refusal
    }

    /// The answers to a batch are more than is held together.
    pub(crate) fn large_batch() -> Self {
        let message = "The answers to this batch are larger than all together may be; ask one by one";
        let data = "{\"reason\":\"batch_too_large\"}".to_owned();
        Self::new(StatusCode::OK, code::INTERNAL_ERROR, message).with_data(data)
    }

    /// Nobody can say who asks, since the issuer has never been reached.
    pub(crate) fn issuer_unavailable() -> Self {
        let message = "The issuer of tokens cannot be reached";
        let data = "{\"reason\":\"issuer_unavailable\"}".to_owned();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code::INTERNAL_ERROR, message).with_data(data)
    }

    /// What cannot be recorded is not done.
    pub(crate) fn audit_unavailable() -> Self {
        let message = "Requests cannot be recorded at the moment";
        let data = "{\"reason\":\"audit_unavailable\"}".to_owned();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code::INTERNAL_ERROR, message).with_data(data)
    }

    /// There is no randomness to make an id from.
    pub(crate) fn no_randomness() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL_ERROR, "No randomness is available")
    }

    /// No virtual server is served there.
    pub(crate) fn no_such_address() -> Self {
        let message = "No virtual server here: MCP is at /<virtual server>/mcp";
        Self::new(StatusCode::NOT_FOUND, code::INVALID_REQUEST, message)
    }

    /// Nothing has been published yet.
    pub(crate) fn not_ready() -> Self {
        let message = "Not ready: the first revision has not arrived";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code::INTERNAL_ERROR, message)
    }

    /// Neither POST nor GET nor DELETE.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, code::INVALID_REQUEST, "Use POST, GET or DELETE")
    }

    /// Addressed under a name that is not ours.
    pub(crate) fn foreign_host() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            code::INVALID_REQUEST,
            "Host is neither a loopback name nor an allowed one",
        )
    }

    /// Sent by a page of somebody else.
    pub(crate) fn foreign_origin() -> Self {
        Self::new(StatusCode::FORBIDDEN, code::INVALID_REQUEST, "Origin is not allowed")
    }

    /// The error response without its HTTP frame.
    pub(crate) fn to_message(&self) -> String {
        let inner = &self.0;
        error(inner.id.as_deref(), inner.code, &inner.message, inner.data.as_deref())
    }

    /// The whole answer.
    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_message()));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(challenge) = self.0.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        match self.0.status {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
            }
            // What is left of the body is not read as the next request.
            StatusCode::PAYLOAD_TOO_LARGE => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
