//! What is not accepted, and that the backend never hears of it.

use std::time::Duration;

use serde_json::Value;
use vmcp_testkit::{Client, RawBackend, Recorded, mcp_reply, modern};

use crate::{at, serve};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
const MODERN: &[(&str, &str)] =
    &[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "raw_echo")];

/// A tool with an argument that a header mirrors.
const ECHO: &str = r#"{"name":"echo","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}"#;

struct Case {
    what: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: u16,
    code: i64,
    id: Value,
}

fn case(
    what: &'static str,
    headers: &[(&'static str, &'static str)],
    body: impl Into<Vec<u8>>,
    expected: (u16, i64),
    id: Value,
) -> Case {
    Case { what, headers: headers.to_vec(), body: body.into(), status: expected.0, code: expected.1, id }
}

fn good() -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"raw_echo",{META}}}}}"#)
}

/// Bodies that are not one unambiguous JSON text within the bounds.
fn malformed_text() -> Vec<Case> {
    let envelope = |text: &str| good().replacen(r#""id":1"#, text, 1);
    let depth = |levels: usize| {
        let value = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        good().replace(r#""name":"raw_echo""#, &format!(r#""name":"raw_echo","arguments":{{"a":{value}}}"#))
    };
    let big = |size: usize| {
        let body = good().replace(r#""name""#, r#""pad":"#).len();
        good().replace(r#""name":"#, &format!(r#""pad":"{}","name":"#, "x".repeat(size.saturating_sub(body))))
    };
    vec![
        case("a member twice in the envelope", MODERN, envelope(r#""id":1,"id":2"#), (400, -32700), 1.into()),
        case(
            "the same, escaped",
            MODERN,
            envelope(r#""id":1,"\u006dethod":"tools/list""#),
            (400, -32700),
            1.into(),
        ),
        case(
            "a member twice in params",
            MODERN,
            good().replace(r#""name""#, r#""name":"x","name""#),
            (400, -32700),
            1.into(),
        ),
        case(
            "the same, escaped",
            MODERN,
            good().replace(r#""name""#, r#""n\u0061me":"x","name""#),
            (400, -32700),
            1.into(),
        ),
        case(
            "a member twice in _meta",
            MODERN,
            good().replace(r#"es":{}"#, r#"es":{},"a":1,"a":2"#),
            (400, -32700),
            1.into(),
        ),
        case(
            "a byte order mark",
            MODERN,
            [b"\xEF\xBB\xBF", good().as_bytes()].concat(),
            (400, -32700),
            Value::Null,
        ),
        case("trailing bytes", MODERN, format!("{} {{}}", good()), (400, -32700), Value::Null),
        case("a truncated body", MODERN, &good().as_bytes()[..60], (400, -32700), Value::Null),
        case(
            "bytes that are not UTF-8",
            MODERN,
            [good().as_bytes(), b"\xff"].concat(),
            (400, -32700),
            Value::Null,
        ),
        case("a batch", MODERN, format!("[{}]", good()), (400, -32600), Value::Null),
        case("an empty batch", MODERN, "[]", (400, -32600), Value::Null),
        case("depth over 64", MODERN, depth(62), (400, -32700), Value::Null),
        case("a body over 8 MiB", MODERN, big(8 * 1024 * 1024 + 100), (413, -32600), Value::Null),
    ]
}

/// JSON, but not a request that JSON-RPC knows.
fn malformed_envelope() -> Vec<Case> {
    let envelope = |text: &str| good().replacen(r#""id":1"#, text, 1);
    vec![
        case("an id that is null", MODERN, envelope(r#""id":null"#), (400, -32600), Value::Null),
        case("an id that is a fraction", MODERN, envelope(r#""id":1.5"#), (400, -32600), Value::Null),
        case("another JSON-RPC", MODERN, good().replace("2.0", "1.0"), (400, -32600), 1.into()),
        case(
            "params that are a list",
            MODERN,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
            (400, -32600),
            1.into(),
        ),
        case("another content type", &[("content-type", "text/plain")], good(), (415, -32600), Value::Null),
    ]
}

fn disagreeing() -> Vec<Case> {
    let with = |name: &'static str, value: Option<&'static str>| {
        let mut headers: Vec<_> = MODERN.iter().copied().filter(|(known, _)| *known != name).collect();
        headers.extend(value.map(|value| (name, value)));
        headers
    };
    let mismatch = |what, headers: Vec<(&'static str, &'static str)>| {
        case(what, &headers, good(), (400, -32020), 1.into())
    };
    let without = |member: &str| good().replace(member, "");
    let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#;
    let capabilities = r#","io.modelcontextprotocol/clientCapabilities":{}"#;
    let future =
        [("mcp-protocol-version", "2099-01-01"), ("mcp-method", "tools/call"), ("mcp-name", "raw_echo")];
    let in_region =
        good().replace(r#""name":"raw_echo""#, r#""name":"raw_echo","arguments":{"region":"eu"}"#);
    let param = |value: &'static str| with("mcp-param-region", Some(value));
    vec![
        case("a mirrored argument without its header", MODERN, in_region.clone(), (400, -32020), 1.into()),
        case("a mirrored argument and another header", &param("us"), in_region, (400, -32020), 1.into()),
        mismatch("a header of a mirrored argument that is not there", param("eu")),
        mismatch("no version header", with("mcp-protocol-version", None)),
        mismatch("another version header", with("mcp-protocol-version", Some("2025-11-25"))),
        mismatch("no method header", with("mcp-method", None)),
        mismatch("another method header", with("mcp-method", Some("tools/list"))),
        mismatch("a method header of another case", with("mcp-method", Some("Tools/Call"))),
        mismatch("no name header", with("mcp-name", None)),
        mismatch("another name header", with("mcp-name", Some("raw_other"))),
        mismatch("the original name in the header", with("mcp-name", Some("echo"))),
        mismatch("a name header that cannot be decoded", with("mcp-name", Some("=?base64?!!!?="))),
        mismatch("a name header that decodes to another name", with("mcp-name", Some("=?base64?cmF3?="))),
        case(
            "an unknown version",
            &future,
            good().replace("2026-07-28", "2099-01-01"),
            (400, -32022),
            1.into(),
        ),
        case("no _meta", MODERN, good().replace(&format!(",{META}"), ""), (400, -32602), 1.into()),
        case("no version in _meta", MODERN, without(version), (400, -32602), 1.into()),
        case("no capabilities in _meta", MODERN, without(capabilities), (400, -32602), 1.into()),
        case(
            "initialize with modern metadata",
            &[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "initialize")],
            good().replace("tools/call", "initialize"),
            (404, -32601),
            1.into(),
        ),
        case(
            "an unknown method",
            &[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/burn")],
            good().replace("tools/call", "tools/burn"),
            (404, -32601),
            1.into(),
        ),
        case(
            "an unknown session",
            &[("mcp-session-id", "nobody")],
            good().replace(META, r#""x":1"#),
            (404, -32600),
            1.into(),
        ),
        case("a foreign host", &[("host", "evil.example")], good(), (403, -32600), Value::Null),
        case("a foreign origin", &[("origin", "http://evil.example")], good(), (403, -32600), Value::Null),
    ]
}

#[tokio::test]
async fn straight_line_04_refused_with_the_specified_answer_and_the_backend_never_reached() {
    let backend = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, true, ECHO)
            .unwrap_or_else(|| recorded.result(r#"{"content":[],"resultType":"complete"}"#))
    })
    .await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let before = backend.recorded().len();
    for case in malformed_text().into_iter().chain(malformed_envelope()).chain(disagreeing()) {
        let what = case.what;
        let answer = served.client().post(&case.headers, case.body).await;
        assert_eq!(answer.status.as_u16(), case.status, "{what}: {}", answer.text());
        assert_eq!(answer.code(), Some(case.code), "{what}: {}", answer.text());
        assert_eq!(
            answer.json().get("id").cloned().unwrap_or_default(),
            case.id,
            "{what}: {}",
            answer.text()
        );
        assert_eq!(backend.recorded().len(), before, "{what} reached the backend");
    }
    let answer = served.client().post(MODERN, good()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (200, None),
        "the same without a fault: {}",
        answer.text()
    );
    assert_eq!(backend.recorded().len(), before + 1);
    let in_region =
        good().replace(r#""name":"raw_echo""#, r#""name":"raw_echo","arguments":{"region":"eu"}"#);
    let headers: Vec<_> =
        MODERN.iter().copied().chain([("mcp-param-region", "eu"), ("mcp-param-unknown", "x")]).collect();
    assert_eq!(served.client().post(&headers, in_region).await.code(), None);
    let sent = backend.recorded().pop().unwrap();
    assert_eq!((sent.header("mcp-param-region"), sent.header("mcp-param-unknown")), (Some("eu"), Some("x")));
    let legacy = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"raw_echo","arguments":{"region":"eu"}}}"#;
    assert_eq!(served.client().post(&[], legacy).await.code(), None);
    assert_eq!(
        backend.recorded().pop().unwrap().header("mcp-param-region"),
        Some("eu"),
        "made for a legacy client"
    );
    let deep = good().replace(
        r#""name":"raw_echo""#,
        &format!(r#""name":"raw_echo","arguments":{{"a":{}{}}}"#, "[".repeat(61), "]".repeat(61)),
    );
    assert_eq!(served.client().post(MODERN, deep).await.code(), None, "64 levels are accepted");
}

#[tokio::test]
async fn what_is_unknown_is_said_in_one_way_and_addresses_are_exact() {
    let backend = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, true, "").unwrap_or_else(|| recorded.result("{}"))
    })
    .await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let calls = backend.recorded().len();
    let answer = served.client().modern("tools/call", r#""name":"x\"y""#).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (200, Some(-32602)));
    assert_eq!(answer.json()["error"]["message"], "Unknown tool: x\"y");
    let answer = served.client().modern("resources/read", r#""uri":"other://x""#).await;
    assert_eq!(answer.code(), Some(-32602));
    assert_eq!(backend.recorded().len(), calls);

    let (headers, body) = modern("tools/list", "");
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let base = served.url().trim_end_matches("/mcp").to_owned();
    for (path, status) in [
        ("/mcp", 200),
        ("/all/mcp", 200),
        ("/other/mcp", 404),
        ("/ALL/mcp", 404),
        ("/mcp/", 404),
        ("//mcp", 404),
        ("/all%2fmcp", 404),
        ("/", 404),
    ] {
        let answer = Client::new(format!("{base}{path}")).post(&headers, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
    }
    let put = served.client().request(reqwest::Method::PUT, &[]).await;
    assert_eq!((put.status.as_u16(), put.header("allow").as_deref()), (405, Some("POST, GET, DELETE")));
}

#[tokio::test]
async fn a_backend_that_does_not_speak_mcp_costs_one_clear_error() {
    let backend = RawBackend::start(|recorded: &Recorded| {
        let tools =
            ["html", "empty", "other_id", "both", "batch", "busy", "forbidden", "gone", "ends", "fine"]
                .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#));
        mcp_reply(recorded, true, &tools.join(",")).unwrap_or_else(|| {
            use vmcp_testkit::Reply::{Events, Json, Status};
            let status = |code: u16| Status(http::StatusCode::from_u16(code).unwrap(), "no".into());
            match recorded.json()["params"]["name"].as_str().unwrap_or_default() {
                "fine" => recorded.result("{}"),
                "html" => Json("<html>".into()),
                "other_id" => Json(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#.into()),
                "both" => {
                    Json(r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#.into())
                }
                "batch" => Json(r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#.into()),
                "busy" => status(429),
                "forbidden" => status(403),
                "gone" => status(503),
                "ends" => Events(vec![r#"{"jsonrpc":"2.0","id":99,"result":{}}"#.into()]),
                _ => Status(http::StatusCode::ACCEPTED, String::new()),
            }
        })
    })
    .await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    for (tool, reason) in [
        ("html", "backend_protocol_error"),
        ("empty", "backend_protocol_error"),
        ("other_id", "backend_protocol_error"),
        ("both", "backend_protocol_error"),
        ("batch", "backend_protocol_error"),
        ("ends", "backend_protocol_error"),
        ("busy", "backend_busy"),
        ("forbidden", "backend_auth_failed"),
        ("gone", "backend_unavailable"),
    ] {
        // So many failures in a row would open its breaker.
        assert_eq!(served.client().modern("tools/call", r#""name":"raw_fine""#).await.code(), None);
        let answer = served.client().modern("tools/call", &format!(r#""name":"raw_{tool}""#)).await;
        assert_eq!(answer.status.as_u16(), 200, "{tool}");
        let text = answer.text();
        let text = text.split("data: ").last().unwrap_or_default();
        let error: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{tool}: {text}"));
        assert_eq!(error["error"]["data"]["reason"], reason, "{tool}: {text}");
        assert_eq!((&error["error"]["code"], &error["id"]), (&(-32603).into(), &1.into()), "{tool}: {text}");
    }
}

/// A few kilobytes do not make anybody hold gigabytes.
#[tokio::test]
async fn the_answers_to_a_batch_have_one_bound() {
    let backend = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, true, r#"{"name":"big","inputSchema":{"type":"object"}}"#).unwrap_or_else(|| {
            let text = "x".repeat(20 << 20);
            recorded.result(&format!(
                r#"{{"content":[{{"type":"text","text":"{text}"}}],"resultType":"complete"}}"#
            ))
        })
    })
    .await;
    let served = serve(&[at("b", &backend.url())]).await;
    let call = |id: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"b_big","arguments":{{}}}}}}"#
        )
    };
    let batch: Vec<String> = (0..10).map(call).collect();
    let headers = [("mcp-protocol-version", "2025-03-26")];
    let answer = served.client().post(&headers, format!("[{}]", batch.join(","))).await;
    let answers = answer.json();
    let answers = answers.as_array().expect("an answer to each");
    assert_eq!(answers.len(), 10);
    let reasons: Vec<Option<&str>> =
        answers.iter().map(|answer| answer["error"]["data"]["reason"].as_str()).collect();
    // Three have room; the fourth is called for nothing, and nobody is asked for the others.
    assert_eq!(reasons[..3], [None; 3]);
    assert_eq!(reasons[3..], [Some("batch_too_large"); 7]);
    assert!(answers.iter().enumerate().all(|(id, answer)| answer["id"] == id), "each under its id");
    assert_eq!(backend.calls("tools/call").len(), 4);
}

#[tokio::test]
async fn straight_line_04_a_batch_is_answered_in_2025_03_26_and_nowhere_else() {
    let backend = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, false, r#"{"name":"echo"}"#)
            .unwrap_or_else(|| recorded.result(r#"{"content":[ ]}"#))
    })
    .await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let call = |id: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"raw_echo"}}}}"#)
    };
    let told = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let batch = format!("[ {}, {told} ,{},{{\"jsonrpc\":\"2.0\",\"id\":3}}]", call("1"), call("\"two\""));
    let answer = served.client().post(&[("mcp-protocol-version", "2025-03-26")], batch.clone()).await;
    let answers = answer.json();
    assert_eq!(answers[0], serde_json::json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}));
    assert_eq!(answers[1]["id"], "two");
    assert_eq!((&answers[2]["id"], &answers[2]["error"]["code"]), (&3.into(), &(-32600).into()));
    assert_eq!(answers.as_array().unwrap().len(), 3);
    let answer = served.client().post(&[], format!("[{told}]")).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (202, ""));

    let reached = backend.recorded().len();
    for version in ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let answer = served.client().post(&[("mcp-protocol-version", version)], batch.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, Some(-32600)), "{version}");
    }
    let many = format!("[{}]", vec![call("1"); 65].join(","));
    for refused in ["[]", "[ ", many.as_str()] {
        let answer =
            served.client().post(&[("mcp-protocol-version", "2025-03-26")], refused.to_owned()).await;
        assert_eq!(answer.status.as_u16(), 400, "{}", answer.text());
    }
    assert_eq!(backend.recorded().len(), reached);
}
