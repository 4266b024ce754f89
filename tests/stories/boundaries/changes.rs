//! Policies that change while they are asked.

use std::time::Duration;

use serde_json::json;
use vmcp_testkit::{ControlPlane, Issuer, RawBackend, Recorded, eventually, mcp_reply};

use super::{ask, call, listen, tools};
use crate::two_planes::{PROGRAMS, data_plane};

fn manifest(issuer: &Issuer, backend: &RawBackend, policies: &[&str]) -> String {
    let policies: Vec<String> = policies.iter().map(|policy| format!("      - {}", json!(policy))).collect();
    format!(
        "name: all\ngroup: g\nincoming_auth:\n  type: oidc\n  oidc: {{issuer: '{}', audience: vmcp}}\n  authz:\n    type: cedar\n    policies:\n{}\n---\nkind: group\nname: g\nworkloads: [{{name: a, url: '{}'}}]\n",
        issuer.url(),
        policies.join("\n"),
        backend.url()
    )
}

#[tokio::test]
async fn two_boundaries_07_a_policy_change_is_in_force_everywhere_within_a_second_and_closes_what_it_forbids()
{
    let backend = RawBackend::start(|recorded: &Recorded| match recorded.mcp_method().as_deref() {
        Some("server/discover") => recorded.result(
            r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{"subscribe":true}},"resultType":"complete"}"#,
        ),
        Some("resources/list") => recorded.result(r#"{"resources":[{"uri":"note://a","name":"a"}],"resultType":"complete"}"#),
        Some("tools/call") => recorded.result(r#"{"content":[],"resultType":"complete"}"#),
        _ => mcp_reply(recorded, true, r#"{"name":"t","inputSchema":{"type":"object"}}"#).unwrap_or_else(|| recorded.error(-32601)),
    })
    .await;
    let issuer = Issuer::start().await;
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let planes = [data_plane(&control_plane, &[]).await, data_plane(&control_plane, &[]).await];
    let ada = "permit(principal == Client::\"ada\", action, resource in Backend::\"a\");";
    let ben = "permit(principal == Client::\"ben\", action, resource in Backend::\"a\");";
    control_plane.apply(&manifest(&issuer, &backend, &[ada, ben]), &["--wait"]).await.good();
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
    control_plane.apply(&manifest(&issuer, &backend, &[ben]), &[]).await.good();
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
        if place % 2 == 0 {
            let mut heard = Vec::new();
            while let Some(event) = events.next_within(Duration::from_secs(2)).await {
                heard.push(event);
            }
            assert!(heard.iter().any(|event| event.contains("notifications/cancelled")), "{heard:?}");
        }
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
    let bad = manifest(
        &issuer,
        &backend,
        &[ben, "forbid(principal, action, resource) when { context.claim_role == \"x\" };"],
    );
    let said = control_plane.apply(&bad, &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("claim_role") && said.err.contains(":10:"), "{}", said.err);
    let still = ask(&planes[0].client(), Some(&of_ben), true, "tools/call", &call("a_t")).await;
    assert!(still.json()["result"].is_object());
}
