//! How backends are reached: HTTP with SSE, headers, certificates, several addresses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use vmcp_testkit::{
    Answer, Certificate, Client, LEGACY, RawBackend, Recorded, Reply, Served, SseBackend, TlsDoor,
    eventually, mcp_reply,
};

use crate::program;
use crate::two_planes::call;

const TOOL: &str = r#"{"name":"x","inputSchema":{"type":"object"}}"#;
const HERE: &str = r#"{"content":[{"type":"text","text":"here"}],"resultType":"complete"}"#;

/// One virtual server over workloads, each a line of YAML. `more` stands in the virtual server.
async fn serve(more: &str, workloads: &[String]) -> Served {
    let workloads: String = workloads.iter().map(|workload| format!("  - {workload}\n")).collect();
    let manifest = format!(
        "name: all\ngroup: g\nincoming_auth: {{type: anonymous}}\n{more}---\nkind: group\nname: g\nworkloads:\n{workloads}"
    );
    Served::start(program(), &manifest).await
}

fn reason(answer: &Answer) -> String {
    answer.json()["error"]["data"]["reason"].as_str().unwrap_or_default().to_owned()
}

/// Answers well, with progress before it where the client wants some.
fn over_sse(recorded: &Recorded) -> Reply {
    if let Some(reply) = mcp_reply(recorded, false, TOOL) {
        return reply;
    }
    let Reply::Json(answer) = recorded.result(HERE) else { panic!("a body") };
    match recorded.mcp_method().as_deref() {
        Some("ping") => recorded.result("{}"),
        Some("tools/call") => {
            let ask = r#"{"jsonrpc":"2.0","id":"s1","method":"roots/list"}"#.to_owned();
            match recorded.json()["params"]["_meta"]["progressToken"].as_str() {
                Some(token) => {
                    let progress = format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"{token}","progress":1}}}}"#
                    );
                    Reply::Events(vec![ask, progress, answer])
                }
                None => Reply::Events(vec![ask, answer]),
            }
        }
        _ => Reply::Silence,
    }
}

#[tokio::test]
async fn a_backend_over_sse_is_listed_called_and_listened_to() {
    let backend = SseBackend::start(over_sse).await;
    let served = serve("", &[format!("{{name: b, url: '{}', transport: sse}}", backend.url())]).await;
    served.until_healthy("b", Duration::from_secs(10)).await;
    let client = served.client();
    for is_modern in [true, false] {
        let answer = call(&client, "b_x", is_modern).await;
        assert!(answer.text().contains("here"), "{}", answer.text());
    }
    // In a session of the client's, its calls share one stream.
    let begun = client
        .post(
            LEGACY,
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#.to_owned(),
        )
        .await;
    let session = begun.header("mcp-session-id").unwrap();
    let headers = [LEGACY[0], ("mcp-session-id", session.as_str())];
    let calls = (0..20).map(|id| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"b_x","_meta":{{"progressToken":"t{id}"}}}}}}"#
        );
        client.post(&headers, body)
    });
    for (id, answer) in futures_util::future::join_all(calls).await.into_iter().enumerate() {
        let text = answer.text();
        assert!(text.contains(&format!(r#""id":{id},"#)) && text.contains("here"), "{text}");
        assert!(text.contains(&format!(r#""progressToken":"t{id}""#)), "{text}");
        assert!(!text.contains("roots/list"), "{text}");
    }
    // The one that listens, and the client's; those of single calls have ended.
    assert!(
        eventually(Duration::from_secs(2), async || backend.sessions() == 2).await,
        "{}",
        backend.sessions()
    );
    let declined = backend.recorded().iter().filter(|r| r.text().contains("-32601")).count();
    // A few at a time; whoever asks more than is answered hears nothing.
    assert!(declined >= 4, "what it asks is declined: {declined}");

    backend.hang_up();
    let answer = client.post(
        &headers,
        r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"b_x"}}"#.to_owned(),
    );
    assert!(answer.await.text().contains("here"), "a stream that has ended is opened again");
}

#[tokio::test]
async fn a_backend_over_sse_that_says_its_tools_have_changed_is_asked() {
    let many = Arc::new(AtomicBool::new(false));
    let is_many = many.clone();
    let backend = SseBackend::start(move |recorded| {
        if recorded.mcp_method().as_deref() == Some("tools/list") && is_many.load(Ordering::SeqCst) {
            return recorded.result(&format!(r#"{{"tools":[{TOOL},{}]}}"#, TOOL.replace("\"x\"", "\"y\"")));
        }
        over_sse(recorded)
    })
    .await;
    let served = serve("", &[format!("{{name: b, url: '{}', transport: sse}}", backend.url())]).await;
    served.until_healthy("b", Duration::from_secs(10)).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    many.store(true, Ordering::SeqCst);
    backend.say(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let client = served.client();
    let lists = async || client.modern("tools/list", "").await.text().contains("b_y");
    assert!(eventually(Duration::from_secs(1), lists).await);
}

#[tokio::test]
async fn headers_reach_the_backend_and_those_of_the_client_only_if_they_are_to() {
    for is_modern in [true, false] {
        let backend = RawBackend::start(move |recorded: &Recorded| {
            mcp_reply(recorded, is_modern, TOOL).unwrap_or_else(|| recorded.result(HERE))
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        fs_err::write(&key, "canary-in-a-file\n").unwrap();
        let workload = format!(
            "{{name: b, url: '{}', headers: {{X-Own: own, Authorization: {{file: '{}', prefix: 'Bearer '}}}}}}",
            backend.url(),
            key.display()
        );
        let served = serve("passthrough_headers: [X-Tenant, X-Own]\n", &[workload]).await;
        served.until_healthy("b", Duration::from_secs(10)).await;
        let mut headers = vec![
            ("x-tenant", "acme"),
            ("x-own", "theirs"),
            ("x-other", "1"),
            ("authorization", "Bearer mine"),
            ("cookie", "c=1"),
        ];
        let (more, body) = vmcp_testkit::modern("tools/call", r#""name":"b_x""#);
        headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
        let answer = served.client().post(&headers, body).await;
        assert!(answer.text().contains("here"), "{}", answer.text());
        let listed = backend.calls("tools/list");
        assert_eq!(listed[0].header("authorization"), Some("Bearer canary-in-a-file"));
        let called = &backend.calls("tools/call")[0];
        assert_eq!(called.header("authorization"), Some("Bearer canary-in-a-file"));
        assert_eq!((called.header("x-tenant"), called.header("x-own")), (Some("acme"), Some("own")));
        assert_eq!((called.header("x-other"), called.header("cookie")), (None, None));
        assert!(!served.log().contains("canary") && !served.status().await.to_string().contains("canary"));
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_found_is_said_and_nothing_is_called_without_it() {
    let backend = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, true, TOOL).unwrap_or_else(|| recorded.result(HERE))
    })
    .await;
    let workload =
        format!("{{name: b, url: '{}', headers: {{X-Key: {{env: NOBODY_SETS_THIS}}}}}}", backend.url());
    let served = serve("", &[workload]).await;
    let is_said = eventually(Duration::from_secs(5), async || {
        served.status().await["backends"][0]["last_error"]
            .to_string()
            .contains("`NOBODY_SETS_THIS` is not set")
    });
    assert!(is_said.await, "{}", served.status().await);
    assert_eq!(backend.recorded().len(), 0);
}

#[tokio::test]
async fn workloads_05_tls_is_held_to_name_time_and_authority() {
    let backend = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, true, TOOL).unwrap_or_else(|| recorded.result(HERE))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut workloads = Vec::new();
    let mut doors = Vec::new();
    for (name, certificate, is_trusted) in [
        ("good", Certificate::Good, true),
        ("unknown", Certificate::Good, false),
        ("other", Certificate::OfAnother, true),
        ("expired", Certificate::Expired, true),
    ] {
        let door = TlsDoor::before(&backend.url(), certificate).await;
        let bundle = folder.path().join(format!("{name}.pem"));
        fs_err::write(&bundle, door.authority()).unwrap();
        let bundle = if is_trusted { format!(", ca_bundle: '{}'", bundle.display()) } else { String::new() };
        workloads.push(format!("{{name: {name}, url: '{}'{bundle}}}", door.url()));
        doors.push(door);
    }
    let served = serve("", &workloads).await;
    served.until_healthy("good", Duration::from_secs(10)).await;
    let answer = call(&served.client(), "good_x", true).await;
    assert!(answer.text().contains("here"), "{}", answer.text());
    let backends = served.status().await["backends"].clone();
    for (name, part) in
        [("unknown", "UnknownIssuer"), ("other", "not valid for name"), ("expired", "expired")]
    {
        let backend = backends.as_array().unwrap().iter().find(|backend| backend["name"] == name).unwrap();
        let error = backend["last_error"].to_string();
        assert!(error.contains(part), "{name}: {error}");
        assert_eq!(backend["counts"], serde_json::Value::Null, "{name}");
    }
}

#[tokio::test]
async fn certificates_that_are_put_in_place_later_are_used() {
    let backend = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, true, TOOL).unwrap_or_else(|| recorded.result(HERE))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    let door = TlsDoor::before(&backend.url(), Certificate::Good).await;
    let workloads = [
        format!("{{name: plain, url: '{}'}}", backend.url()),
        format!("{{name: private, url: '{}', ca_bundle: '{}'}}", door.url(), bundle.display()),
    ];
    let served = serve("", &workloads).await;
    served.until_healthy("plain", Duration::from_secs(10)).await;
    let is_said = eventually(Duration::from_secs(5), async || {
        served.status().await.to_string().contains("does not hold certificates")
    });
    assert!(is_said.await, "{}", served.status().await);
    fs_err::write(&bundle, door.authority()).unwrap();
    served.until_healthy("private", Duration::from_secs(30)).await;
    let client = served.client();
    let works = async || call(&client, "private_x", true).await.text().contains("here");
    assert!(eventually(Duration::from_secs(5), works).await, "{}", served.log());
}

#[tokio::test]
async fn a_key_that_is_replaced_is_used_before_long() {
    let wanted = Arc::new(std::sync::Mutex::new("old".to_owned()));
    let expected = wanted.clone();
    let backend = RawBackend::start(move |recorded: &Recorded| {
        if recorded.header("x-key") != Some(expected.lock().unwrap().as_str()) {
            return Reply::Status(http::StatusCode::UNAUTHORIZED, String::new());
        }
        mcp_reply(recorded, true, TOOL).unwrap_or_else(|| recorded.result(HERE))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs_err::write(&key, "old").unwrap();
    let workload =
        format!("{{name: b, url: '{}', headers: {{X-Key: {{file: '{}'}}}}}}", backend.url(), key.display());
    let served = serve("", &[workload]).await;
    served.until_healthy("b", Duration::from_secs(10)).await;
    *wanted.lock().unwrap() = "new".to_owned();
    assert_eq!(reason(&call(&served.client(), "b_x", true).await), "backend_auth_failed");
    fs_err::write(&key, "new").unwrap();
    let client = served.client();
    let works = async || call(&client, "b_x", true).await.text().contains("here");
    assert!(eventually(Duration::from_secs(15), works).await);
}

#[tokio::test]
async fn workloads_05_a_backend_that_refuses_connections_costs_one_clear_error_at_once() {
    let mut backend = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, true, TOOL).unwrap_or_else(|| recorded.result(HERE))
    })
    .await;
    let served = serve("", &[format!("{{name: b, url: '{}'}}", backend.url())]).await;
    served.until_healthy("b", Duration::from_secs(10)).await;
    backend.stop();
    for is_modern in [true, false] {
        let began = Instant::now();
        let answer = call(&served.client(), "b_x", is_modern).await;
        assert_eq!(reason(&answer), "backend_unavailable", "{}", answer.text());
        assert!(began.elapsed() < Duration::from_millis(1_200), "{:?}", began.elapsed());
    }
}

/// Counts its calls, and answers after a while.
async fn counting(pause: Duration) -> (RawBackend, Arc<AtomicUsize>) {
    let calls = Arc::<AtomicUsize>::default();
    let count = calls.clone();
    let backend = RawBackend::start(move |recorded: &Recorded| {
        mcp_reply(recorded, true, TOOL).unwrap_or_else(|| {
            count.fetch_add(1, Ordering::SeqCst);
            Reply::After(pause, Box::new(recorded.result(HERE)))
        })
    })
    .await;
    (backend, calls)
}

#[tokio::test]
async fn calls_go_where_the_fewest_are_under_way_and_around_an_address_that_fails() {
    let (slow, slow_calls) = counting(Duration::from_millis(200)).await;
    let (mut fast, fast_calls) = counting(Duration::from_millis(10)).await;
    let workload = format!("{{name: b, urls: ['{}', '{}']}}", slow.url(), fast.url());
    let served = serve("", &[workload]).await;
    served.until_healthy("b", Duration::from_secs(10)).await;
    let url = served.url().to_owned();
    let load = async |count: usize| {
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..4 {
            let client = Client::new(url.as_str());
            callers.spawn(async move {
                let mut failures = Vec::new();
                for turn in 0..count {
                    let answer = call(&client, "b_x", (turn + caller).is_multiple_of(2)).await;
                    if !answer.text().contains("here") {
                        failures.push(answer.text());
                    }
                }
                failures
            });
        }
        callers.join_all().await.concat()
    };
    assert_eq!(load(25).await, Vec::<String>::new());
    let (slow_count, fast_count) = (slow_calls.load(Ordering::SeqCst), fast_calls.load(Ordering::SeqCst));
    assert!(fast_count > 2 * slow_count && slow_count > 0, "{slow_count} slow, {fast_count} fast");
    // One of two goes; nothing was sent, so each call that meets it is sent to the other.
    fast.stop();
    assert_eq!(load(10).await, Vec::<String>::new());
    assert_eq!(fast_calls.load(Ordering::SeqCst), fast_count);
}
