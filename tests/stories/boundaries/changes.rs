//! Policies that change while they are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use vmcp_testkit::{
    Client, ControlPlane, Events, Issuer, RawBackend, Recorded, Reply, Step, WireBackend, event, events,
    eventually, mcp_reply, modern, well, whole,
};

use super::{ask, begin, call, guarded, in_session, listen, offering, tools};
use crate::eras::{self, Heard};
use crate::two_planes::{PROGRAMS, data_plane};

/// A backend with a tool, and a resource that can be subscribed to.
async fn watched() -> RawBackend {
    RawBackend::start(|recorded: &Recorded| match recorded.mcp_method().as_deref() {
        Some("server/discover") => recorded.result(
            r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{"subscribe":true}},"resultType":"complete"}"#,
        ),
        Some("resources/list") => recorded.result(r#"{"resources":[{"uri":"note://a","name":"a"}],"resultType":"complete"}"#),
        Some("tools/call") => recorded.result(r#"{"content":[],"resultType":"complete"}"#),
        _ => mcp_reply(recorded, true, r#"{"name":"t","inputSchema":{"type":"object"}}"#).unwrap_or_else(|| recorded.error(-32601)),
    })
    .await
}

#[tokio::test]
async fn two_boundaries_07_a_policy_change_is_in_force_everywhere_within_a_second_and_closes_what_it_forbids()
{
    let backend = watched().await;
    let issuer = Issuer::start().await;
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let planes = [data_plane(&control_plane, &[]).await, data_plane(&control_plane, &[]).await];
    let ada = "permit(principal == Client::\"ada\", action, resource in Backend::\"a\");";
    let ben = "permit(principal == Client::\"ben\", action, resource in Backend::\"a\");";
    control_plane
        .apply(&guarded(&issuer, &[ada, ben], "", &[("a", backend.url())]), &["--wait"])
        .await
        .good();
    let [of_ada, of_ben] = ["ada", "ben"].map(|name| issuer.token(name, "vmcp", &json!({})));
    let watched = r#""notifications":{"resourceSubscriptions":["note://a"],"toolsListChanged":true}"#;
    let mut streams = Vec::new();
    for plane in &planes {
        let client = plane.client();
        for token in [&of_ada, &of_ben] {
            assert_eq!(tools(&ask(&client, Some(token), true, "tools/list", "").await), ["a_t"]);
            let mut events = listen(&client, token, watched).await;
            let first = events.next_within(Duration::from_secs(5)).await.expect("an event");
            assert!(first.contains("note://a"), "{first}");
            streams.push(events);
        }
    }
    // Somebody's kill switch: ada may do nothing more.
    control_plane.apply(&guarded(&issuer, &[ben], "", &[("a", backend.url())]), &[]).await.good();
    let is_in_force = eventually(Duration::from_secs(1), async || {
        for plane in &planes {
            let refused = ask(&plane.client(), Some(&of_ada), true, "tools/call", &call("a_t")).await;
            if refused.json()["error"]["message"] != "Unknown tool: a_t" {
                return false;
            }
        }
        true
    });
    assert!(is_in_force.await);
    for (place, events) in streams.iter_mut().enumerate() {
        let mut heard = Vec::new();
        let end = async {
            while let Some(event) = events.next_within(Duration::from_secs(5)).await {
                heard.push(event);
            }
        };
        let is_forbidden = place % 2 == 0;
        let has_ended = tokio::time::timeout(Duration::from_secs(1), end).await.is_ok();
        let is_closed = heard.iter().any(|event| event.contains("notifications/cancelled"));
        assert_eq!((has_ended, is_closed), (is_forbidden, is_forbidden), "nothing else is closed: {heard:?}");
    }
    for plane in &planes {
        let client = plane.client();
        assert!(tools(&ask(&client, Some(&of_ada), true, "tools/list", "").await).is_empty());
        assert_eq!(tools(&ask(&client, Some(&of_ben), true, "tools/list", "").await), ["a_t"]);
        assert!(
            ask(&client, Some(&of_ben), true, "tools/call", &call("a_t")).await.json()["result"].is_object()
        );
    }
    // What cannot decide is refused with its line, and what was there stays.
    let bad = guarded(
        &issuer,
        &[ben, "forbid(principal, action, resource) when { context.claim_role == \"x\" };"],
        "",
        &[("a", backend.url())],
    );
    let said = control_plane.apply(&bad, &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("claim_role") && said.err.contains(":10:"), "{}", said.err);
    let still = ask(&planes[0].client(), Some(&of_ben), true, "tools/call", &call("a_t")).await;
    assert!(still.json()["result"].is_object());
}

/// A modern backend with a tool that goes on as a task, of which it would tell.
async fn working() -> WireBackend {
    WireBackend::start(|recorded: &Recorded| {
        let id = recorded.id();
        let json = |result: &str| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
            whole("200 OK", "content-type: application/json\r\n", body.as_bytes())
        };
        let acknowledged = r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{}}}"#;
        match recorded.mcp_method().unwrap_or_default().as_str() {
            "server/discover" => json(
                r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#,
            ),
            "tools/call" => json(
                r#"{"resultType":"task","taskId":"theirs","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttlMs":60000}"#,
            ),
            "subscriptions/listen" => vec![events(), event(acknowledged), Step::Hang],
            _ => well(
                mcp_reply(recorded, true, r#"{"name":"work","inputSchema":{"type":"object"}},{"name":"rest","inputSchema":{"type":"object"}}"#)
                    .unwrap_or_else(|| recorded.error(-32601)),
            ),
        }
    })
    .await
}

/// Asks as a modern client that knows of tasks.
async fn with_tasks(client: &Client, token: &str, method: &str, members: &str) -> Events {
    let bearer = format!("Bearer {token}");
    let (more, body) = modern(method, members);
    let extension = r#"clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    let body = body.replace(r#"clientCapabilities":{}"#, extension);
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    client.listen(&headers, Some(body)).await
}

/// Tasks of modern backends, and resources of legacy ones; and however soon it comes behind another change.
#[tokio::test]
async fn two_boundaries_07_whatever_is_heard_of_ends_with_the_right_to_it() {
    let (told, issuer) = (Heard::default(), Issuer::start().await);
    let (legacy, modern) = (eras::backend(&told).await, working().await);
    let workloads = [("l", legacy.url()), ("m", modern.url())];
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let plane = data_plane(&control_plane, &[]).await;
    let all = "permit(principal == Client::\"ada\", action, resource in MCP::\"all\");";
    control_plane.apply(&guarded(&issuer, &[all], "", &workloads), &["--wait"]).await.good();
    let (client, ada) = (plane.client(), issuer.token("ada", "vmcp", &json!({})));

    let bearer = format!("Bearer {ada}");
    let session = begin(&client, &ada, "{}").await;
    let headers = in_session(&bearer, &session);
    let watch = r#"{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"raw://one"}}"#;
    assert_eq!(client.post(&headers, watch).await.json()["result"], json!({}));
    let mut of_resource = client.listen(&headers, None).await;
    let is_heard = eventually(Duration::from_secs(5), async || {
        legacy.recorded().iter().any(|recorded| {
            recorded.method == http::Method::GET
                && recorded.header("mcp-session-id").is_some_and(|id| id != "s0")
        })
    });
    assert!(is_heard.await);
    tokio::time::sleep(Duration::from_millis(200)).await;
    told.updates.fetch_add(1, Ordering::SeqCst);
    let heard = of_resource.next_within(Duration::from_secs(5)).await.expect("an event");
    assert!(heard.contains("notifications/resources/updated"), "{heard}");

    let (more, body) = vmcp_testkit::modern("tools/call", &call("m_work"));
    let body = body.replace(
        r#"clientCapabilities":{}"#,
        r#"clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#,
    );
    let mut asking = vec![("authorization", bearer.as_str())];
    asking.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    let begun = client.post(&asking, body).await.json();
    let task = begun["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned();
    let wanted = format!(r#""notifications":{{"toolsListChanged":true,"taskIds":["{task}"]}}"#);
    let mut of_task = with_tasks(&client, &ada, "subscriptions/listen", &wanted).await;
    let first = of_task.next_within(Duration::from_secs(5)).await.expect("an event");
    assert!(first.contains(&task), "{first}");

    // One change is told; the next one comes at once.
    let less = "forbid(principal, action, resource == Tool::\"m_rest\");";
    control_plane.apply(&guarded(&issuer, &[all, less], "", &workloads), &[]).await.good();
    let changed = of_task.next_within(Duration::from_secs(5)).await.expect("an event");
    assert!(changed.contains("notifications/tools/list_changed"), "{changed}");
    let ben = all.replace("ada", "ben");
    control_plane.apply(&guarded(&issuer, &[&ben], "", &workloads), &[]).await.good();
    let end = async {
        let mut heard = Vec::new();
        while let Some(event) = of_task.next_within(Duration::from_secs(5)).await {
            heard.push(event);
        }
        heard
    };
    let heard = tokio::time::timeout(Duration::from_secs(1), end).await.expect("it ends within a second");
    assert!(heard.iter().any(|event| event.contains("notifications/cancelled")), "{heard:?}");
    told.updates.fetch_add(1, Ordering::SeqCst);
    let silence = async {
        while let Some(event) = of_resource.next_within(Duration::from_secs(5)).await {
            assert!(!event.contains("resources/updated"), "{event}");
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(800), silence).await;
}

/// A backend with one tool that says something and asks something on the stream of a session, each time that `ticks` goes up.
async fn talking(ticks: Arc<AtomicUsize>) -> WireBackend {
    WireBackend::start(move |recorded| {
        let json = |body: &str| whole("200 OK", "content-type: application/json\r\nmcp-session-id: s\r\n", body.as_bytes());
        if recorded.method == http::Method::GET {
            let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"of-l"}}"#;
            let question = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"of-l","requestedSchema":{"type":"object","properties":{}}}}"#;
            let both = format!("data: {note}\n\ndata: {question}\n\n").into_bytes();
            return vec![events(), Step::WriteEach(ticks.clone(), both)];
        }
        match mcp_reply(recorded, false, r#"{"name":"x","inputSchema":{"type":"object"}}"#) {
            Some(Reply::Json(body)) => json(&body),
            _ => json(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#, recorded.id())),
        }
    })
    .await
}

#[tokio::test]
async fn two_boundaries_07_what_a_backend_says_by_itself_ends_with_all_rights_to_it() {
    let (ticks, issuer) = (Arc::<AtomicUsize>::default(), Issuer::start().await);
    let (legacy, other) = (talking(ticks.clone()).await, offering(&["y"], true).await);
    let workloads = [("l", legacy.url()), ("m", other.url())];
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let plane = data_plane(&control_plane, &[]).await;
    let [all, less] =
        ["MCP::\"all\"", "Backend::\"m\""].map(|of| format!("permit(principal, action, resource in {of});"));
    control_plane.apply(&guarded(&issuer, &[&all], "", &workloads), &["--wait"]).await.good();
    let (client, ada) = (plane.client(), issuer.token("ada", "vmcp", &json!({})));
    let bearer = format!("Bearer {ada}");
    let session = begin(&client, &ada, r#"{"elicitation":{}}"#).await;
    let headers = in_session(&bearer, &session);
    let used = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"l_x"}}"#;
    assert!(client.post(&headers, used).await.json()["result"].is_object());
    let mut heard = client.listen(&headers, None).await;
    let mut said = Vec::new();
    let says = async {
        // Once it is heard at all.
        while said.len() < 2 {
            ticks.fetch_add(1, Ordering::SeqCst);
            while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(300), heard.next()).await {
                said.extend(event.contains("of-l").then_some(event));
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), says).await.expect("it is heard");
    assert!(said.iter().any(|event| event.contains("elicitation/create")), "{said:?}");

    control_plane.apply(&guarded(&issuer, &[&less], "", &workloads), &["--wait"]).await.good();
    for _ in 0..3 {
        ticks.fetch_add(1, Ordering::SeqCst);
        while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(300), heard.next()).await {
            assert!(!event.contains("of-l"), "{event}");
        }
    }
}
