//! Many clients of two principals with the same ids and progress tokens, over one of each: a child, a stream of 2024-11-05, a
//! connection of HTTP/2. It keeps the machine busy for a minute, so it is a test of its own, which runs beside no other.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a story that goes wrong may panic")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vmcp_testkit::{
    Answer, Certificate, Client, Issuer, RawBackend, Recorded, Reply, Served, SseBackend, TlsDoor, mcp_reply,
};

const CLIENTS: usize = 200;
const TIME: Duration = Duration::from_secs(60);
/// Between two calls of one client.
const PAUSE: Duration = Duration::from_millis(800);
const TOOL: &str = r#"{"name":"echo","inputSchema":{"type":"object"}}"#;

/// A backend that keeps sessions, and answers late, in any order, twice, and what nobody has asked.
fn says(recorded: &Recorded, is_stream: bool, turn: &AtomicU64) -> Reply {
    let message = recorded.json();
    let turn = turn.fetch_add(1, Ordering::Relaxed);
    match (recorded.mcp_method().as_deref(), mcp_reply(recorded, false, TOOL)) {
        (Some("initialize"), Some(Reply::Json(body))) if !is_stream => {
            Reply::WithHeaders(vec![("mcp-session-id", format!("s{turn}"))], body)
        }
        (_, Some(reply)) => reply,
        (Some("tools/call"), None) => {
            let params = &message["params"];
            let text = &params["arguments"]["text"];
            let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": params["_meta"]["progressToken"], "progress": 1, "message": text}});
            let answer = |id: &Value| {
                json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text}]}})
                    .to_string()
            };
            let forged = answer(&format!("nobody-{turn}").into());
            let answer = answer(&message["id"]);
            let all = match params["_meta"]["progressToken"].is_null() {
                true => vec![forged, answer.clone(), answer],
                false => vec![progress.to_string(), forged, answer.clone(), answer],
            };
            // From 0 to 200 ms, in no order.
            Reply::After(Duration::from_millis(turn.wrapping_mul(7_919) % 200), Box::new(Reply::Events(all)))
        }
        (Some("ping"), None) => recorded.result("{}"),
        _ => recorded.error(-32601),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eras_04_two_hundred_clients_with_the_same_ids_each_get_exactly_their_own() {
    let turn = Arc::new(AtomicU64::new(0));
    let turns = turn.clone();
    let stream = SseBackend::start(move |recorded| says(recorded, true, &turns)).await;
    let http = RawBackend::start(move |recorded| says(recorded, false, &turn)).await;
    let door = TlsDoor::before(&http.url(), Certificate::Good).await;
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    fs_err::write(&authority, door.authority()).unwrap();
    let issuer = Issuer::start().await;
    let manifest = format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}}}
---
kind: group
name: g
workloads:
  - {{name: child, command: python3, args: [{}]}}
  - {{name: stream, url: '{}', transport: sse, sessions: shared}}
  - {{name: http2, url: '{}', ca_bundle: {}, sessions: shared}}
",
        issuer.url(),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("crowd/child.py").display(),
        stream.url(),
        door.url(),
        authority.display(),
    );
    let served = Served::start(Path::new(env!("CARGO_BIN_EXE_vmcpctl-story")), &manifest).await;
    for backend in ["child", "stream", "http2"] {
        served.until_healthy(backend, Duration::from_secs(10)).await;
    }
    let until = Instant::now() + TIME;
    let answers = Arc::new(AtomicUsize::new(0));
    let crowd = (0..CLIENTS).map(|number| {
        let (client, answers) = (served.client(), answers.clone());
        // Of each principal as many modern as legacy ones.
        let token = issuer.token(["ada", "ben"][number / 2 % 2], "vmcp", &json!({}));
        tokio::spawn(async move { one(&client, &token, number, until, &answers).await })
    });
    let crowd: Vec<_> = crowd.collect();
    // They begin together, and some open a connection before there is one for all.
    tokio::time::sleep(TIME / 6).await;
    let connections = door.connections();
    for client in crowd {
        client.await.unwrap();
    }
    let answers = answers.load(Ordering::Relaxed);
    assert!(answers > CLIENTS * 20, "{answers} answers");
    assert_eq!(stream.sessions(), 3, "one of the control plane, and one of each principal");
    // The control plane looks after it now and then.
    assert!(door.connections() <= connections + 4, "{} connections, then {connections}", door.connections());
    let metrics = served.admin("/metrics").request(reqwest::Method::GET, &[]).await.text();
    let dropped = metrics.lines().find_map(|line| {
        line.strip_prefix("vmcp_backend_messages_dropped_total")?.rsplit(' ').next()?.parse().ok()
    });
    // At least what was forged over the stream and over HTTP/2.
    assert!(dropped > Some(answers / 2), "{dropped:?} dropped of {answers} answers");
}

/// Every second client is a modern one. Each calls the three backends in turn, all of them under one id and one token.
async fn one(client: &Client, token: &str, number: usize, until: Instant, answers: &AtomicUsize) {
    let is_modern = number.is_multiple_of(2);
    let session = if is_modern { String::new() } else { begin(client, token).await };
    let mut turn = number;
    while Instant::now() < until {
        let tool = ["child_echo", "stream_echo", "http2_echo"][turn % 3];
        let text = format!("client {number}, turn {turn}");
        let answer = call(client, token, &session, tool, &text).await;
        let mut responses = 0;
        for message in messages(&answer) {
            if message["method"] == "notifications/progress" {
                assert_eq!(message["params"]["progressToken"], "token", "{message}");
                assert_eq!(message["params"]["message"], text, "{tool}: {message}");
            } else {
                assert_eq!(message["id"], 1, "{tool}: {message}");
                assert_eq!(message["result"]["content"][0]["text"], text, "{tool}: {message}");
                responses += 1;
            }
        }
        assert_eq!(responses, 1, "{tool}: {}", answer.text());
        answers.fetch_add(1, Ordering::Relaxed);
        turn += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn begin(client: &Client, token: &str) -> String {
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
        "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let bearer = format!("Bearer {token}");
    let answer = client.post(&[("authorization", bearer.as_str())], body.to_string()).await;
    answer.header("mcp-session-id").expect("a session id")
}

async fn call(client: &Client, token: &str, session: &str, tool: &str, text: &str) -> Answer {
    let mut params = json!({"name": tool, "arguments": {"text": text}, "_meta": {"progressToken": "token"}});
    let mut headers = vec![("mcp-session-id", session)];
    if session.is_empty() {
        headers =
            vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", tool)];
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    let bearer = format!("Bearer {token}");
    headers.push(("authorization", &bearer));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    client.post(&headers, body.to_string()).await
}

/// Whether it is one body or a stream.
fn messages(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    match answer.header("content-type").as_deref() {
        Some("text/event-stream") => text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect(),
        _ => vec![answer.json()],
    }
}
