//! Backends that are slow to begin.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use vmcp_testkit::{LEGACY, RawBackend, Recorded, Reply, eventually, mcp_reply, modern};

use crate::{at, serve};

const ECHO: &str = r#"{"name":"echo","inputSchema":{"type":"object"}}"#;

async fn fast() -> RawBackend {
    RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, true, ECHO)
            .unwrap_or_else(|| recorded.result(r#"{"content":[],"resultType":"complete"}"#))
    })
    .await
}

#[tokio::test]
async fn straight_line_05_a_backend_that_hangs_at_start_delays_serving_by_at_most_two_seconds() {
    let (fast, hanging) = (fast().await, RawBackend::start(|_| Reply::Silence).await);
    let served = serve(&[at("fast", &fast.url()), at("hanging", &hanging.url())]).await;
    assert!(served.started().elapsed() < Duration::from_millis(2_500), "{:?}", served.started().elapsed());
    let asked = Instant::now();
    let answer = served.client().modern("tools/call", r#""name":"fast_echo""#).await;
    assert_eq!(answer.code(), None, "{}", answer.text());
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    let status = served.status().await;
    let hanging =
        status["backends"].as_array().unwrap().iter().find(|backend| backend["name"] == "hanging").unwrap();
    assert_eq!(hanging["counts"], serde_json::Value::Null, "unknown is not empty: {hanging}");
}

#[tokio::test]
async fn straight_line_05_a_late_child_joins_and_clients_are_told() {
    let fast = fast().await;
    let late = "{name: late, command: sh, args: [-c, 'sleep 3; exec vmcpctl demo clock']}".to_owned();
    let served = serve(&[at("fast", &fast.url()), late]).await;
    assert!(served.started().elapsed() < Duration::from_millis(2_500), "{:?}", served.started().elapsed());
    let before = served.client().modern("tools/list", "").await.text();
    assert!(before.contains("fast_echo") && !before.contains("late_now"), "{before}");

    let mut legacy = served.client().listen(LEGACY, None).await;
    let (headers, body) = modern("subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut subscription = served.client().listen(&headers, Some(body)).await;
    let first = subscription.next().await.unwrap();
    assert!(
        first.contains("notifications/subscriptions/acknowledged")
            && first.contains(r#""toolsListChanged":true"#),
        "{first}"
    );

    let told = legacy.next().await.unwrap();
    assert_eq!(told, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let told = subscription.next().await.unwrap();
    assert!(
        told.contains("notifications/tools/list_changed")
            && told.contains(r#""io.modelcontextprotocol/subscriptionId":1"#),
        "{told}"
    );
    let after = served.client().modern("tools/list", "").await.text();
    assert!(after.contains("late_now"), "{after}");

    let ending = async {
        let cancelled = subscription.next().await.unwrap();
        assert!(cancelled.contains("notifications/cancelled"), "{cancelled}");
        let result = subscription.next().await.unwrap();
        assert!(result.contains(r#""resultType":"complete""#) && result.contains(r#""id":1"#), "{result}");
        assert_eq!((subscription.next().await, legacy.next().await), (None, None));
    };
    tokio::join!(served.stop(), ending);
}

#[tokio::test]
async fn straight_line_05_a_child_that_needs_more_than_ten_seconds_joins_all_the_same() {
    let late = "{name: late, command: sh, args: [-c, 'sleep 11; exec vmcpctl demo clock']}".to_owned();
    let served = serve(&[late]).await;
    served.until_healthy("late", Duration::from_secs(30)).await;
    let status = served.status().await;
    assert_eq!(status["backends"][0]["eras"], serde_json::json!(["modern"]), "{status}");
    assert_eq!(served.process("late").await["restarts"], 0);
    assert_eq!(served.client().modern("tools/call", r#""name":"late_now""#).await.code(), None);
}

#[tokio::test]
async fn a_list_that_failed_is_asked_for_again() {
    let asked = AtomicUsize::new(0);
    let backend = RawBackend::start(move |recorded: &Recorded| {
        let is_list = recorded.mcp_method().as_deref() == Some("tools/list");
        if is_list && asked.fetch_add(1, Ordering::SeqCst) == 0 {
            return recorded.error(-32000);
        }
        mcp_reply(recorded, true, ECHO).unwrap_or_else(|| recorded.result("{}"))
    })
    .await;
    let served = serve(&[at("raw", &backend.url())]).await;
    let is_there = eventually(Duration::from_secs(10), async || {
        served.client().modern("tools/list", "").await.text().contains("raw_echo")
    });
    assert!(is_there.await, "{}", served.status().await);
}

#[tokio::test]
async fn a_child_that_comes_back_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("second");
    let script = format!(
        "if test -e {mark}; then exec vmcpctl demo notes; else touch {mark}; exec vmcpctl demo clock; fi",
        mark = mark.display()
    );
    let served = serve(&[format!("{{name: it, command: sh, args: [-c, '{script}']}}")]).await;
    served.until_healthy("it", Duration::from_secs(10)).await;
    assert!(served.client().modern("tools/list", "").await.text().contains("it_now"));
    let pid = served.process("it").await["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    let has_changed = eventually(Duration::from_secs(10), async || {
        let list = served.client().modern("tools/list", "").await.text();
        list.contains("it_write") && !list.contains("it_now")
    });
    assert!(has_changed.await, "{}", served.status().await);
}
