//! A legacy client and a legacy backend in one session: what each says and asks by itself reaches the other, and nobody else.

mod resumption;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use vmcp_testkit::{
    Client, Events, LEGACY, Recorded, Served, Step, WireBackend, event, events, eventually, mcp_reply, well,
    whole,
};

use crate::program;

const TOOLS: &str = r#"{"name":"asks","inputSchema":{"type":"object"}},{"name":"well","inputSchema":{"type":"object"}},{"name":"breaks","inputSchema":{"type":"object"}},{"name":"swells","inputSchema":{"type":"object"}}"#;
const ASK: &str = r#"{"jsonrpc":"2.0","id":"their-id","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}"#;

/// What a backend has heard by itself.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) answers: Arc<AtomicUsize>,
    pub(crate) updates: Arc<AtomicUsize>,
}

/// A backend that keeps sessions: it asks in the middle of one call, and tells of a resource on the stream that a client opens.
pub(crate) async fn backend(heard: &Heard) -> WireBackend {
    let (answers, updates) = (heard.answers.clone(), heard.updates.clone());
    let sessions = AtomicUsize::new(0);
    WireBackend::start(move |recorded| {
        let message = recorded.json();
        let method = message["method"].as_str().unwrap_or_default();
        if message["id"] == "their-id" && method.is_empty() {
            answers.fetch_add(1, Ordering::SeqCst);
            return whole("202 Accepted", "", b"");
        }
        let result = |text: &str| format!(r#"{{"jsonrpc":"2.0","id":{},"result":{text}}}"#, recorded.id());
        let json = |text: &str| whole("200 OK", "content-type: application/json\r\n", result(text).as_bytes());
        match method {
            "" if recorded.header("last-event-id") == Some("event/1") => {
                let rest = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"the rest"}]}}"#;
                vec![events(), event(rest)]
            }
            "" if recorded.header("last-event-id") == Some("event/2") => {
                vec![events(), event(&format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"x":"{}"}}}}"#, "x".repeat(65 << 20)))]
            }
            "" if recorded.method == http::Method::GET => {
                let updated = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"raw://one"}}"#;
                let updated = format!("data: {updated}\n\n").into_bytes();
                vec![events(), Step::WriteEach(updates.clone(), updated)]
            }
            "initialize" => {
                let number = sessions.fetch_add(1, Ordering::SeqCst);
                let head = format!("content-type: application/json\r\nmcp-session-id: s{number}\r\n");
                let body = result(
                    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{"subscribe":true},"logging":{}},"serverInfo":{"name":"wire","version":"1"}}"#,
                );
                whole("200 OK", &head, body.as_bytes())
            }
            "tools/call" if message["params"]["name"] == "asks" => {
                let done = result(r#"{"content":[{"type":"text","text":"thank you"}]}"#);
                let waits = Step::WriteEach(answers.clone(), format!("data: {done}\n\n").into_bytes());
                vec![events(), event(ASK), waits]
            }
            "tools/call" if message["params"]["name"] == "swells" => {
                vec![events(), Step::Write(b"id: event/2\nretry: 10\ndata:\n\n".to_vec())]
            }
            "tools/call" if message["params"]["name"] == "breaks" => {
                vec![events(), Step::Write(b"id: event/1\nretry: 300\ndata:\n\n".to_vec())]
            }
            "tools/call" => json(r#"{"content":[]}"#),
            "ping" | "logging/setLevel" | "resources/subscribe" => json("{}"),
            "notifications/cancelled" | "notifications/roots/list_changed" => whole("202 Accepted", "", b""),
            _ => well(mcp_reply(recorded, false, TOOLS).unwrap_or_else(|| recorded.error(-32601))),
        }
    })
    .await
}

pub(crate) async fn serve(backend: &WireBackend) -> Served {
    let manifest = format!(
        "name: all\ngroup: g\nincoming_auth: {{type: anonymous}}\n---\nkind: group\nname: g\nworkloads:\n  - {{name: b, url: '{}'}}\n",
        backend.url()
    );
    let served = Served::start(program(), &manifest).await;
    served.until_healthy("b", Duration::from_secs(10)).await;
    served
}

/// A client with a session, of which these capabilities (JSON) may be asked.
struct Session {
    client: Client,
    id: String,
}

impl Session {
    async fn begin(served: &Served, capabilities: &str) -> Self {
        let client = served.client();
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"clientInfo":{{"name":"t","version":"1"}}}}}}"#
        );
        let id = client.post(LEGACY, body).await.header("mcp-session-id").unwrap();
        Self { client, id }
    }

    fn headers(&self) -> [(&str, &str); 2] {
        [LEGACY[0], ("mcp-session-id", &self.id)]
    }

    async fn post(&self, body: &str) -> vmcp_testkit::Answer {
        self.client.post(&self.headers(), body.to_owned()).await
    }

    async fn asks(&self, id: u32) -> Events {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"b_asks","arguments":{{}}}}}}"#
        );
        self.client.listen(&self.headers(), Some(body)).await
    }

    async fn answers(&self, question: &Value) {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":{question},"result":{{"action":"accept","content":{{}}}}}}"#);
        assert_eq!(self.post(&body).await.status, 202);
    }
}

/// Answers that nobody has asked for, as `/metrics` counts them.
async fn dropped(served: &Served) -> u64 {
    let metrics = served.admin("/metrics").request(reqwest::Method::GET, &[]).await.text();
    let line =
        metrics.lines().find_map(|line| line.split_once("messages_dropped_total{reason=\"unasked\"} "));
    line.unwrap_or_else(|| panic!("{metrics}")).1.parse().unwrap()
}

fn said(backend: &WireBackend, method: &str) -> Vec<Recorded> {
    backend
        .recorded()
        .into_iter()
        .filter(|recorded| recorded.mcp_method().as_deref() == Some(method))
        .collect()
}

#[tokio::test]
async fn a_question_of_a_legacy_backend_reaches_its_client_and_one_answer_of_that_client_reaches_it() {
    let heard = Heard::default();
    let backend = backend(&heard).await;
    let served = serve(&backend).await;
    let session = Session::begin(&served, r#"{"elicitation":{},"roots":{"listChanged":true}}"#).await;
    let other = Session::begin(&served, r#"{"elicitation":{}}"#).await;
    let mut stream = session.asks(7).await;
    let asked: Value = serde_json::from_str(&stream.next().await.unwrap()).unwrap();
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    assert_eq!(asked["params"]["message"], "Who?");
    assert_ne!(asked["id"], "their-id", "the client hears an id of ours");
    // Neither another client, nor an id that nobody gave, nor the backend's own is heard.
    other.answers(&asked["id"]).await;
    session.answers(&Value::from("vmcp-999999")).await;
    session.answers(&Value::from("their-id")).await;
    assert_eq!(dropped(&served).await, 3, "all three are counted");
    assert_eq!(heard.answers.load(Ordering::SeqCst), 0);
    session.answers(&asked["id"]).await;
    let answered: Value = serde_json::from_str(&stream.next().await.unwrap()).unwrap();
    assert_eq!(
        (&answered["id"], &answered["result"]["content"][0]["text"]),
        (&7.into(), &"thank you".into())
    );
    session.answers(&asked["id"]).await;
    assert_eq!(dropped(&served).await, 4);
    assert_eq!(heard.answers.load(Ordering::SeqCst), 1, "an answer is heard once");
    // The backend was told in `initialize` what it may ask of this client, and that is not all there is.
    let declared: Vec<Value> =
        said(&backend, "initialize").iter().map(|r| r.json()["params"]["capabilities"].clone()).collect();
    assert!(
        declared.iter().any(|all| all["roots"]["listChanged"] == true && all["elicitation"].is_object()),
        "{declared:?}"
    );
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_is_not_and_its_backend_hears_so() {
    let heard = Heard::default();
    let backend = backend(&heard).await;
    let served = serve(&backend).await;
    let session = Session::begin(&served, r#"{"sampling":{}}"#).await;
    let mut stream = session.asks(7).await;
    // The refusal is an answer to the backend's question, after which it goes on.
    let answered: Value = serde_json::from_str(&stream.next().await.unwrap()).unwrap();
    assert_eq!(
        (&answered["id"], &answered["result"]["content"][0]["text"]),
        (&7.into(), &"thank you".into())
    );
    let refused = backend.recorded().iter().any(|recorded| recorded.json()["error"]["code"] == -32601);
    assert!(refused, "it is told");
}

#[tokio::test]
async fn what_a_legacy_client_says_by_itself_reaches_the_backends_of_its_session() {
    let heard = Heard::default();
    let backend = backend(&heard).await;
    let served = serve(&backend).await;
    let session = Session::begin(&served, r#"{"roots":{"listChanged":true}}"#).await;
    // Before there is a session with the backend, and while there is one.
    let level = |level: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{{"level":"{level}"}}}}"#)
    };
    assert_eq!(session.post(&level("warning")).await.json()["result"], serde_json::json!({}));
    assert_eq!(session.post(&level("loud")).await.json()["error"]["code"], -32602);
    let call = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"b_well","arguments":{}}}"#;
    assert!(session.post(call).await.json()["result"].is_object());
    session.post(&level("debug")).await;
    session.post(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#).await;
    session.post(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#).await;
    let levels = || -> Vec<String> {
        let all = said(&backend, "logging/setLevel");
        all.iter().map(|r| r.json()["params"]["level"].as_str().unwrap().to_owned()).collect()
    };
    let has_heard = eventually(Duration::from_secs(2), async || {
        levels() == ["warning", "debug"]
            && said(&backend, "notifications/roots/list_changed").len() == 1
            && said(&backend, "notifications/cancelled").len() == 1
    });
    assert!(has_heard.await, "{:?}", levels());
    assert_eq!(said(&backend, "notifications/cancelled")[0].json()["params"]["requestId"], 3);
}

#[tokio::test]
async fn a_resource_that_a_legacy_client_watches_is_told_of_on_its_stream() {
    let heard = Heard::default();
    let backend = backend(&heard).await;
    let served = serve(&backend).await;
    let session = Session::begin(&served, "{}").await;
    let begun = session.client.post(&session.headers(), r#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#.to_owned()).await;
    assert_eq!(begun.json()["result"]["capabilities"]["resources"]["subscribe"], true, "{}", begun.text());
    let watch = |uri: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{{"uri":"{uri}"}}}}"#)
    };
    assert_eq!(session.post(&watch("raw://one")).await.json()["result"], serde_json::json!({}));
    assert_eq!(session.post(&watch("raw://nowhere")).await.json()["error"]["code"], -32002);
    let mut stream = session.client.listen(&session.headers(), None).await;
    let listens = async || {
        backend.recorded().iter().any(|recorded| {
            recorded.header("mcp-session-id") == Some("s1") && recorded.method == http::Method::GET
        })
    };
    assert!(eventually(Duration::from_secs(2), listens).await, "{:?}", backend.recorded().len());
    tokio::time::sleep(Duration::from_millis(100)).await;
    heard.updates.fetch_add(1, Ordering::SeqCst);
    let told: Value = serde_json::from_str(&stream.next().await.unwrap()).unwrap();
    assert_eq!(told["method"], "notifications/resources/updated", "{told}");
    assert_eq!(told["params"]["uri"], "raw://one");
}

const LARGE: usize = 10 * 1024 * 1024;

/// A result of 10 MiB, and as much in ten thousand messages of progress.
async fn large(is_modern: bool) -> WireBackend {
    WireBackend::start(move |recorded| {
        let tool = |name: &str| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
        if let Some(reply) = mcp_reply(recorded, is_modern, &format!("{},{}", tool("whole"), tool("pieces"))) {
            return well(reply);
        }
        let result = |text: &str| {
            let content = format!(r#"{{"content":[{{"type":"text","text":"{text}"}}],"resultType":"complete"}}"#);
            format!(r#"{{"jsonrpc":"2.0","id":{},"result":{content}}}"#, recorded.id())
        };
        match recorded.json()["params"]["name"].as_str() {
            Some("whole") => {
                let body = result(&"x".repeat(LARGE));
                whole("200 OK", "content-type: application/json\r\n", body.as_bytes())
            }
            _ => {
                let padding = "y".repeat(LARGE / 10_000);
                let message = |step: usize| {
                    let params = format!(r#"{{"progressToken":1,"progress":{step},"message":"{padding}"}}"#);
                    format!("data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{params}}}\n\n")
                };
                let all: String = (0..10_000).map(message).collect();
                vec![events(), Step::Write(all.into_bytes()), event(&result("done"))]
            }
        }
    })
    .await
}

/// In KiB, by its name in `/proc`.
fn memory(served: &Served, name: &str) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{}/status", served.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn eras_06_ten_mebibytes_and_ten_thousand_messages_pass_in_order_for_less_than_three_times_their_size()
{
    for is_modern in [true, false] {
        let backend = large(is_modern).await;
        let served = serve(&backend).await;
        let before = memory(&served, "VmRSS");
        for tool in ["b_whole", "b_pieces"] {
            let text = crate::two_planes::call(&served.client(), tool, is_modern).await.text();
            if tool == "b_whole" {
                assert!(text.contains(&"x".repeat(LARGE)), "{} bytes", text.len());
                continue;
            }
            let progress = text.lines().filter_map(|line| line.strip_prefix("data: "));
            let steps: Vec<u64> = progress
                .filter_map(|line| {
                    serde_json::from_str::<Value>(line).unwrap()["params"]["progress"].as_u64()
                })
                .collect();
            assert_eq!(steps, (0..10_000).collect::<Vec<u64>>());
            assert!(text.contains("done"));
        }
        let grown = (memory(&served, "VmHWM").saturating_sub(before)) * 1024;
        assert!(grown < 3 * u64::try_from(LARGE).unwrap(), "{} MiB", grown / 1024 / 1024);
    }
}

/// What clients in the field do (claude.ai, Claude Code, ChatGPT), and what they are answered.
#[tokio::test]
async fn eras_08_what_clients_in_the_field_do_works_where_it_may_and_is_refused_where_it_must_be() {
    let backend = backend(&Heard::default()).await;
    let served = serve(&backend).await;
    let session = Session::begin(&served, "{}").await;
    let call = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"b_well","arguments":{}}}"#;
    let list = r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#;
    let id = ("mcp-session-id", session.id.as_str());
    // A session per call, or none; any `Accept`; a version header that is late, doubled, or of another version than agreed.
    let works: [&[(&str, &str)]; 8] = [
        &[],
        &[LEGACY[0]],
        &[("accept", "*/*")],
        &[("accept", "application/*, text/*"), id],
        &[id],
        &[id, ("mcp-protocol-version", "2025-11-25, 2025-11-25")],
        &[id, ("mcp-protocol-version", "2025-11-25"), ("mcp-protocol-version", "2025-11-25")],
        &[id, ("mcp-protocol-version", "2026-07-28")],
    ];
    for headers in works {
        for body in [call, list] {
            let answer = session.client.post(headers, body.to_owned()).await;
            assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text());
            assert!(answer.json()["result"].is_object(), "{headers:?}: {}", answer.text());
        }
    }
    // The body says that it is modern, so the rules of modern requests hold (claude-code#93290 and others).
    let (modern, body) = vmcp_testkit::modern("tools/list", "");
    let header = |name: &'static str, value: &'static str| -> Vec<(&'static str, &'static str)> {
        let good = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
        good.into_iter()
            .map(|(known, good)| if known == name { (known, value) } else { (known, good) })
            .collect()
    };
    assert_eq!(modern.len(), 2);
    let refused = [
        (header("mcp-protocol-version", "2025-11-25"), 400, -32020),
        (header("mcp-method", "tools/call"), 400, -32020),
        (vec![("mcp-protocol-version", "2026-07-28")], 400, -32020),
        (vec![("mcp-method", "tools/list")], 400, -32020),
    ];
    for (headers, status, code) in refused {
        let answer = session.client.post(&headers, body.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["error"]["code"].as_i64()),
            (status, Some(code)),
            "{headers:?}"
        );
        assert_eq!(answer.json()["id"], 1, "{headers:?}");
    }
    let unknown = body.replace("2026-07-28", "2027-01-01");
    let headers = [("mcp-protocol-version", "2027-01-01"), ("mcp-method", "tools/list")];
    let answer = session.client.post(&headers, unknown).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"]["code"].as_i64()), (400, Some(-32022)));
    assert!(answer.json()["error"]["data"]["supported"].is_array(), "{}", answer.text());
    let bare = body.replacen(r#""io.modelcontextprotocol/clientCapabilities":{}"#, r#""x":1"#, 1);
    let answer = session.client.post(&header("", ""), bare).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"]["code"].as_i64()), (400, Some(-32602)));
    for method in ["ping", "initialize", "logging/setLevel", "resources/subscribe", "unknown/method"] {
        let (_, body) = vmcp_testkit::modern(method, "");
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        let answer = session.client.post(&headers, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["error"]["code"].as_i64()),
            (404, Some(-32601)),
            "{method}"
        );
    }
}
