//! One decision, whatever the way: every version, method, spelling and replica.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use vmcp_testkit::{Answer, Client, ControlPlane, Issuer, RawBackend, Recorded, Reply, eventually, modern};

use super::{guarded, listen, tools};
use crate::two_planes::{PROGRAMS, data_plane};

const VERSIONS: [&str; 3] = ["2025-06-18", "2025-11-25", "2026-07-28"];

/// Everything that a server can offer, under names that begin with one letter, in both eras. A call is answered as a stream, if asked to.
async fn offering_all(letter: &'static str) -> RawBackend {
    RawBackend::start(move |recorded: &Recorded| {
        let tail = r#","resultType":"complete","ttlMs":0,"cacheScope":"public""#;
        let capabilities = r#"{"tools":{},"resources":{"subscribe":true},"prompts":{},"completions":{}}"#;
        let result = |members: &str| recorded.result(&format!("{{{members}{tail}}}"));
        match recorded.mcp_method().unwrap_or_default().as_str() {
            "server/discover" => result(&format!(r#""supportedVersions":["2026-07-28"],"capabilities":{capabilities}"#)),
            "initialize" => recorded.result(&format!(
                r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"serverInfo":{{"name":"x","version":"1"}}}}"#
            )),
            "notifications/initialized" => Reply::Status(http::StatusCode::ACCEPTED, String::new()),
            "tools/list" => result(r#""tools":[{"name":"echo","inputSchema":{"type":"object"}},{"name":"secret","inputSchema":{"type":"object"}}]"#),
            "prompts/list" => result(r#""prompts":[{"name":"ask"},{"name":"tell"}]"#),
            "resources/list" => result(&format!(r#""resources":[{{"uri":"{letter}://open","name":"o"}},{{"uri":"{letter}://shut","name":"s"}}]"#)),
            "resources/templates/list" => result(&format!(r#""resourceTemplates":[{{"uriTemplate":"{letter}://shut/{{x}}","name":"t"}}]"#)),
            "tools/call" => {
                let done = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[],"resultType":"complete"}}}}"#, recorded.id());
                match recorded.json()["params"]["arguments"]["how"].as_str() {
                    Some("events") => Reply::Events(vec![done]),
                    _ => Reply::Json(done),
                }
            }
            "prompts/get" => result(r#""messages":[]"#),
            "resources/read" => result(r#""contents":[]"#),
            "completion/complete" => result(r#""completion":{"values":[]}"#),
            "resources/subscribe" | "resources/unsubscribe" => recorded.result("{}"),
            _ => recorded.error(-32601),
        }
    })
    .await
}

/// Asks in one version, as those do who speak it.
async fn ask_in(client: &Client, version: &str, token: &str, method: &str, members: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    if version < "2026" {
        headers.push(("mcp-protocol-version", version));
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{members}}}}}"#);
        return client.post(&headers, body).await;
    }
    let (more, body) = modern(method, members);
    headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    client.post(&headers, body).await
}

/// A method, how it is asked for a name, and the names with whether alice may.
type Row = (&'static str, Box<dyn Fn(&str) -> String>, Vec<(&'static str, bool)>);

/// What is asked for under a name, how, and whether alice may.
fn table() -> Vec<Row> {
    let named = |name: &str| format!(r#""name":"{name}""#);
    let streamed = |name: &str| format!(r#""name":"{name}","arguments":{{"how":"events"}}"#);
    let uri = |uri: &str| format!(r#""uri":"{uri}""#);
    let of_prompt = |name: &str| {
        format!(r#""ref":{{"type":"ref/prompt","name":"{name}"}},"argument":{{"name":"x","value":""}}"#)
    };
    let of_template = |uri: &str| {
        format!(r#""ref":{{"type":"ref/resource","uri":"{uri}"}},"argument":{{"name":"x","value":""}}"#)
    };
    let tools = [
        ("a_echo", true),
        ("a_secret", false),
        ("b_echo", false),
        ("b_secret", false),
        ("echo", false),
        ("secret", false),
        ("A_ECHO", false),
        ("a_Echo", false),
        ("a%5Fecho", false),
        ("=?base64?YV9zZWNyZXQ=?=", false),
        ("a_echo ", false),
        ("a/echo", false),
    ];
    let prompts = [("a_ask", true), ("a_tell", false), ("b_ask", false), ("ask", false), ("A_ASK", false)];
    let uris = [
        ("a://open", true),
        ("a://shut", false),
        ("b://open", false),
        ("a://shut/1", false),
        ("A://open", false),
        ("a://%6Fpen", false),
    ];
    let templates = [("a://shut/{x}", false), ("b://shut/{x}", false), ("a://none/{x}", false)];
    vec![
        ("tools/call", Box::new(named), tools.to_vec()),
        ("tools/call", Box::new(streamed), tools.to_vec()),
        ("prompts/get", Box::new(named), prompts.to_vec()),
        ("completion/complete", Box::new(of_prompt), prompts.to_vec()),
        ("completion/complete", Box::new(of_template), templates.to_vec()),
        ("resources/read", Box::new(uri), uris.to_vec()),
    ]
}

/// T1.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
async fn authz_identical_on_every_path() {
    let (a, b) = (offering_all("a").await, offering_all("b").await);
    let (issuer, folder) = (Issuer::start().await, TempDir::new().unwrap());
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let planes = [data_plane(&control_plane, &[]).await, data_plane(&control_plane, &[]).await];
    let file = folder.path().join("audit.log");
    let permits = [
        r#"permit(principal == Client::"alice", action == Action::"call_tool", resource == Tool::"a_echo");"#,
        // Filtered, whatever policies say.
        r#"permit(principal == Client::"alice", action == Action::"call_tool", resource == Tool::"a_secret");"#,
        r#"permit(principal == Client::"alice", action == Action::"get_prompt", resource == Prompt::"a_ask");"#,
        r#"permit(principal == Client::"alice", action == Action::"read_resource", resource == Resource::"a://open");"#,
        r#"forbid(principal, action, resource in Backend::"b");"#,
    ];
    let more = format!(
        "aggregation: {{tools: [{{workload: a, filter: [echo]}}]}}\naudit: {{log_file: '{}'}}\n",
        file.display()
    );
    let manifest = |policies: &[&str]| guarded(&issuer, policies, &more, &[("a", a.url()), ("b", b.url())]);
    control_plane.apply(&manifest(&permits), &["--wait"]).await.good();
    let alice = issuer.token("alice", "vmcp", &json!({}));
    let count = || a.recorded().len() + b.recorded().len();
    let mut denials = 0;
    let asked = |backend: &RawBackend| {
        let told = ["tools/call", "prompts/get", "resources/read", "completion/complete"];
        told.iter().map(|method| backend.calls(method).len()).sum::<usize>()
    };
    for plane in &planes {
        let client = plane.client();
        for version in VERSIONS {
            let listed = ask_in(&client, version, &alice, "tools/list", "").await;
            assert_eq!(tools(&listed), ["a_echo"], "{version}");
            for (list, kind, expected) in [
                ("prompts/list", "prompts", json!(["a_ask"])),
                ("resources/list", "resources", json!(["a://open"])),
                ("resources/templates/list", "resourceTemplates", json!([])),
            ] {
                let listed = ask_in(&client, version, &alice, list, "").await.json();
                let key = if kind == "resources" { "uri" } else { "name" };
                let names: Value =
                    listed["result"][kind].as_array().unwrap().iter().map(|item| item[key].clone()).collect();
                assert_eq!(names, expected, "{version} {list}");
            }
            for (method, members, names) in table() {
                for (name, may) in names {
                    let before = (asked(&a), asked(&b));
                    let answer = ask_in(&client, version, &alice, method, &members(name)).await;
                    let what = format!("{version} {method} {name}: {}", answer.text());
                    if may {
                        let text = answer.text();
                        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&text);
                        let said: Value = serde_json::from_str(data).unwrap();
                        assert!(said["result"].is_object(), "{what}");
                        assert_eq!(asked(&a), before.0 + 1, "{what}");
                        continue;
                    }
                    if answer.code() == Some(-32020) {
                        // The header says something else than the body, whatever that is.
                        assert_eq!((asked(&a), asked(&b)), before, "{what}");
                        continue;
                    }
                    // What policies forbid is denied; what is filtered away, or was never there, is not there.
                    denials += usize::from(method == "tools/call" && name.starts_with("b_"));
                    let absent = ask_in(&client, version, &alice, method, &members("never://was")).await;
                    assert_eq!(answer.text().replace(name, "never://was"), absent.text(), "{what}");
                    assert_eq!((answer.status, answer.code()), (absent.status, absent.code()), "{what}");
                    assert_eq!((asked(&a), asked(&b)), before, "{what}");
                }
            }
            // Methods that nobody has reach nobody.
            let before = count();
            for method in ["tools/call/x", "Tools/Call", "tools/calls", "rpc.discover"] {
                let answer = ask_in(&client, version, &alice, method, r#""name":"a_secret""#).await;
                assert_eq!(answer.code(), Some(-32601), "{version} {method}: {}", answer.text());
            }
            if version > "2026" {
                for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
                    let answer =
                        ask_in(&client, version, &alice, method, r#""taskId":"made-up","inputResponses":{}"#)
                            .await;
                    assert!(answer.json()["error"].is_object(), "{method}: {}", answer.text());
                }
            }
            assert_eq!(count(), before);
        }
    }
    // Denials and calls are on record, each once.
    let log = fs_err::read_to_string(&file).unwrap();
    let records: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |decision: &str| {
        let theirs = records.iter().filter(|record| record["metadata"]["extra"]["decision"] == decision);
        theirs.filter(|record| record["type"] == "mcp_tool_call").count()
    };
    assert_eq!(of("allow"), a.calls("tools/call").len());
    assert_eq!(of("deny"), denials);
    assert!(denials > 0);

    // Revoked: within a second, on both, and her open streams with it.
    let mut streams = Vec::new();
    for plane in &planes {
        let watched = r#""notifications":{"resourceSubscriptions":["a://open"],"toolsListChanged":true}"#;
        let mut events = listen(&plane.client(), &alice, watched).await;
        assert!(events.next().await.is_some());
        streams.push(events);
    }
    control_plane.apply(&manifest(&permits[4..]), &[]).await.good();
    let is_gone = eventually(Duration::from_secs(1), async || {
        for plane in &planes {
            let members = r#""name":"a_echo""#;
            for version in VERSIONS {
                if ask_in(&plane.client(), version, &alice, "tools/call", members).await.json()["result"]
                    .is_object()
                {
                    return false;
                }
            }
        }
        true
    });
    assert!(is_gone.await);
    for events in &mut streams {
        while let Some(event) = events.next_within(Duration::from_secs(5)).await {
            assert!(!event.contains("a_echo"), "{event}");
        }
    }
}
