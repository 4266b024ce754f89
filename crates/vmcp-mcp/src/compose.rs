//! Messages that we author ourselves.

use vmcp_json::quote;

use crate::version::ProtocolVersion;

/// The name and version under which a side of the protocol presents itself.
#[derive(Debug, Clone, Copy)]
pub struct Implementation<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Which release it is.
    pub version: &'a str,
}

/// Under which name we ask on our own behalf, and for clients that do not say theirs on every request.
pub const OURSELVES: Implementation<'static> =
    Implementation { name: "vmcp", version: env!("CARGO_PKG_VERSION") };

/// Nothing may be asked of us.
pub const NO_CAPABILITIES: &str = "{}";

impl Implementation<'_> {
    /// `{"name":…,"version":…}`
    pub fn to_json(&self) -> String {
        format!("{{\"name\":{},\"version\":{}}}", quote(self.name), quote(self.version))
    }
}

/// A request; `id` and `params` are JSON.
pub fn request(id: &str, method: &str, params: Option<&str>) -> String {
    let method = quote(method);
    match params {
        Some(params) => {
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{method},\"params\":{params}}}")
        }
        None => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{method}}}"),
    }
}

/// A notification; `params` is JSON.
pub fn notification(method: &str, params: Option<&str>) -> String {
    let method = quote(method);
    match params {
        Some(params) => format!("{{\"jsonrpc\":\"2.0\",\"method\":{method},\"params\":{params}}}"),
        None => format!("{{\"jsonrpc\":\"2.0\",\"method\":{method}}}"),
    }
}

/// A successful response; `id` and `result` are JSON. One allocation of the exact size.
pub fn result(id: &str, result: &[u8]) -> Vec<u8> {
    const HEAD: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":";
    const BETWEEN: &[u8] = b",\"result\":";
    let mut message = Vec::with_capacity(HEAD.len() + id.len() + BETWEEN.len() + result.len() + 1);
    message.extend_from_slice(HEAD);
    message.extend_from_slice(id.as_bytes());
    message.extend_from_slice(BETWEEN);
    message.extend_from_slice(result);
    message.push(b'}');
    message
}

/// An error response; `id` and `data` are JSON. Without an id the member is absent.
pub fn error(id: Option<&str>, code: i32, message: &str, data: Option<&str>) -> String {
    let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    format!("{{\"jsonrpc\":\"2.0\",{id}\"error\":{{\"code\":{code},\"message\":{}{data}}}}}", quote(message))
}

/// The metadata that every modern request must carry, with what the client can do (JSON)
/// (MCP 2026-07-28, Base Protocol, Per-request protocol fields): the members without braces.
pub fn accepted_meta(client: &Implementation<'_>, capabilities: &str) -> [(&'static str, String); 3] {
    [
        ("io.modelcontextprotocol/protocolVersion", quote(ProtocolVersion::LATEST_MODERN.as_str())),
        ("io.modelcontextprotocol/clientInfo", client.to_json()),
        ("io.modelcontextprotocol/clientCapabilities", capabilities.to_owned()),
    ]
}

/// `params` of a modern request of somebody who can do nothing special: the metadata, then `members` (JSON members without braces).
pub fn modern_params(client: &Implementation<'_>, members: &str) -> String {
    modern_params_as(client, NO_CAPABILITIES, members)
}

/// The same for somebody with these capabilities (JSON).
pub(crate) fn modern_params_as(client: &Implementation<'_>, capabilities: &str, members: &str) -> String {
    let meta: Vec<String> = accepted_meta(client, capabilities)
        .iter()
        .map(|(name, value)| format!("{}:{value}", quote(name)))
        .collect();
    let comma = if members.is_empty() { "" } else { "," };
    format!("{{\"_meta\":{{{}}}{comma}{members}}}", meta.join(","))
}
