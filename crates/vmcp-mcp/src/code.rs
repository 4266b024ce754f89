//! JSON-RPC error codes (JSON-RPC 2.0 section 5.1; MCP 2026-07-28, Base Protocol, Error Codes).

/// The text is not JSON.
pub const PARSE_ERROR: i32 = -32700;
/// JSON, but not a request.
pub const INVALID_REQUEST: i32 = -32600;
/// Nobody has this method.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// Unknown tool, prompt or resource, or parameters that do not fit.
pub const INVALID_PARAMS: i32 = -32602;
/// Whatever went wrong behind us.
pub const INTERNAL_ERROR: i32 = -32603;
/// Legacy only: the user says no to what a server asks of its model (MCP 2025-11-25, Sampling, Error Handling).
pub const USER_REJECTED: i32 = -1;
/// What may be done, but not with these arguments. Ours: outside what JSON-RPC reserves.
pub const DENIED: i32 = 403;
/// Legacy only: no such resource. Modern servers say [`INVALID_PARAMS`].
pub const RESOURCE_NOT_FOUND: i32 = -32002;
/// Headers and body disagree, or a required header is missing.
pub const HEADER_MISMATCH: i32 = -32020;
/// The client lacks a capability that the request needs.
pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
/// A protocol version that we do not speak.
pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;

/// Whether only a modern server answers with this code, which is how a probe knows one
/// (MCP 2026-07-28, Streamable HTTP, Backward Compatibility).
pub const fn is_modern(code: i64) -> bool {
    matches!(code, -32022..=-32020)
}
