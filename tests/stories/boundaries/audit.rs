//! What is recorded of requests.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use vmcp_testkit::{Client, Issuer, RawBackend, Recorded, Reply, Served, eventually, mcp_reply};

use super::{ask, call, listen, serve};

const ERAS: [bool; 2] = [false, true];

/// Tools that answer at once, as a stream, with an error of theirs, with an error of the protocol, and not at all.
async fn behaving() -> RawBackend {
    RawBackend::start(|recorded: &Recorded| {
        let tools = ["fine", "stream", "fails", "breaks", "slow", "secret"];
        let listed = tools.map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#));
        if let Some(reply) = mcp_reply(recorded, true, &listed.join(",")) {
            return reply;
        }
        let json = recorded.json();
        let done = |is_error: bool| {
            let text = r#"[{"type":"text","text":"done"}]"#;
            json!({"jsonrpc":"2.0","id":json["id"],"result":{"content":serde_json::from_str::<Value>(text).unwrap_or_default(),"isError":is_error,"token":"t0p-s3cret","resultType":"complete"}}).to_string()
        };
        match json["params"]["name"].as_str() {
            Some("stream") => {
                let progress = json!({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}});
                Reply::Events(vec![progress.to_string(), done(false)])
            }
            Some("fails") => Reply::Json(done(true)),
            Some("breaks") => recorded.error(-32603),
            Some("slow") => Reply::Silence,
            _ => Reply::Json(done(false)),
        }
    })
    .await
}

async fn recording(backend: &RawBackend, incoming: &str, audit: &str) -> Served {
    let manifest = format!(
        "name: all
group: g
incoming_auth: {incoming}
audit: {audit}
operational: {{timeouts: {{default: 1s}}}}
---
kind: group
name: g
workloads: [{{name: a, url: '{}'}}]
",
        backend.url()
    );
    serve(&manifest, &["a"]).await
}

fn records(file: &Path) -> Vec<Value> {
    let text = fs_err::read_to_string(file).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Waits until there are so many, and a while longer for one too many.
async fn settled(file: &Path, count: usize) -> Vec<Value> {
    eventually(Duration::from_secs(5), async || records(file).len() >= count).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let all = records(file);
    assert_eq!(all.len(), count, "{all:#?}");
    all
}

const POLICY: &str =
    r#"['@id("readers") permit(principal, action, resource) unless { resource == Tool::"a_secret" };']"#;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
async fn every_call_and_every_denial_is_one_record() {
    let (backend, issuer, folder) = (behaving().await, Issuer::start().await, TempDir::new().unwrap());
    let file = folder.path().join("audit.log");
    let incoming = format!(
        "{{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}, authz: {{type: cedar, policies: {POLICY}}}}}",
        issuer.url()
    );
    let served =
        recording(&backend, &incoming, &format!("{{component: ours, log_file: '{}'}}", file.display())).await;
    let client = served.client();
    let act = json!({"sub": "agent", "act": {"sub": "robot"}});
    let more = json!({"preferred_username": "Ada L.", "client_id": "app", "act": act});
    let token = issuer.token("ada", "vmcp", &more);
    let mut seen = 0;
    for is_modern in ERAS {
        let asked = async |token: Option<&str>, method: &str, params: &str| {
            ask(&client, token, is_modern, method, params).await
        };
        let good = Some(token.as_str());
        asked(None, "tools/list", "").await;
        asked(Some("x.y.z"), "tools/list", "").await;
        asked(good, "tools/list", "").await;
        asked(good, "resources/templates/list", "").await;
        for tool in ["fine", "stream", "fails", "breaks", "slow", "secret", "nothing"] {
            asked(good, "tools/call", &call(&format!("a_{tool}"))).await;
        }
        asked(good, "no/such", "").await;
        let malformed = client.post(&[("authorization", &format!("Bearer {token}"))], "{nonsense").await;
        assert_eq!(malformed.status.as_u16(), 400);
        let all = settled(&file, seen + 13).await;
        let said: Vec<[String; 4]> = all[seen..]
            .iter()
            .map(|record| {
                [
                    &record["type"],
                    &record["outcome"],
                    &record["target"]["name"],
                    &record["metadata"]["extra"]["decision"],
                ]
                .map(|value| value.as_str().unwrap_or("-").to_owned())
            })
            .collect();
        let expected = [
            ["http_request", "denied", "-", "-"],
            ["http_request", "denied", "-", "-"],
            ["mcp_tools_list", "success", "-", "-"],
            ["mcp_resources_list", "success", "-", "-"],
            ["mcp_tool_call", "success", "a_fine", "allow"],
            ["mcp_tool_call", "success", "a_stream", "allow"],
            ["mcp_tool_call", "application_error", "a_fails", "allow"],
            ["mcp_tool_call", "application_error", "a_breaks", "allow"],
            ["mcp_tool_call", "error", "a_slow", "allow"],
            ["mcp_tool_call", "denied", "a_secret", "deny"],
            ["mcp_tool_call", "failure", "a_nothing", "-"],
            ["http_request", "failure", "-", "-"],
            ["http_request", "failure", "-", "-"],
        ];
        assert_eq!(said, expected.map(|row| row.map(str::to_owned)));
        let call = &all[seen + 4];
        assert_eq!([&call["level"], &call["msg"], &call["component"]], ["AUDIT", "audit_event", "ours"]);
        assert_eq!(call["source"]["type"], "network");
        assert_eq!(call["source"]["value"], "127.0.0.1");
        let who = json!({"user_id": "ada", "user": "Ada L.", "issuer": issuer.url(), "client_id": "app"});
        for (name, value) in who.as_object().unwrap() {
            assert_eq!(&call["subjects"][name], value, "{call}");
        }
        assert_eq!(call["delegation"], json!(["agent", "robot"]));
        assert_eq!(call["target"]["method"], "tools/call");
        assert_eq!(call["target"]["type"], "tool");
        let extra = &call["metadata"]["extra"];
        assert_eq!(
            [&extra["backend_name"], &extra["backend_item"], &extra["virtual_server"]],
            ["a", "fine", "all"]
        );
        assert_eq!(extra["policies"], json!(["readers"]));
        assert!(extra["duration_ms"].as_f64() >= extra["backend_duration_ms"].as_f64(), "{extra}");
        assert!(
            extra["response_size_bytes"].as_u64() > Some(50)
                && extra["request_size_bytes"].as_u64() > Some(50)
        );
        assert!(call["data"].is_null());
        assert_eq!(all[seen + 7]["metadata"]["extra"]["jsonrpc_error_code"], -32603);
        seen += 13;
    }
    // Streams, and a call that nobody waits for any more.
    let open = listen(&client, &token, r#""notifications":{"toolsListChanged":true}"#).await;
    assert_eq!(settled(&file, seen + 1).await[seen]["type"], "sse_connection");
    drop(open);
    let slow = call("a_slow");
    let hasty = ask(&client, Some(&token), true, "tools/call", &slow);
    assert!(tokio::time::timeout(Duration::from_millis(300), hasty).await.is_err());
    let last = settled(&file, seen + 2).await.pop().unwrap();
    assert_eq!(last["metadata"]["extra"]["reason"], "given_up", "{last}");
    let text = fs_err::read_to_string(&file).unwrap();
    assert!(!text.contains(&token) && !text.contains("x.y.z"));
    // What was done last is written before the process ends.
    ask(&client, Some(&token), true, "tools/call", &call("a_fine")).await;
    served.stop().await;
    assert_eq!(records(&file).len(), seen + 3);
}

#[tokio::test]
async fn data_is_recorded_when_asked_for_and_without_secrets() {
    let (backend, folder) = (behaving().await, TempDir::new().unwrap());
    let file = folder.path().join("audit.log");
    let audit = format!(
        "{{logFile: '{}', include_request_data: true, includeResponseData: true, max_data_size: 300, redact: [ssn], exclude_event_types: [mcp_tools_list], detect_application_errors: false}}",
        file.display()
    );
    let served = recording(&backend, "{type: anonymous}", &audit).await;
    let client = served.client();
    ask(&client, None, false, "tools/list", "").await;
    let arguments = r#""name":"a_fails","arguments":{"password":"p4ss","ssn":"078-05","deep":[{"API_KEY":"k3y"}],"ok":1}"#;
    ask(&client, None, false, "tools/call", arguments).await;
    let long = format!(r#""name":"a_fine","arguments":{{"text":"{}"}}"#, "ä".repeat(400));
    ask(&client, None, false, "tools/call", &long).await;
    let all = settled(&file, 2).await;
    let [first, second] = &all[..] else { panic!("{all:?}") };
    assert_eq!(first["outcome"], "success");
    let hidden = "[REDACTED]";
    let shown = json!({"password": hidden, "ssn": hidden, "deep": [{"API_KEY": hidden}], "ok": 1});
    assert_eq!(first["data"]["request"]["arguments"], shown);
    assert_eq!(first["data"]["response"]["token"], hidden);
    assert_eq!(first["data"]["response"]["content"][0]["text"], "done");
    let cut = second["data"]["request"].as_str().unwrap();
    assert!(cut.len() <= 300 && cut.starts_with(r#"{"name":"a_fine""#), "{cut}");
    let text = fs_err::read_to_string(&file).unwrap();
    for secret in ["p4ss", "078-05", "k3y", "t0p-s3cret"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_refused_waits_or_is_counted() {
    for (overflow, is_answered) in [("refuse", false), ("drop_and_count", true), ("block", true)] {
        let (backend, folder) = (behaving().await, TempDir::new().unwrap());
        let file = folder.path().join("there").join("audit.log");
        let audit = format!("{{log_file: '{}', overflow: {overflow}}}", file.display());
        let served = recording(&backend, "{type: anonymous}", &audit).await;
        let client = served.client();
        let call = async || ask(&client, None, true, "tools/call", &call("a_fine")).await;
        assert!(call().await.json()["result"].is_object());
        let is_said =
            eventually(Duration::from_secs(5), async || served.log().contains("records cannot be written"));
        assert!(is_said.await, "{}", served.log());
        let second = call().await;
        assert_eq!(second.status.as_u16() == 200, is_answered, "{overflow}: {}", second.text());
        if !is_answered {
            assert_eq!(second.json()["error"]["data"]["reason"], "audit_unavailable");
            assert_eq!(backend.calls("tools/call").len(), 1);
        }
        // What was to be recorded is not lost.
        fs_err::create_dir(file.parent().unwrap()).unwrap();
        let expected = if is_answered { 2 } else { 1 };
        settled(&file, expected).await;
        assert!(call().await.json()["result"].is_object());
        settled(&file, expected + 1).await;
        let metrics = served.admin("/metrics").request(reqwest::Method::GET, &[]).await.text();
        let written = format!("vmcp_audit_records_total{{result=\"written\"}} {}", expected + 1);
        assert!(metrics.contains(&written), "{metrics}");
    }
}

#[tokio::test]
async fn a_collector_gets_records_as_logs() {
    let (backend, collector) =
        (behaving().await, RawBackend::start(|_: &Recorded| Reply::Json("{}".into())).await);
    let endpoint = collector.url().replace("/mcp", "");
    let served = recording(
        &backend,
        "{type: anonymous}",
        &format!("{{otlp_endpoint: '{endpoint}', event_types: [mcp_tool_call]}}"),
    )
    .await;
    ask(&served.client(), None, true, "tools/list", "").await;
    ask(&served.client(), None, true, "tools/call", &call("a_fine")).await;
    assert!(eventually(Duration::from_secs(5), async || !collector.recorded().is_empty()).await);
    let sent = collector.recorded();
    let logs = &sent[0].json()["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    assert_eq!((sent.len(), logs.as_array().map(Vec::len)), (1, Some(1)), "{logs}");
    let record: Value = serde_json::from_str(logs[0]["body"]["stringValue"].as_str().unwrap()).unwrap();
    assert_eq!([&record["type"], &record["target"]["name"]], ["mcp_tool_call", "a_fine"]);
    assert_eq!(sent[0].headers["content-type"], "application/json");
}

#[tokio::test]
async fn a_record_that_a_collector_rejects_holds_up_no_other() {
    let is_away = AtomicBool::new(true);
    let rejecting = move |recorded: &Recorded| {
        let is_taken = !String::from_utf8_lossy(&recorded.body).contains("a_fails");
        match is_taken {
            true if is_away.swap(false, Ordering::SeqCst) => {
                Reply::Status(StatusCode::TEMPORARY_REDIRECT, String::new())
            }
            true => Reply::Json("{}".into()),
            false => Reply::Status(StatusCode::BAD_REQUEST, String::new()),
        }
    };
    let (backend, collector) = (behaving().await, RawBackend::start(rejecting).await);
    let audit =
        format!("{{otlp_endpoint: '{}', event_types: [mcp_tool_call]}}", collector.url().replace("/mcp", ""));
    let served = recording(&backend, "{type: anonymous}", &audit).await;
    ask(&served.client(), None, true, "tools/list", "").await;
    for name in ["a_fine", "a_fails", "a_stream"] {
        ask(&served.client(), None, true, "tools/call", &call(name)).await;
    }
    let is_sent = |name: &str, least: usize| {
        let all = collector.recorded();
        let texts = all.iter().map(|recorded| String::from_utf8_lossy(&recorded.body).into_owned());
        texts.filter(|text| text.contains(name) && !text.contains("a_fails")).count() >= least
    };
    // What was not taken is sent again.
    let both = async || is_sent("a_fine", 2) && is_sent("a_stream", 1);
    assert!(eventually(Duration::from_secs(5), both).await);
}

#[tokio::test]
async fn over_sse_a_message_is_one_record() {
    let (backend, folder) = (behaving().await, TempDir::new().unwrap());
    let file = folder.path().join("audit.log");
    let served =
        recording(&backend, "{type: anonymous}", &format!("{{log_file: '{}'}}", file.display())).await;
    let base = served.url().trim_end_matches("/mcp");
    let mut stream =
        Client::new(format!("{base}/sse")).listen(&[("accept", "text/event-stream")], None).await;
    let endpoint = stream.next().await.expect("where messages go");
    let origin = base.split('/').take(3).collect::<Vec<_>>().join("/");
    let post = Client::new(format!("{origin}{endpoint}"));
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"old","version":"3"}}}"#;
    post.post(&[], hello).await;
    let all = settled(&file, 2).await;
    assert_eq!([&all[0]["type"], &all[1]["type"]], ["sse_connection", "mcp_initialize"]);
    assert_eq!(all[1]["subjects"]["client_name"], "old");
    assert_eq!(all[1]["metadata"]["extra"]["transport"], "sse");
}

/// Who is turned away for scopes is known.
#[tokio::test]
async fn a_record_of_missing_scopes_says_whose_they_are() {
    let (backend, issuer, folder) = (behaving().await, Issuer::start().await, TempDir::new().unwrap());
    let file = folder.path().join("audit.log");
    let incoming = format!(
        "{{type: oidc, oidc: {{issuer: '{}', audience: vmcp, required_scopes: [tools]}}}}",
        issuer.url()
    );
    let served = recording(&backend, &incoming, &format!("{{log_file: '{}'}}", file.display())).await;
    let token = issuer.token("ada", "vmcp", &json!({"client_id": "app"}));
    let refused = ask(&served.client(), Some(&token), true, "tools/list", "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let record = &settled(&file, 1).await[0];
    assert_eq!(
        (&record["outcome"], &record["subjects"]["user_id"]),
        (&"denied".into(), &"ada".into()),
        "{record}"
    );
}

/// A folder of records, as a manifest says: nothing, files that are put aside, and as many actors as are asked for.
#[tokio::test]
async fn records_are_kept_as_it_is_said() {
    let (backend, issuer, folder) = (behaving().await, Issuer::start().await, TempDir::new().unwrap());
    let file = |name: &str| folder.path().join(name);
    let off = format!("{{enabled: false, log_file: '{}'}}", file("off.log").display());
    let served = recording(&backend, "{type: anonymous}", &off).await;
    for _ in 0..20 {
        ask(&served.client(), None, true, "tools/call", &call("a_fine")).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!file("off.log").exists(), "nothing is recorded");

    let small = format!(
        "{{log_file: '{}', log_file_max_bytes: 4096, log_file_keep: 2, max_delegation_depth: 1}}",
        file("small.log").display()
    );
    let incoming = format!("{{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}}}", issuer.url());
    let served = recording(&backend, &incoming, &small).await;
    let token = issuer.token("ada", "vmcp", &json!({"act": {"sub": "app", "act": {"sub": "other"}}}));
    // However many of them are written at once.
    let is_aside = async || {
        ask(&served.client(), Some(&token), true, "tools/call", &call("a_fine")).await;
        file("small.log.2").exists()
    };
    assert!(eventually(Duration::from_secs(30), is_aside).await);
    for _ in 0..20 {
        ask(&served.client(), Some(&token), true, "tools/call", &call("a_fine")).await;
    }
    assert!(!file("small.log.3").exists());
    for name in ["small.log.1", "small.log.2"] {
        let record = &records(&file(name))[0];
        let text = record.to_string();
        assert!(text.contains("\"app\"") && !text.contains("\"other\""), "one actor: {text}");
    }
}

/// ToolHive's words for what is asked, in both eras.
#[tokio::test]
async fn records_say_what_was_asked_in_toolhives_words() {
    let (backend, folder) = (super::offering_everything().await, TempDir::new().unwrap());
    let file = folder.path().join("audit.log");
    let served =
        recording(&backend, "{type: anonymous}", &format!("{{log_file: '{}'}}", file.display())).await;
    let client = served.client();
    let of_prompt = r#""ref":{"type":"ref/prompt","name":"a_p"},"argument":{"name":"x","value":""}"#;
    let table = [
        ("tools/list", "", "mcp_tools_list", None),
        ("resources/list", "", "mcp_resources_list", None),
        ("prompts/list", "", "mcp_prompts_list", None),
        ("tools/call", r#""name":"a_t""#, "mcp_tool_call", Some("a_t")),
        ("resources/read", r#""uri":"note://a""#, "mcp_resource_read", Some("note://a")),
        ("prompts/get", r#""name":"a_p""#, "mcp_prompt_get", Some("a_p")),
        ("completion/complete", of_prompt, "mcp_completion", Some("a_p")),
    ];
    let mut seen = 0;
    for is_modern in ERAS {
        for (method, members, kind, name) in &table {
            ask(&client, None, is_modern, method, members).await;
            seen += 1;
            let all = settled(&file, seen).await;
            let record = &all[seen - 1];
            assert_eq!(record["type"], *kind, "{record}");
            assert_eq!(record["target"]["name"].as_str(), *name, "{record}");
            assert_eq!(record["target"]["method"], *method, "{record}");
        }
    }
    // What legacy clients say besides, in a session.
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{"listChanged":true}},"clientInfo":{"name":"t","version":"1"}}}"#;
    let traced = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let begun = client.post(&[("user-agent", "tester/1"), ("traceparent", traced)], hello).await;
    let session = begun.header("mcp-session-id").expect("a session");
    seen += 1;
    let first = settled(&file, seen).await.pop().unwrap();
    assert_eq!(first["type"], "mcp_initialize");
    let extra = &first["metadata"]["extra"];
    let text = first.to_string();
    assert!(text.contains("tester/1") && text.contains("0af7651916cd43dd8448eb211c80319c"), "{first}");
    assert!(!text.contains(&session), "a session id is a secret: {extra}");
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    for (message, kind) in [
        (r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#, "mcp_ping"),
        (r#"{"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{"level":"info"}}"#, "mcp_logging"),
        (
            r#"{"jsonrpc":"2.0","id":4,"method":"resources/subscribe","params":{"uri":"note://a"}}"#,
            "mcp_request",
        ),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "mcp_notification"),
        (r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#, "mcp_roots_list_changed"),
    ] {
        client.post(&headers, message).await;
        seen += 1;
        assert_eq!(settled(&file, seen).await[seen - 1]["type"], kind, "{message}");
    }
}
