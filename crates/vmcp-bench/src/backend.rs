//! A neutral MCP server: answers both eras at once, from memory, and costs as little as it can.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tokio::net::TcpListener;
use vmcp_json::Limits;
use vmcp_mcp::{Message, method, result};
use vmcp_runtime::{Drain, listen};

const CAPABILITIES: &str = r#"{"tools":{}}"#;
const INFO: &str = r#"{"name":"neutral","version":"1"}"#;

/// Serves until it is killed.
pub(crate) async fn serve(address: SocketAddr, tools: usize) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("could not listen on {address}"))?;
    let list = Arc::new(tools_result(tools));
    let router = axum::Router::new().route("/mcp", post(answer)).with_state(list);
    listen(listener, router, Drain::new()).await;
    Ok(())
}

async fn answer(State(list): State<Arc<String>>, body: Bytes) -> Response {
    let Ok(Message::Request(request)) = Message::parse(&body, &Limits::new(1 << 24, 64)) else {
        return respond(StatusCode::ACCEPTED, Bytes::new());
    };
    let value = match request.method.as_ref() {
        method::TOOLS_CALL => {
            r#"{"content":[{"type":"text","text":"The answer is forty-two, as it has always been."}],"isError":false,"resultType":"complete"}"#.to_owned()
        }
        method::TOOLS_LIST => list.as_ref().clone(),
        method::DISCOVER => format!(
            r#"{{"supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{CAPABILITIES},"resultType":"complete","ttlMs":0,"cacheScope":"private"}}"#
        ),
        method::INITIALIZE => {
            format!(r#"{{"protocolVersion":"2025-11-25","capabilities":{CAPABILITIES},"serverInfo":{INFO}}}"#)
        }
        _ => "{}".to_owned(),
    };
    respond(StatusCode::OK, result(request.id.raw(), value.as_bytes()).into())
}

fn respond(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Tools of the size that real ones have, about 450 bytes each.
fn tools_result(count: usize) -> String {
    let tool = |n: usize| {
        format!(
            r#"{{"name":"tool_{n}","title":"Tool number {n}","description":"Looks something up in a system that many people use every day, and returns what it has found as text.","inputSchema":{{"type":"object","properties":{{"query":{{"type":"string","description":"What to look for"}},"limit":{{"type":"integer","minimum":1,"maximum":100}}}},"required":["query"]}},"annotations":{{"readOnlyHint":true}}}}"#
        )
    };
    let tools: Vec<String> = (0..count).map(tool).collect();
    format!(r#"{{"tools":[{}],"resultType":"complete","ttlMs":0,"cacheScope":"private"}}"#, tools.join(","))
}
