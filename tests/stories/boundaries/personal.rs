//! Backends that offer each caller something else, and backends that ask for a credential of ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;
use vmcp_testkit::{
    ControlPlane, DataPlane, Issuer, RawBackend, Recorded, Reply, claims, eventually, mcp_reply,
};

use super::{ask, call, offering, secret, serve, tools};
use crate::two_planes::PROGRAMS;

/// Offers `of_<subject>` and `echo` to who comes with a token for it, and nothing to others and to eve. It can be told to be silent.
async fn personal(is_modern: bool, is_down: Arc<AtomicBool>) -> RawBackend {
    RawBackend::start(move |recorded: &Recorded| {
        if is_down.load(Ordering::SeqCst) {
            return Reply::Status(StatusCode::BAD_GATEWAY, String::new());
        }
        let bearer = recorded.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let Some(claims) = bearer.map(claims).filter(|claims| claims["aud"] == "own-api") else {
            return Reply::Status(StatusCode::UNAUTHORIZED, String::new());
        };
        let subject = claims["sub"].as_str().unwrap_or_default();
        if subject == "eve" {
            return Reply::Status(StatusCode::FORBIDDEN, String::new());
        }
        let names = [format!("of_{subject}"), "echo".to_owned()];
        let listed = names.map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#));
        mcp_reply(recorded, is_modern, &listed.join(",")).unwrap_or_else(|| {
            let name = recorded.json()["params"]["name"].clone();
            let text = format!("{} by {subject}", name.as_str().unwrap_or_default());
            let content = json!([{"type": "text", "text": text}]);
            recorded.result(&format!(r#"{{"content":{content},"resultType":"complete"}}"#))
        })
    })
    .await
}

fn manifest(issuer: &Issuer, secret: &str, own: &str, plain: &str, more: &str) -> String {
    format!(
        "name: all
group: g
incoming_auth:
  type: oidc
  oidc: {{issuer: '{}', audience: vmcp, client_id: us, client_secret_file: '{secret}'}}
{more}outgoing_auth: {{backends: {{own: {{type: token_exchange, token_exchange: {{audience: own-api}}}}}}}}
---
kind: group
name: g
workloads:
- {{name: own, url: '{own}', inventory: per_principal}}
- {{name: plain, url: '{plain}'}}
",
        issuer.url()
    )
}

#[tokio::test]
async fn each_caller_is_offered_what_a_backend_offers_that_caller() {
    for is_modern_backend in [true, false] {
        let (issuer, (_folder, secret)) = (Issuer::start().await, secret());
        let is_down = Arc::<AtomicBool>::default();
        let own = personal(is_modern_backend, is_down.clone()).await;
        let plain = offering(&["echo"], true).await;
        let control_plane = ControlPlane::start(PROGRAMS).await;
        let mut replicas = Vec::new();
        for _ in 0..2 {
            replicas.push(DataPlane::start(PROGRAMS.data_plane, &control_plane, &[]).await);
        }
        let manifest = manifest(&issuer, &secret, &own.url(), &plain.url(), "");
        control_plane.apply(&manifest, &["--wait"]).await.good();
        let token = |subject: &str| issuer.token(subject, "vmcp", &json!({}));
        let (ada, bob) = (token("ada"), token("bob"));
        let (one, two) = (replicas[0].client(), replicas[1].client());
        let is_modern = is_modern_backend;
        let there = async || tools(&ask(&one, Some(&ada), is_modern, "tools/list", "").await).len() == 3;
        assert!(eventually(Duration::from_secs(10), there).await, "{}", replicas[0].process.log());
        for (client, token, who) in [(&one, &ada, "ada"), (&one, &bob, "bob"), (&two, &bob, "bob")] {
            let listed = tools(&ask(client, Some(token), is_modern, "tools/list", "").await);
            assert_eq!(listed, [&format!("own_of_{who}"), "own_echo", "plain_echo"]);
            let answer =
                ask(client, Some(token), is_modern, "tools/call", &call(&format!("own_of_{who}"))).await;
            assert!(answer.text().contains(&format!("of_{who} by {who}")), "{}", answer.text());
        }
        // The second replica has not been asked for a list by her: a call finds its way all the same.
        let answer = ask(&two, Some(&ada), is_modern, "tools/call", &call("own_of_ada")).await;
        assert!(answer.text().contains("of_ada by ada"), "{}", answer.text());
        // What is another's is not there.
        let others = ask(&one, Some(&bob), is_modern, "tools/call", &call("own_of_ada")).await;
        assert_eq!(others.json()["error"]["message"], "Unknown tool: own_of_ada");
        let before = own.calls("tools/list").len();
        assert!(before <= 8, "{before}");

        // Many who come at once are one question.
        let carol = token("carol");
        let lists = join_all((0..20).map(|_| ask(&one, Some(&carol), is_modern, "tools/list", ""))).await;
        assert!(lists.iter().all(|list| tools(list)[0] == "own_of_carol"));
        assert_eq!(own.calls("tools/list").len(), before + 1);

        // "No" is an answer: nothing is offered, and nothing is missing.
        let answer = ask(&one, Some(&token("eve")), is_modern, "tools/list", "").await;
        assert_eq!(tools(&answer), ["plain_echo"]);
        assert_eq!(answer.json()["result"]["_meta"]["vmcp/unavailableBackends"], json!(null));

        // Who is known sees on what was there; who is not sees what everybody does, and hears what is missing.
        is_down.store(true, Ordering::SeqCst);
        let dan = token("dan");
        let answer = ask(&one, Some(&dan), is_modern, "tools/list", "").await;
        assert_eq!(tools(&answer), ["plain_echo"]);
        assert_eq!(answer.json()["result"]["_meta"]["vmcp/unavailableBackends"], json!(["own"]));
        let known = ask(&one, Some(&ada), is_modern, "tools/list", "").await;
        assert_eq!(tools(&known).len(), 3);
        let plain_call = ask(&one, Some(&dan), is_modern, "tools/call", &call("plain_echo")).await;
        assert!(plain_call.json()["result"].is_object(), "{}", plain_call.text());
    }
}

#[tokio::test]
async fn policies_speak_of_what_one_caller_is_offered_too_and_its_names_take_none() {
    let (issuer, (_folder, secret)) = (Issuer::start().await, secret());
    let own = personal(true, Arc::default()).await;
    // It claims a name that the other backend's tool would have.
    let plain = offering(&["echo", "of_ada"], true).await;
    let policies = "  authz:\n    type: cedar\n    policies:\n    - permit(principal, action, resource in Backend::\"own\") unless { resource.original_name == \"echo\" };\n    - permit(principal, action, resource in Backend::\"plain\");\naggregation: {conflict_resolution: prefix, conflict_resolution_config: {prefix_format: same_}}\n";
    let served =
        serve(&manifest(&issuer, &secret, &own.url(), &plain.url(), policies), &["plain", "own"]).await;
    let client = served.client();
    let ada = issuer.token("ada", "vmcp", &json!({}));
    let bob = issuer.token("bob", "vmcp", &json!({}));
    assert_eq!(tools(&ask(&client, Some(&ada), true, "tools/list", "").await), ["same_echo", "same_of_ada"]);
    let answer = ask(&client, Some(&ada), true, "tools/call", &call("same_of_ada")).await;
    assert!(answer.text().contains(r#""of_ada""#) && !answer.text().contains("by ada"), "{}", answer.text());
    let listed = tools(&ask(&client, Some(&bob), true, "tools/list", "").await);
    assert_eq!(listed, ["same_of_bob", "same_echo", "same_of_ada"]);
}

#[tokio::test]
async fn backends_are_asked_with_a_credential_of_ours_where_there_is_one() {
    let (issuer, (_folder, secret)) = (Issuer::start().await, secret());
    let guarded = |needs: &'static str| {
        RawBackend::start(move |recorded: &Recorded| {
            let shown = recorded.header("authorization").or(recorded.header("x-api-key")).unwrap_or_default();
            let is_good = match shown.strip_prefix("Bearer ") {
                Some(token) => claims(token)["aud"] == needs,
                None => shown == needs,
            };
            if !is_good {
                return Reply::Status(StatusCode::UNAUTHORIZED, String::new());
            }
            let tool = r#"{"name":"echo","inputSchema":{"type":"object"}}"#;
            mcp_reply(recorded, true, tool)
                .unwrap_or_else(|| recorded.result(r#"{"content":[],"resultType":"complete"}"#))
        })
    };
    let (account, key, exchange) =
        (guarded("account-api").await, guarded("k3y").await, guarded("exchange-api").await);
    let manifest = format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {{issuer: '{0}', audience: vmcp, client_id: us, client_secret_file: '{secret}'}}}}
outgoing_auth:
  backends:
    account: {{type: service_account, service_account: {{audience: account-api}}}}
    exchange: {{type: token_exchange, token_exchange: {{audience: exchange-api}}}}
    key: {{type: header_injection, header_injection: {{header_name: X-Api-Key, header_value: k3y}}}}
---
kind: group
name: g
workloads: [{{name: account, url: '{1}'}}, {{name: exchange, url: '{2}'}}, {{name: key, url: '{3}'}}]
",
        issuer.url(),
        account.url(),
        exchange.url(),
        key.url()
    );
    let served = serve(&manifest, &["account", "exchange", "key"]).await;
    let token = issuer.token("ada", "vmcp", &json!({}));
    let listed = tools(&ask(&served.client(), Some(&token), true, "tools/list", "").await);
    assert_eq!(listed, ["account_echo", "exchange_echo", "key_echo"]);
    for tool in &listed {
        let answer = ask(&served.client(), Some(&token), true, "tools/call", &call(tool)).await;
        assert!(answer.json()["result"].is_object(), "{tool}: {}", answer.text());
    }
}

/// One that is slow to say what it offers keeps nobody from hearing what another does, however many ask.
#[tokio::test]
async fn a_backend_that_is_slow_to_say_what_it_offers_holds_up_no_other() {
    let (issuer, (_folder, secret)) = (Issuer::start().await, secret());
    let own = personal(true, Arc::default()).await;
    let slow = RawBackend::start(|recorded: &Recorded| match recorded.header("authorization") {
        None => Reply::Status(StatusCode::UNAUTHORIZED, String::new()),
        Some(_) => Reply::Silence,
    })
    .await;
    let manifest =
        manifest(&issuer, &secret, &own.url(), &offering(&["echo"], true).await.url(), "").replace(
            "outgoing_auth: {backends: {",
            "outgoing_auth: {backends: {slow: {type: token_exchange, token_exchange: {audience: slow-api}}, ",
        ) + &format!("- {{name: slow, url: '{}', inventory: per_principal}}\n", slow.url());
    let served = super::serve(&manifest, &["own"]).await;
    let client = served.client();
    let tokens: Vec<String> =
        (0..130).map(|caller| issuer.token(&format!("caller{caller}"), "vmcp", &json!({}))).collect();
    let lists = join_all(tokens.iter().map(|token| ask(&client, Some(token), true, "tools/list", ""))).await;
    for (caller, list) in lists.iter().enumerate() {
        assert!(tools(list).contains(&format!("own_of_caller{caller}")), "{}", list.text());
    }
}
