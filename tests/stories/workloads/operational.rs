//! Each key of `operational`, and what it does, in both eras.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use vmcp_testkit::{
    Answer, ControlPlane, LEGACY, RawBackend, Recorded, Reply, Served, Step, WireBackend, event, events,
    eventually, mcp_reply, well,
};

use crate::program;
use crate::two_planes::{PROGRAMS, call, data_plane};

const GRACE: Duration = Duration::from_millis(250);
const ERAS: [bool; 2] = [true, false];

/// One virtual server with this `operational`, over backends by name.
fn manifest(operational: &str, workloads: &[(&str, String)]) -> String {
    let workloads: String =
        workloads.iter().map(|(name, url)| format!("  - {{name: {name}, url: '{url}'}}\n")).collect();
    format!(
        "name: all\ngroup: g\nincoming_auth: {{type: anonymous}}\noperational: {operational}\n---\nkind: group\nname: g\nworkloads:\n{workloads}"
    )
}

async fn serve(operational: &str, workloads: &[(&str, String)]) -> Served {
    let served = Served::start(program(), &manifest(operational, workloads)).await;
    for (name, _) in workloads {
        served.until_healthy(name, Duration::from_secs(10)).await;
    }
    served
}

fn tools(names: &[&str]) -> String {
    let all: Vec<String> = names
        .iter()
        .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#))
        .collect();
    all.join(",")
}

const GOOD: &str = r#"{"content":[{"type":"text","text":"here"}],"resultType":"complete"}"#;

/// Answers well for as long as `is_well` says; otherwise not at all.
async fn turning(is_modern: bool) -> (RawBackend, Arc<AtomicBool>, Arc<AtomicUsize>) {
    let (is_well, calls) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default());
    let (well, count) = (is_well.clone(), calls.clone());
    let backend = RawBackend::start(move |recorded: &Recorded| {
        let is_call = recorded.mcp_method().as_deref() == Some("tools/call");
        if is_call {
            count.fetch_add(1, Ordering::SeqCst);
        }
        match (well.load(Ordering::SeqCst), recorded.mcp_method().as_deref()) {
            (false, _) if is_call => Reply::Status(http::StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            (_, Some("ping")) => recorded.result("{}"),
            _ => mcp_reply(recorded, is_modern, &tools(&["x"])).unwrap_or_else(|| recorded.result(GOOD)),
        }
    })
    .await;
    (backend, is_well, calls)
}

/// Hangs, falls silent, or makes progress for ever, as the tool is called.
async fn waiting(is_modern: bool) -> WireBackend {
    WireBackend::start(move |recorded| {
        if let Some(reply) = mcp_reply(recorded, is_modern, &tools(&["hangs", "silent", "progresses"])) {
            return well(reply);
        }
        match recorded.json()["params"]["name"].as_str() {
            Some("silent") => vec![events(), Step::Hang],
            Some("progresses") => {
                let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
                let Step::Write(progress) = event(progress) else { panic!("an event") };
                vec![events(), Step::Repeat(progress, Duration::from_millis(200))]
            }
            _ => vec![Step::Hang],
        }
    })
    .await
}

fn reason(answer: &Answer) -> Value {
    let text = answer.text();
    let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&text);
    let message: Value = serde_json::from_str(last).unwrap_or_default();
    message["error"]["data"]["reason"].clone()
}

#[tokio::test]
async fn workloads_07_timeouts_default_and_per_workload() {
    for is_modern in ERAS {
        let (one, two) = (waiting(is_modern).await, waiting(is_modern).await);
        let operational =
            "{timeouts: {default: 500ms, per_workload: {two: {first_byte: 1200ms, idle: 900ms, total: 2s}}}}";
        let served = serve(operational, &[("one", one.url()), ("two", two.url())]).await;
        let client = served.client();
        for (tool, millis) in [
            ("one_hangs", 500),
            ("one_silent", 500),
            ("two_hangs", 1_200),
            ("two_silent", 900),
            // Progress begins the silence anew, and never the whole.
            ("two_progresses", 2_000),
        ] {
            let began = Instant::now();
            let answer = call(&client, tool, is_modern).await;
            let took = began.elapsed();
            assert_eq!(reason(&answer), "backend_timeout", "{tool}: {}", answer.text());
            let bound = Duration::from_millis(millis);
            assert!(took >= bound - GRACE / 10 && took < bound + GRACE, "{tool}: {took:?}");
            assert_eq!(tool == "two_progresses", answer.text().contains("notifications/progress"), "{tool}");
        }
    }
}

#[tokio::test]
async fn workloads_07_timeouts_connect() {
    for is_modern in ERAS {
        let (mut backend, _, _) = turning(is_modern).await;
        let operational = "{timeouts: {per_workload: {b: {connect: 400ms}}}}";
        let served = serve(operational, &[("b", backend.url())]).await;
        let port = backend.port();
        backend.stop();
        // A port with as many connections waiting as it takes: the next one is neither refused nor taken.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        let address = ([127, 0, 0, 1], port).into();
        assert!(eventually(Duration::from_secs(5), async || socket.bind(address).is_ok()).await);
        let _listener = socket.listen(1).unwrap();
        let _waiting: Vec<_> =
            (0..4).map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(50))).collect();
        let began = Instant::now();
        let answer = call(&served.client(), "b_x", is_modern).await;
        assert_eq!(reason(&answer), "backend_unavailable", "{}", answer.text());
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(380) && took < Duration::from_millis(400) + GRACE, "{took:?}");
    }
}

#[tokio::test]
async fn workloads_07_health_check_interval_is_how_often_a_backend_is_asked_whether_it_is_there() {
    for is_modern in ERAS {
        let probe = if is_modern { "server/discover" } else { "ping" };
        let ((often, _, _), (seldom, _, _)) = (turning(is_modern).await, turning(is_modern).await);
        let _often = serve("{failure_handling: {health_check_interval: 1s}}", &[("b", often.url())]).await;
        let _seldom = serve("{}", &[("b", seldom.url())]).await;
        let (before_often, before) = (often.calls(probe).len(), seldom.calls(probe).len());
        tokio::time::sleep(Duration::from_millis(4_500)).await;
        let asked = often.calls(probe).len() - before_often;
        assert!((3..=5).contains(&asked), "{asked} times in 4.5 s");
        assert_eq!(seldom.calls(probe).len(), before, "every 30 s");
    }
}

#[tokio::test]
async fn workloads_07_unhealthy_threshold_is_how_often_it_may_not_answer() {
    for is_modern in ERAS {
        for (threshold, at_least, at_most) in [(1, 0, 2_500), (4, 2_400, 8_000)] {
            let (mut backend, _, _) = turning(is_modern).await;
            let operational = format!(
                "{{failure_handling: {{health_check_interval: 1s, unhealthy_threshold: {threshold}}}}}"
            );
            let served = serve(&operational, &[("b", backend.url())]).await;
            backend.stop();
            let began = Instant::now();
            served.until("b", "unhealthy", Duration::from_millis(at_most)).await;
            let took = began.elapsed();
            assert!(took >= Duration::from_millis(at_least), "threshold {threshold}: {took:?}");
        }
    }
}

#[tokio::test]
async fn workloads_07_health_check_timeout_is_how_long_it_may_take() {
    for is_modern in ERAS {
        for (timeout, expected) in [("400ms", "unhealthy"), ("5s", "healthy")] {
            let is_slow = Arc::new(AtomicBool::new(false));
            let slow = is_slow.clone();
            let backend = RawBackend::start(move |recorded: &Recorded| {
                let reply = match recorded.mcp_method().as_deref() {
                    Some("ping") => recorded.result("{}"),
                    _ => mcp_reply(recorded, is_modern, &tools(&["x"])).unwrap_or(Reply::Silence),
                };
                let is_probe = matches!(recorded.mcp_method().as_deref(), Some("ping" | "server/discover"));
                match is_probe && slow.load(Ordering::SeqCst) {
                    true => Reply::After(Duration::from_millis(900), Box::new(reply)),
                    false => reply,
                }
            })
            .await;
            let interval = if expected == "healthy" { "6s" } else { "1s" };
            let operational = format!(
                "{{failure_handling: {{health_check_interval: {interval}, health_check_timeout: {timeout}, unhealthy_threshold: 1}}}}"
            );
            let served = serve(&operational, &[("b", backend.url())]).await;
            is_slow.store(true, Ordering::SeqCst);
            if expected == "unhealthy" {
                served.until("b", expected, Duration::from_secs(5)).await;
                let error = served.status().await["backends"][0]["last_error"].clone();
                assert_eq!(error, "no answer in time");
            } else {
                tokio::time::sleep(Duration::from_secs(8)).await;
                served.until("b", expected, Duration::from_millis(100)).await;
            }
        }
    }
}

#[tokio::test]
async fn workloads_07_status_reporting_interval_is_how_often_a_replica_says_how_it_fares() {
    for is_modern in ERAS {
        let (backend, _, _) = turning(is_modern).await;
        for (interval, is_soon) in [("1s", true), ("60s", false)] {
            let control_plane = ControlPlane::start(PROGRAMS).await;
            let replica = data_plane(&control_plane, &[]).await;
            let operational = format!("{{failure_handling: {{status_reporting_interval: {interval}}}}}");
            let manifest = manifest(&operational, &[("b", backend.url())]);
            control_plane.apply(&manifest, &["--wait"]).await.good();
            let called = async |times: u64, patience| {
                assert!(call(&replica.client(), "b_x", is_modern).await.text().contains("here"));
                let is_said =
                    async || control_plane.status().await["replicas"][0]["requests"].as_u64() >= Some(times);
                eventually(Duration::from_millis(patience), is_said).await
            };
            // The first is said at once, and begins the time until the next.
            assert!(called(1, 2_000).await);
            assert_eq!(called(2, 2_500).await, is_soon, "{interval}");
        }
    }
}

#[tokio::test]
async fn workloads_07_partial_failure_mode_refuses_lists_or_names_what_is_missing() {
    for is_modern in ERAS {
        for mode in ["fail", "best_effort"] {
            let ((mut gone, _, _), (here, _, _)) = (turning(is_modern).await, turning(is_modern).await);
            let operational = format!(
                "{{failure_handling: {{partial_failure_mode: {mode}, health_check_interval: 1s, unhealthy_threshold: 1}}}}"
            );
            let served = serve(&operational, &[("gone", gone.url()), ("here", here.url())]).await;
            let list = async || match is_modern {
                true => served.client().modern("tools/list", "").await,
                false => {
                    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned();
                    served.client().post(LEGACY, body).await
                }
            };
            let whole = list().await.text();
            assert!(whole.contains("gone_x") && !whole.contains("unavailableBackends"), "{whole}");
            gone.stop();
            served.until("gone", "unhealthy", Duration::from_secs(5)).await;
            let is_missed = eventually(Duration::from_secs(2), async || {
                let answer = list().await;
                match mode {
                    "fail" => {
                        let error = answer.json()["error"].clone();
                        error["code"] == -32603
                            && error["data"]["reason"] == "backend_unavailable"
                            && error["data"]["backends"] == serde_json::json!(["gone"])
                    }
                    _ => {
                        let result = answer.json()["result"].clone();
                        let names: Vec<&str> = result["tools"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .filter_map(|tool| tool["name"].as_str())
                            .collect();
                        names == ["gone_x", "here_x"]
                            && result["_meta"]["vmcp/unavailableBackends"] == serde_json::json!(["gone"])
                    }
                }
            });
            assert!(is_missed.await, "{mode}: {}", list().await.text());
            assert!(call(&served.client(), "here_x", is_modern).await.text().contains("here"), "calls go on");
        }
    }
}

#[tokio::test]
async fn workloads_07_circuit_breaker_enabled_failure_threshold_and_timeout() {
    for is_modern in ERAS {
        for (breaker, reached) in [
            ("{enabled: false}", 12),
            ("{failure_threshold: 2}", 2),
            ("{enabled: true, failure_threshold: 7}", 7),
        ] {
            let (backend, is_well, calls) = turning(is_modern).await;
            let operational = format!("{{failure_handling: {{circuit_breaker: {breaker}}}}}");
            let served = serve(&operational, &[("b", backend.url())]).await;
            is_well.store(false, Ordering::SeqCst);
            let client = served.client();
            for _ in 0..12 {
                assert!(call(&client, "b_x", is_modern).await.json()["error"].is_object());
            }
            assert_eq!(calls.load(Ordering::SeqCst), reached, "{breaker}");
        }
        let (backend, is_well, calls) = turning(is_modern).await;
        let operational = "{failure_handling: {circuit_breaker: {failure_threshold: 1, timeout: 1s}}}";
        let served = serve(operational, &[("b", backend.url())]).await;
        is_well.store(false, Ordering::SeqCst);
        let client = served.client();
        // Each trial fails; without the bound on its time, the third would be four seconds away.
        let began = Instant::now();
        let tried = eventually(Duration::from_secs(5), async || {
            let answer = call(&client, "b_x", is_modern).await.json();
            let left = answer["error"]["data"]["retryAfterMs"].as_u64();
            assert!(left.is_none_or(|left| left <= 1_000), "{answer}");
            calls.load(Ordering::SeqCst) >= 4
        });
        assert!(tried.await && began.elapsed() > Duration::from_millis(2_200), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_backend_that_is_back_is_well_and_listed_even_if_nobody_calls_it() {
    for is_modern in ERAS {
        let (backend, is_well, _) = turning(is_modern).await;
        let operational = "{failure_handling: {partial_failure_mode: fail, circuit_breaker: {failure_threshold: 2, timeout: 2s}}}";
        let served = serve(operational, &[("b", backend.url())]).await;
        is_well.store(false, Ordering::SeqCst);
        let client = served.client();
        for _ in 0..3 {
            assert!(call(&client, "b_x", is_modern).await.json()["error"].is_object());
        }
        let refused = client.modern("tools/list", "").await;
        assert_eq!(reason(&refused), "backend_unavailable", "{}", refused.text());
        served.until("b", "unhealthy", Duration::from_secs(3)).await;
        let why = served.status().await["backends"][0]["last_error"].clone();
        assert_eq!(why, "calls to it fail: 1 of 1 replicas leave it alone");
        is_well.store(true, Ordering::SeqCst);
        let lists = async || client.modern("tools/list", "").await.code().is_none();
        assert!(eventually(Duration::from_secs(12), lists).await, "{}", served.status().await);
        served.until_healthy("b", Duration::from_secs(10)).await;
    }
}

#[tokio::test]
async fn what_one_client_asks_for_does_not_close_a_backend_to_others() {
    for is_modern in ERAS {
        let backend = RawBackend::start(move |recorded: &Recorded| {
            let all = tools(&["large", "x"]);
            mcp_reply(recorded, is_modern, &all).unwrap_or_else(|| {
                match recorded.json()["params"]["name"].as_str() {
                    Some("large") => Reply::Status(http::StatusCode::PAYLOAD_TOO_LARGE, "too large".into()),
                    _ => recorded.result(GOOD),
                }
            })
        })
        .await;
        let served =
            serve("{failure_handling: {circuit_breaker: {failure_threshold: 2}}}", &[("b", backend.url())])
                .await;
        for _ in 0..6 {
            let answer = call(&served.client(), "b_large", is_modern).await;
            assert_eq!(reason(&answer), "backend_protocol_error", "{}", answer.text());
        }
        assert!(call(&served.client(), "b_x", is_modern).await.text().contains("here"));
    }
}
