//! What a backend is asked for, as whom, and what of its answers is used.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use vmcp_testkit::{RawBackend, Recorded, Reply, Served, mcp_reply};

use crate::sessions::{begin, call};
use crate::{at, serve};

async fn served(backend: &RawBackend, health: &str) -> Served {
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until("raw", health, Duration::from_secs(10)).await;
    served
}

async fn tools(served: &Served) -> Vec<Value> {
    let list = served.client().modern("tools/list", "").await.json();
    list["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect()
}

#[tokio::test]
async fn what_a_legacy_backend_offers_to_able_clients_alone_is_listed() {
    let backend = RawBackend::start(|recorded: &Recorded| {
        let declared = &recorded.json()["params"]["capabilities"];
        let is_able = ["sampling", "elicitation", "roots"].iter().all(|name| declared.get(name).is_some());
        let reply = mcp_reply(recorded, false, r#"{"name":"samples","inputSchema":{"type":"object"}}"#);
        match (recorded.mcp_method().as_deref(), reply) {
            (Some("initialize"), Some(Reply::Json(body))) => {
                let id = if is_able { "able" } else { "unable" };
                Reply::WithHeaders(vec![("mcp-session-id", id.to_owned())], body)
            }
            (Some("tools/list"), _) if recorded.header("mcp-session-id") != Some("able") => {
                recorded.result(r#"{"tools":[]}"#)
            }
            (_, reply) => reply.unwrap_or_else(|| recorded.result("{}")),
        }
    })
    .await;
    assert_eq!(tools(&served(&backend, "healthy").await).await, ["raw_samples"]);
}

#[tokio::test]
async fn eras_02_a_tool_whose_annotations_break_the_rules_is_left_out_and_the_others_stay() {
    let tool = |name: &str, schema: &str| {
        format!(r#"{{"name":"{name}","inputSchema":{{"type":"object","properties":{{"a":{schema}}}}}}}"#)
    };
    let all = [
        tool("good", r#"{"type":"string","x-mcp-header":"A"}"#),
        tool("bad", r#"{"type":"number","x-mcp-header":"A"}"#),
    ];
    let all = all.join(",");
    let backend = RawBackend::start(move |recorded: &Recorded| {
        mcp_reply(recorded, true, &all).unwrap_or_else(|| recorded.error(-32601))
    })
    .await;
    let served = served(&backend, "degraded").await;
    assert_eq!(tools(&served).await, ["raw_good"]);
    let status = served.status().await.to_string();
    assert!(status.contains("the tool `bad` was left out: `x-mcp-header` belongs to arguments"), "{status}");
}

#[tokio::test]
async fn a_session_that_is_called_no_valid_one_is_begun_again() {
    let begun = AtomicUsize::new(0);
    let backend = RawBackend::start(move |recorded: &Recorded| {
        let reply = mcp_reply(recorded, false, r#"{"name":"x","inputSchema":{"type":"object"}}"#);
        match (recorded.mcp_method().as_deref(), reply) {
            (Some("initialize"), Some(Reply::Json(body))) => {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                Reply::WithHeaders(vec![("mcp-session-id", number.to_string())], body)
            }
            // The control plane has begun the first, and a client the second, which is forgotten.
            (Some("tools/call"), _) if recorded.header("mcp-session-id") == Some("1") => {
                let body = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}"#;
                Reply::Status(http::StatusCode::BAD_REQUEST, body.to_owned())
            }
            (Some("tools/call"), _) => recorded.result(r#"{"content":[]}"#),
            (_, reply) => reply.unwrap_or_else(|| recorded.error(-32601)),
        }
    })
    .await;
    let served = served(&backend, "healthy").await;
    let client = served.client();
    let session = begin(&client).await;
    assert_eq!(
        call(&client, &session, "raw_x").await.text(),
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#
    );
    assert_eq!(backend.calls("tools/call").len(), 2, "refused once, executed once");
}
