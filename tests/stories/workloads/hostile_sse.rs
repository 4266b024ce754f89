//! The table of hostile backends over the transport of 2024-11-05, where the answers of all calls of a session come on one stream:
//! what goes wrong with one of them is that call's alone, unless it is the stream that ends.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;
use vmcp_testkit::{Client, LEGACY, RawBackend, Recorded, Reply, Served, SseBackend, mcp_reply};

use crate::workloads::beside::{self, AT_ONCE, GRACE, IDLE, LARGE};

/// What a tool does in place of answering.
type Plays = fn(&Recorded) -> Reply;

/// What the client hears, and how long it may wait.
struct Row {
    tool: &'static str,
    /// The reason, or nothing for an answer.
    reason: &'static str,
    within: Duration,
    plays: Plays,
}

const fn row(tool: &'static str, reason: &'static str, within: Duration, plays: Plays) -> Row {
    Row { tool, reason, within, plays }
}

fn answer(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"mine"}}]}}}}"#)
}

fn says<const N: usize>(messages: [String; N]) -> Reply {
    Reply::Events(messages.to_vec())
}

const ROWS: &[Row] = &[
    row("never_answers", "backend_timeout", IDLE, |_| Reply::Silence),
    row("too_late", "backend_timeout", IDLE, |asked| {
        Reply::After(IDLE + GRACE, Box::new(Reply::Json(answer(&asked.id()))))
    }),
    row("crashed", "backend_protocol_error", AT_ONCE, |_| {
        Reply::Status(StatusCode::INTERNAL_SERVER_ERROR, "stack trace with secrets".into())
    }),
    row("redirects", "backend_protocol_error", AT_ONCE, |_| Reply::Status(StatusCode::FOUND, String::new())),
    row("html", "backend_timeout", IDLE, |_| {
        Reply::Status(StatusCode::OK, "<html>with secrets</html>".into())
    }),
    row("invalid", "backend_protocol_error", AT_ONCE, |_| says([r#"{"jsonrpc":"2.0","id":1,"#.into()])),
    row("wrong_version", "backend_protocol_error", AT_ONCE, |asked| {
        says([answer(&asked.id()).replace("2.0", "1.0")])
    }),
    row("array", "backend_protocol_error", AT_ONCE, |asked| says([format!("[{}]", answer(&asked.id()))])),
    row("both", "backend_protocol_error", AT_ONCE, |asked| {
        let both = "\"error\":{\"code\":1,\"message\":\"x\"},\"result\"";
        says([answer(&asked.id()).replace("\"result\"", both)])
    }),
    row("odd_code", "backend_protocol_error", AT_ONCE, |asked| {
        says([format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":"one","message":"x"}}}}"#, asked.id())])
    }),
    row("wrong_id", "backend_timeout", IDLE, |_| says([answer("999"), answer("null"), answer("\"7\"")])),
    row("wrong_id_then_mine_twice", "", AT_ONCE, |asked| {
        says([answer("999"), answer(&asked.id()), answer(&asked.id())])
    }),
    row("asks", "", AT_ONCE, |asked| {
        let ask = r#"{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage","params":{}}"#;
        says([ask.into(), answer(&asked.id())])
    }),
    row("notifies_without_end", "", LARGE, |asked| {
        let note =
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;
        let mut messages = vec![note.to_owned(); 20_000];
        messages.push(answer(&asked.id()));
        Reply::Events(messages)
    }),
    row("large_event", "backend_response_too_large", LARGE, |asked| {
        let text = "x".repeat(65 * 1024 * 1024);
        says([answer(&asked.id()).replace("mine", &text)])
    }),
    row("unauthorized", "backend_auth_failed", AT_ONCE, |_| {
        Reply::Status(StatusCode::UNAUTHORIZED, String::new())
    }),
    row("forbidden", "backend_auth_failed", AT_ONCE, |_| Reply::Status(StatusCode::FORBIDDEN, String::new())),
];

struct World {
    served: Served,
    bad: SseBackend,
    _good: RawBackend,
}

impl World {
    async fn start() -> Self {
        let tool = |name: &str| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
        let tools: Vec<String> = ROWS.iter().map(|row| row.tool).chain(["well"]).map(tool).collect();
        let tools = tools.join(",");
        let bad = SseBackend::start(move |recorded| {
            if recorded.mcp_method().as_deref() == Some("ping") {
                return recorded.result("{}");
            }
            mcp_reply(recorded, false, &tools).unwrap_or_else(|| {
                let name = recorded.json()["params"]["name"].clone();
                let row = ROWS.iter().find(|row| name == row.tool);
                row.map_or_else(|| Reply::Json(answer(&recorded.id())), |row| (row.plays)(recorded))
            })
        })
        .await;
        let (served, good) = beside::serve(&format!("url: '{}', transport: sse", bad.url()), true).await;
        Self { served, bad, _good: good }
    }

    fn calls_of(&self, tool: &str) -> usize {
        self.bad.recorded().iter().filter(|recorded| recorded.json()["params"]["name"] == tool).count()
    }
}

/// A session of one client.
struct Session {
    client: Client,
    id: String,
}

impl Session {
    async fn begin(served: &Served) -> Self {
        let client = served.client();
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        let id = client.post(LEGACY, body.to_owned()).await.header("mcp-session-id").unwrap();
        Self { client, id }
    }

    /// The message that a call ends with, and how long that took.
    async fn call(&self, tool: &str, id: u32) -> (Value, Duration) {
        let began = Instant::now();
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#
        );
        let answer = self.client.post(&[LEGACY[0], ("mcp-session-id", &self.id)], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{tool}: {}", answer.text());
        let text = answer.text();
        assert!(!text.contains("secrets") && !text.contains("sampling/createMessage"), "{tool}: {text}");
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&text);
        let message = serde_json::from_str(last).unwrap_or_else(|_| panic!("{tool}: {text}"));
        (message, began.elapsed())
    }
}

fn reason(message: &Value) -> &str {
    message["error"]["data"]["reason"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn workloads_05_every_row_of_the_table_over_http_with_sse() {
    let world = World::start().await;
    let session = Session::begin(&world.served).await;
    for (row, id) in ROWS.iter().zip(7..) {
        let other = session.call("good_well", 1_000 + id);
        let tool = format!("bad_{}", row.tool);
        let ((message, took), (good, good_took)) = tokio::join!(session.call(&tool, id), other);
        let is_unnoticed = good_took < beside::unnoticed(row.within);
        assert!(good["result"].is_object() && is_unnoticed, "{tool}: {good_took:?} {good}");
        assert_eq!(message["id"], id, "{tool}: {message}");
        if row.reason.is_empty() {
            assert_eq!(message["result"]["content"][0]["text"], "mine", "{tool}: {message}");
        } else {
            assert_eq!(
                (reason(&message), &message["error"]["code"]),
                (row.reason, &(-32603).into()),
                "{tool}"
            );
            assert_eq!(message["error"]["data"]["backend"], "bad", "{tool}");
        }
        assert!(took < row.within + GRACE, "{tool}: {took:?}");
        assert_eq!(world.calls_of(row.tool), 1, "{tool} was sent again");
        let (well, _) = session.call("bad_well", 2_000 + id).await;
        assert_eq!(well["result"]["content"][0]["text"], "mine", "after {tool}: {well}");
    }
    let is_refusal = |message: Value| message["id"] == "s" && message["error"]["code"] == -32601;
    assert_eq!(world.bad.recorded().iter().filter(|recorded| is_refusal(recorded.json())).count(), 1);
}

/// Two clients that use one id have a stream each.
#[tokio::test]
async fn workloads_05_over_http_with_sse_an_answer_reaches_its_own_session_only() {
    let world = World::start().await;
    let (one, other) = (Session::begin(&world.served).await, Session::begin(&world.served).await);
    let ((waits, _), (answered, _)) =
        tokio::join!(one.call("bad_never_answers", 7), other.call("bad_wrong_id_then_mine_twice", 7));
    assert_eq!(reason(&waits), "backend_timeout", "{waits}");
    assert_eq!(answered["result"]["content"][0]["text"], "mine", "{answered}");
}

/// A stream that ends takes its calls with it, at once, and none is sent again.
#[tokio::test]
async fn workloads_05_over_http_with_sse_a_stream_that_ends_ends_its_calls() {
    let world = World::start().await;
    let session = Session::begin(&world.served).await;
    let ends = async {
        while world.calls_of("never_answers") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.bad.hang_up();
    };
    let ((message, took), ()) = tokio::join!(session.call("bad_never_answers", 7), ends);
    assert_eq!(reason(&message), "backend_unavailable", "{message}");
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(world.calls_of("never_answers"), 1);
    let (well, _) = session.call("bad_well", 8).await;
    assert_eq!(well["result"]["content"][0]["text"], "mine", "in a stream that is opened again: {well}");
}
