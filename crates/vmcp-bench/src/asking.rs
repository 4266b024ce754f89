//! What is asked, as requests that are ready to go.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, StatusCode};
use vmcp_mcp::{ProtocolVersion, header, method};

use crate::driver::{Load, Prepared};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) is_modern: bool,
}

/// One request for each tool, or one for all.
pub(crate) fn load(address: SocketAddr, asking: Asking, tools: &[String]) -> Load {
    let requests = match asking.method {
        method::TOOLS_CALL => tools.iter().map(|tool| prepared(address, asking, Some(tool))).collect(),
        _ => vec![prepared(address, asking, None)],
    };
    Load { address, path: "/mcp".to_owned(), requests: Arc::new(requests) }
}

fn prepared(address: SocketAddr, asking: Asking, tool: Option<&str>) -> Prepared {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
    let call = tool.map(|tool| {
        format!(r#""name":"{tool}","arguments":{{"query":"what everybody wants to know","limit":10}}"#)
    });
    let members: Vec<String> = call.into_iter().chain(asking.is_modern.then(|| meta.to_owned())).collect();
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"{}","params":{{{}}}}}"#,
        asking.method,
        members.join(",")
    );
    let version =
        if asking.is_modern { ProtocolVersion::LATEST_MODERN } else { ProtocolVersion::LATEST_LEGACY };
    let mut headers = HeaderMap::new();
    headers.insert(HOST, header::encode(&address.to_string()));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static(version.as_str()));
    if asking.is_modern {
        headers.insert(header::METHOD, HeaderValue::from_static(asking.method));
        headers.extend(tool.map(|tool| (header::NAME, header::encode(tool))));
    }
    Prepared { headers, body: Bytes::from(body), expects: StatusCode::OK }
}
