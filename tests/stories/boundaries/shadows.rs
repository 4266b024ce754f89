//! A name that a policy speaks of stays with who had it: nobody gets another's rights by being called alike.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use vmcp_testkit::{ControlPlane, Issuer, RawBackend};

use super::{ask, call, guarded, offering, offering_everything, tools};
use crate::two_planes::{PROGRAMS, data_plane};

/// Names that look or are written alike, and names of ours.
const ALIKE: &[&str] = &[
    "send_email",
    "a_send_email",
    "A.send_email",
    "send_email\u{200b}",
    "s\u{435}nd_email",
    "Send_Email",
    "tools/call",
    "vmcp_status",
];

fn manifest(issuer: &Issuer, strategy: &str, workloads: &[(&str, String)]) -> String {
    let owned = if strategy.contains("prefix") { "a_send_email" } else { "send_email" };
    let policy =
        format!("permit(principal, action == Action::\"call_tool\", resource == Tool::\"{owned}\");");
    guarded(issuer, &[&policy], &format!("aggregation: {strategy}\n"), workloads)
}

/// T10.
#[tokio::test]
async fn shadowing_never_transfers_rights() {
    let a = offering(&["send_email"], true).await;
    let b = offering(ALIKE, true).await;
    let issuer = Issuer::start().await;
    let token = issuer.token("ada", "vmcp", &json!({}));
    // `b` comes before `a` in the second order, and in no order at all in the third.
    for strategy in [
        "{conflict_resolution: priority, conflict_resolution_config: {priority_order: [a, b]}}",
        "{conflict_resolution: priority, conflict_resolution_config: {priority_order: [b, a]}}",
        "{conflict_resolution: manual}",
        "{conflict_resolution: prefix}",
    ] {
        let mut control_plane = ControlPlane::start(PROGRAMS).await;
        let planes = [data_plane(&control_plane, &[]).await, data_plane(&control_plane, &[]).await];
        // It owns its name before anybody else comes.
        let alone = strategy.replace("[a, b]", "[a]").replace("[b, a]", "[a]");
        control_plane.apply(&manifest(&issuer, &alone, &[("a", a.url())]), &["--wait"]).await.good();
        let owned = if strategy.contains("prefix") { "a_send_email" } else { "send_email" };
        assert_eq!(tools(&ask(&planes[0].client(), Some(&token), true, "tools/list", "").await), [owned]);
        control_plane
            .apply(&manifest(&issuer, strategy, &[("a", a.url()), ("b", b.url())]), &["--wait"])
            .await
            .good();
        let mut seen = BTreeSet::new();
        for round in 0..4 {
            if round > 0 {
                control_plane.stop().await;
                control_plane.start_again().await;
                for plane in &planes {
                    control_plane.until_current(&plane.replica, Duration::from_secs(20)).await;
                }
            }
            for plane in &planes {
                let client = plane.client();
                let listed = tools(&ask(&client, Some(&token), true, "tools/list", "").await);
                for name in &listed {
                    let before = b.calls("tools/call").len();
                    ask(&client, Some(&token), true, "tools/call", &call(name)).await;
                    assert_eq!(
                        b.calls("tools/call").len(),
                        before,
                        "{strategy}: `{name}` reaches the other one"
                    );
                }
                for name in ALIKE {
                    let before = b.calls("tools/call").len();
                    ask(&client, Some(&token), false, "tools/call", &call(name)).await;
                    assert_eq!(
                        b.calls("tools/call").len(),
                        before,
                        "{strategy}: `{name}` reaches the other one"
                    );
                }
                seen.insert(listed);
            }
        }
        // The same on both, and after every restart.
        assert_eq!(seen.len(), 1, "{strategy}: {seen:?}");
        let listed = seen.pop_first().unwrap();
        assert!(listed.is_empty() || listed == [owned], "{strategy}: {listed:?}");
        let status = control_plane.status().await.to_string();
        let is_contested = !strategy.contains("prefix");
        assert!(!is_contested || status.contains("send_email"), "{strategy}: {status}");
    }
    assert!(b.calls("tools/call").is_empty());
}

/// T10, where policies name in a condition what they speak of: when its owner goes, nobody else is it.
#[tokio::test]
async fn shadowing_never_transfers_rights_that_conditions_name() {
    let (a, b) = (offering(&["send_email"], true).await, offering(&["send_email"], true).await);
    let issuer = Issuer::start().await;
    let token = issuer.token("ada", "vmcp", &json!({}));
    let policies = [
        r#"permit(principal, action == Action::"call_tool", resource) when { resource == Tool::"send_email" };"#,
        r#"permit(principal, action == Action::"call_tool", resource) when { [Tool::"x", Tool::"send_email"].contains(resource) };"#,
        r#"permit(principal, action == Action::"call_tool", resource) when { resource.name == "send_email" };"#,
        r#"permit(principal, action == Action::"call_tool", resource) unless { resource != Tool::"send_email" };"#,
    ];
    for policy in policies {
        for strategy in [
            "{conflict_resolution: manual}",
            "{conflict_resolution: priority, conflict_resolution_config: {priority_order: [b, a]}}",
        ] {
            let control_plane = ControlPlane::start(PROGRAMS).await;
            let plane = data_plane(&control_plane, &[]).await;
            let applied = |workloads: &[(&str, String)]| {
                let here: Vec<&str> = workloads.iter().map(|(name, _)| *name).collect();
                let strategy = strategy.replace("[b, a]", &format!("[{}]", here.join(", ")));
                guarded(&issuer, &[policy], &format!("aggregation: {strategy}\n"), workloads)
            };
            control_plane.apply(&applied(&[("a", a.url())]), &["--wait"]).await.good();
            let client = plane.client();
            let listed = tools(&ask(&client, Some(&token), true, "tools/list", "").await);
            assert_eq!(listed, ["send_email"], "{policy}");
            for workloads in [vec![("b", b.url()), ("a", a.url())], vec![("b", b.url())]] {
                control_plane.apply(&applied(&workloads), &["--wait"]).await.good();
                ask(&client, Some(&token), true, "tools/call", &call("send_email")).await;
                assert!(b.calls("tools/call").is_empty(), "{strategy} {policy}");
            }
        }
    }
}

/// T10, of what is not a tool: a URI, a template and a prompt that both have are the other one's rights in no order.
#[tokio::test]
async fn shadowing_never_transfers_rights_to_uris_and_prompts() {
    let (a, b) = (offering_everything().await, offering_everything().await);
    let issuer = Issuer::start().await;
    let token = issuer.token("ada", "vmcp", &json!({}));
    let asked = [
        ("resources/read", r#""uri":"note://a""#.to_owned()),
        ("resources/read", r#""uri":"file:///x""#.to_owned()),
        ("prompts/get", call("p")),
        ("prompts/get", call("a_p")),
        ("prompts/get", call("b_p")),
        (
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"x","value":""}"#.to_owned(),
        ),
        (
            "completion/complete",
            r#""ref":{"type":"ref/resource","uri":"file:///{path}"},"argument":{"name":"x","value":""}"#
                .to_owned(),
        ),
    ];
    for strategy in [
        "{conflict_resolution: priority, conflict_resolution_config: {priority_order: [a, b]}}",
        "{conflict_resolution: priority, conflict_resolution_config: {priority_order: [b, a]}}",
        "{conflict_resolution: manual}",
        "{conflict_resolution: prefix}",
    ] {
        let prompt = if strategy.contains("prefix") { "a_p" } else { "p" };
        let policies = [
            "permit(principal, action == Action::\"read_resource\", resource == Resource::\"note://a\");"
                .to_owned(),
            "permit(principal, action == Action::\"read_resource\", resource in Backend::\"a\");".to_owned(),
            format!("permit(principal, action == Action::\"get_prompt\", resource == Prompt::\"{prompt}\");"),
        ];
        let policies: Vec<&str> = policies.iter().map(String::as_str).collect();
        let applied = |strategy: &str, workloads: &[(&str, String)]| {
            guarded(&issuer, &policies, &format!("aggregation: {strategy}\n"), workloads)
        };
        let mut control_plane = ControlPlane::start(PROGRAMS).await;
        let plane = data_plane(&control_plane, &[]).await;
        let alone = strategy.replace("[a, b]", "[a]").replace("[b, a]", "[a]");
        control_plane.apply(&applied(&alone, &[("a", a.url())]), &["--wait"]).await.good();
        let client = plane.client();
        for (method, members) in &asked[..2] {
            let answer = ask(&client, Some(&token), true, method, members).await;
            assert!(answer.json()["result"].is_object(), "{strategy} {members}: {}", answer.text());
        }
        let both = applied(strategy, &[("a", a.url()), ("b", b.url())]);
        control_plane.apply(&both, &["--wait"]).await.good();
        for round in 0..2 {
            if round > 0 {
                control_plane.stop().await;
                control_plane.start_again().await;
                control_plane.until_current(&plane.replica, Duration::from_secs(20)).await;
            }
            for (is_modern, (method, members)) in
                [true, false].into_iter().flat_map(|era| asked.iter().map(move |one| (era, one)))
            {
                ask(&client, Some(&token), is_modern, method, members).await;
                assert!(b.calls(method).is_empty(), "{strategy}: {method} {members} reaches the other one");
            }
        }
    }
}

/// A name that is too long is shortened, and what it is shortened to is its own: not for who has the same, nor for who is called so.
#[tokio::test]
async fn shadowing_never_transfers_rights_between_long_names() {
    let long =
        "send_email_to_everybody_who_has_ever_asked_for_any_and_does_so_still".to_owned() + &"_x".repeat(30);
    let a = offering(&[&long], true).await;
    let issuer = Issuer::start().await;
    let token = issuer.token("ada", "vmcp", &json!({}));
    for strategy in [
        "{conflict_resolution: prefix, max_name_length: 64}",
        "{conflict_resolution: priority, max_name_length: 64, conflict_resolution_config: {priority_order: [a]}}",
    ] {
        let control_plane = ControlPlane::start(PROGRAMS).await;
        let plane = data_plane(&control_plane, &[]).await;
        let client = plane.client();
        let applied = |policy: &str, workloads: &[(&str, String)]| {
            guarded(&issuer, &[policy], &format!("aggregation: {strategy}\n"), workloads)
        };
        let of_a = [("a", a.url())];
        control_plane
            .apply(&applied("permit(principal, action, resource in Backend::\"a\");", &of_a), &["--wait"])
            .await
            .good();
        let listed = tools(&ask(&client, Some(&token), true, "tools/list", "").await);
        let [short] = listed.try_into().expect("one tool");
        assert!(short.len() <= 64, "{short}");
        let policy =
            format!("permit(principal, action == Action::\"call_tool\", resource == Tool::\"{short}\");");
        control_plane.apply(&applied(&policy, &of_a), &["--wait"]).await.good();
        let alike = [&long, &long[..long.len() - 1], &long[..64], &short, short.trim_start_matches("a_")];
        let b = offering(&alike, true).await;
        let both = applied(&policy, &[("b", b.url()), ("a", a.url())]).replace("[a]}", "[b, a]}");
        control_plane.apply(&both, &["--wait"]).await.good();
        let listed = tools(&ask(&client, Some(&token), true, "tools/list", "").await);
        assert!(listed.is_empty() || listed == [short.clone()], "{listed:?}");
        for name in alike.into_iter().map(ToOwned::to_owned).chain(alike.map(|name| format!("b_{name}"))) {
            ask(&client, Some(&token), true, "tools/call", &call(&name)).await;
            assert!(b.calls("tools/call").is_empty(), "{strategy}: `{name}` reaches the other one");
        }
    }
}

/// `a` with `b_c`, and `a_b` with `c`: whoever is called alike is called by neither name, in whatever order they come.
#[tokio::test]
async fn a_separator_in_a_name_gives_nothing_away() {
    let (one, two) = (offering(&["b_c"], true).await, offering(&["c"], true).await);
    let issuer = Issuer::start().await;
    let token = issuer.token("ada", "vmcp", &json!({}));
    let with = |workloads: &[(&str, &RawBackend)]| {
        let workloads: Vec<(&str, String)> =
            workloads.iter().map(|(name, backend)| (*name, backend.url())).collect();
        manifest(&issuer, "{conflict_resolution: prefix}", &workloads).replace("a_send_email", "a_b_c")
    };
    for order in [[("a", &one), ("a_b", &two)], [("a_b", &two), ("a", &one)]] {
        let control_plane = ControlPlane::start(PROGRAMS).await;
        let plane = data_plane(&control_plane, &[]).await;
        control_plane.apply(&with(&order[..1]), &["--wait"]).await.good();
        control_plane.apply(&with(&order), &["--wait"]).await.good();
        let (first, second) = (order[0].1, order[1].1);
        let before = (first.calls("tools/call").len(), second.calls("tools/call").len());
        ask(&plane.client(), Some(&token), true, "tools/call", &call("a_b_c")).await;
        assert_eq!(
            second.calls("tools/call").len(),
            before.1,
            "who came later gets no right of who was there"
        );
        assert!(first.calls("tools/call").len() <= before.0 + 1);
    }
}
