//! What people write of records, as types.

use schemars::JsonSchema;
use serde::Serialize;

/// What is recorded of requests, one JSON object each, and where it goes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Audit {
    /// Whether anything is.
    #[serde(default = "yes")]
    enabled: bool,
    /// What records call this server.
    #[serde(default = "component")]
    component: String,
    /// Types of events that are recorded; all if absent.
    #[serde(default)]
    event_types: Option<Vec<EventType>>,
    /// Types of events that are not, whatever `event_types` says.
    #[serde(default)]
    exclude_event_types: Option<Vec<EventType>>,
    /// Whether `params` of requests are recorded, cut and redacted.
    #[serde(default)]
    include_request_data: bool,
    /// Whether what they are answered with is recorded, cut and redacted.
    #[serde(default)]
    include_response_data: bool,
    /// Whether an answer with an error in it (`isError`, or a JSON-RPC error) has the outcome `application_error` in place of `success`.
    #[serde(default = "yes")]
    detect_application_errors: bool,
    /// Bytes that are recorded of the data of a request, and of an answer.
    #[serde(default = "max_data_size")]
    #[schemars(range(min = 1, max = 65536))]
    max_data_size: usize,
    /// Actors that are recorded of a token that was exchanged several times.
    #[serde(default = "max_delegation_depth")]
    #[schemars(range(max = 10))]
    max_delegation_depth: usize,
    /// Members of data whose values are replaced by `[REDACTED]` at any depth, besides those that are called after a secret.
    #[serde(default)]
    redact: Option<Vec<String>>,
    /// A file of the data plane, only for its user to read; an absolute path. Standard output if neither this nor `otlp_endpoint` is there.
    #[serde(default)]
    log_file: Option<String>,
    /// How large the file grows before it is put aside as `<file>.1`.
    #[serde(default = "log_file_max_bytes")]
    #[schemars(range(min = 4096))]
    log_file_max_bytes: u64,
    /// How many files that were put aside are kept.
    #[serde(default = "log_file_keep")]
    #[schemars(range(max = 1000))]
    log_file_keep: u32,
    /// Where a collector of OpenTelemetry takes logs over HTTP, such as `http://127.0.0.1:4318`.
    #[serde(default)]
    otlp_endpoint: Option<String>,
    /// What becomes of requests while records cannot be written as fast as they are made, or not at all: they wait (`block`), go on
    /// unrecorded, which is counted (`drop_and_count`), or are refused with 503 (`refuse`).
    #[serde(default)]
    overflow: Overflow,
}

/// What an event is about.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventType {
    McpInitialize,
    SseConnection,
    McpToolCall,
    McpToolsList,
    McpResourceRead,
    McpResourcesList,
    McpPromptGet,
    McpPromptsList,
    McpNotification,
    McpPing,
    McpLogging,
    McpCompletion,
    McpRootsListChanged,
    McpRequest,
    HttpRequest,
}

/// What becomes of requests whose records find no place.
#[derive(JsonSchema, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub(super) enum Overflow {
    Block,
    #[default]
    DropAndCount,
    Refuse,
}

fn yes() -> bool {
    true
}

fn component() -> String {
    "vmcp-server".to_owned()
}

fn max_data_size() -> usize {
    1024
}

fn max_delegation_depth() -> usize {
    10
}

fn log_file_max_bytes() -> u64 {
    100 << 20
}

fn log_file_keep() -> u32 {
    5
}
