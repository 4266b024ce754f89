//! What is under way ends when it may not be any more.

use std::time::{Duration, Instant};

use serde_json::json;
use vmcp_testkit::{
    Client, ControlPlane, Events, Issuer, Recorded, Step, WireBackend, event, events, eventually, mcp_reply,
    modern, well,
};

use super::{ask, call, guarded, listen, offering, serve};
use crate::two_planes::{PROGRAMS, data_plane};

/// A backend whose answers are streams that say something, and never end.
async fn going_on() -> WireBackend {
    WireBackend::start(|recorded: &Recorded| {
        let tools = r#"{"name":"long","inputSchema":{"type":"object"}}"#;
        match mcp_reply(recorded, true, tools) {
            Some(reply) => well(reply),
            None => {
                let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"on"}}"#;
                let note = format!("data: {note}\n\n").into_bytes();
                vec![events(), event("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"begun\"}}"), Step::Repeat(note, Duration::from_millis(100))]
            }
        }
    })
    .await
}

/// How a stream goes on from now: until it ends, or for so long.
async fn rest(stream: &mut Events, time: Duration) -> (Vec<String>, bool) {
    let (mut heard, until) = (Vec::new(), Instant::now() + time);
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        match tokio::time::timeout(left, stream.next()).await {
            Ok(Some(event)) => heard.push(event),
            Ok(None) => return (heard, true),
            Err(_) => break,
        }
    }
    (heard, false)
}

/// A call of the long tool, of which the beginning has been heard.
async fn begun(client: &Client, token: &str) -> Events {
    let bearer = format!("Bearer {token}");
    let (more, body) = modern("tools/call", r#""name":"a_long","arguments":{"n":1}"#);
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    let mut stream = client.listen(&headers, Some(body)).await;
    assert!(stream.next().await.is_some_and(|event| event.contains("begun")));
    stream
}

/// Also where the backend offers each caller something else, so that the virtual server that everybody sees has nothing of it.
#[tokio::test]
async fn two_boundaries_07_a_call_under_way_ends_when_it_is_forbidden() {
    for more in ["", ", inventory: per_principal"] {
        let (backend, issuer) = (going_on().await, Issuer::start().await);
        let control_plane = ControlPlane::start(PROGRAMS).await;
        let plane = data_plane(&control_plane, &[]).await;
        let may = |who: &str| {
            format!(
                r#"permit(principal == Client::"{who}", action == Action::"call_tool", resource) when {{ context has arg_n && context.arg_n == 1 }};"#
            )
        };
        let (ada, ben) = (may("ada"), may("ben"));
        let manifest = |policies: &[&str]| {
            let whole = guarded(&issuer, policies, "", &[("a", backend.url())]);
            whole.replace("/mcp'}", &format!("/mcp'{more}}}"))
        };
        control_plane.apply(&manifest(&[&ada, &ben]), &["--wait"]).await.good();
        let mut streams = Vec::new();
        for name in ["ada", "ben"] {
            streams.push(begun(&plane.client(), &issuer.token(name, "vmcp", &json!({}))).await);
        }
        // Another change ends nothing.
        control_plane.apply(&manifest(&[&ada, &ben, &may("eve")]), &["--wait"]).await.good();
        for stream in &mut streams {
            assert!(!rest(stream, Duration::from_millis(500)).await.1, "{more}");
        }
        control_plane.apply(&manifest(&[&ben, &may("eve")]), &["--wait"]).await.good();
        let (heard, has_ended) = rest(&mut streams[0], Duration::from_secs(1)).await;
        let last = heard.last().cloned().unwrap_or_default();
        assert!(has_ended && last.contains("Unknown tool: a_long"), "{more}: {has_ended} {last}");
        assert!(!rest(&mut streams[1], Duration::from_millis(500)).await.1, "{more}: others go on");
    }
}

/// A key that its issuer has withdrawn lets nobody stay, as it lets nobody in.
#[tokio::test]
async fn jwt_and_jwks_hardening_of_streams() {
    let (backend, issuer) = (offering(&["t"], true).await, Issuer::start().await);
    let policy = "permit(principal, action, resource in Backend::\"a\");";
    let served = serve(&guarded(&issuer, &[policy], "", &[("a", backend.url())]), &["a"]).await;
    let client = served.client();
    let wanted = r#""notifications":{"toolsListChanged":true}"#;
    let old = issuer.token("ada", "vmcp", &json!({}));
    let mut of_old = listen(&client, &old, wanted).await;
    assert!(of_old.next().await.is_some());
    issuer.rotate("next", false);
    let new = issuer.token("ada", "vmcp", &json!({}));
    let is_known = eventually(Duration::from_secs(40), async || {
        ask(&client, Some(&new), true, "tools/call", &call("a_t")).await.status.as_u16() == 200
    });
    assert!(is_known.await);
    assert_eq!(ask(&client, Some(&old), true, "tools/list", "").await.status.as_u16(), 401);
    let mut of_new = listen(&client, &new, wanted).await;
    assert!(of_new.next().await.is_some());
    assert!(rest(&mut of_old, Duration::from_secs(20)).await.1, "it goes with the key");
    assert!(!rest(&mut of_new, Duration::from_secs(1)).await.1);
}
