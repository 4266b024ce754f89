//! Tokens for backends end, or are taken back; whatever goes on with a backend goes on with another one.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use vmcp_testkit::{Issuer, Mood, Recorded, Reply, WireBackend, claims, eventually, mcp_reply, whole};

use super::{ask, begin, call, in_session, listen, oidc, secret, serve, tools};

fn bearer(recorded: &Recorded) -> Option<String> {
    Some(recorded.header("authorization")?.strip_prefix("Bearer ")?.to_owned())
}

/// A backend with a tool and a resource whose streams end at once. `is_strict`: it refuses the first token of everybody, always.
async fn changing(is_modern: bool, is_strict: bool) -> WireBackend {
    let first: Mutex<HashMap<String, String>> = Mutex::default();
    WireBackend::start(move |recorded: &Recorded| {
        let Some(token) = bearer(recorded) else { return whole("401 Unauthorized", "", b"") };
        let subject = claims(&token)["sub"].as_str().unwrap_or_default().to_owned();
        if is_strict && *first.lock().unwrap().entry(subject).or_insert_with(|| token.clone()) == token {
            return whole("401 Unauthorized", "", b"");
        }
        let json = |body: &str| {
            let head = if is_modern { "" } else { "mcp-session-id: s\r\n" };
            whole("200 OK", &format!("content-type: application/json\r\n{head}"), body.as_bytes())
        };
        let result = |text: &str| json(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{text}}}"#, recorded.id()));
        let ended = |data: &str| {
            whole("200 OK", "content-type: text/event-stream\r\n", format!("data: {data}\n\n").as_bytes())
        };
        match recorded.mcp_method().as_deref() {
            None => ended(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#),
            Some("subscriptions/listen") => ended(
                r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{}}}"#,
            ),
            Some(told) if told.starts_with("notifications/") => whole("202 Accepted", "", b""),
            Some("server/discover") if is_modern => result(
                r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{"subscribe":true}},"resultType":"complete"}"#,
            ),
            Some("resources/list") if is_modern => result(r#"{"resources":[{"uri":"note://a","name":"a"}],"resultType":"complete"}"#),
            _ => match mcp_reply(recorded, is_modern, r#"{"name":"x","inputSchema":{"type":"object"}}"#) {
                Some(Reply::Json(body)) => json(&body),
                Some(_) => whole("404 Not Found", "", b""),
                None => result(r#"{"content":[],"resultType":"complete"}"#),
            },
        }
    })
    .await
}

#[tokio::test]
async fn a_token_that_a_backend_refuses_is_asked_for_anew_wherever_it_is_shown() {
    let (issuer, (_folder, secret)) = (Issuer::start().await, secret());
    let (personal, account) = (changing(true, true).await, changing(true, true).await);
    let manifest = format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {}}}
outgoing_auth:
  backends:
    personal: {{type: token_exchange, token_exchange: {{audience: personal-api}}}}
    account: {{type: service_account, service_account: {{audience: account-api}}}}
---
kind: group
name: g
workloads: [{{name: personal, url: '{}', inventory: per_principal}}, {{name: account, url: '{}'}}]
",
        oidc(&issuer, &secret),
        personal.url(),
        account.url()
    );
    // By the control plane, with a token of ours.
    let served = serve(&manifest, &["account", "personal"]).await;
    let ada = issuer.token("ada", "vmcp", &json!({}));
    let client = served.client();
    // For one caller's list, with one of that caller's.
    let listed = tools(&ask(&client, Some(&ada), true, "tools/list", "").await);
    assert_eq!(listed, ["account_x", "personal_x"]);
    for tool in listed {
        let answer = ask(&client, Some(&ada), true, "tools/call", &call(&tool)).await;
        assert!(answer.json()["result"].is_object(), "{tool}: {}", answer.text());
    }
}

/// One backend that refuses everything costs the others nothing, and the provider little.
#[tokio::test]
async fn a_token_that_one_backend_refuses_stays_for_others_until_there_is_another() {
    let (issuer, (_folder, secret)) = (Issuer::start().await, secret());
    let hostile = WireBackend::start(|recorded: &Recorded| match recorded.mcp_method().as_deref() {
        Some("tools/call") => whole("401 Unauthorized", "", b""),
        _ => match mcp_reply(recorded, true, r#"{"name":"x","inputSchema":{"type":"object"}}"#) {
            Some(reply) => vmcp_testkit::well(reply),
            None => whole("404 Not Found", "", b""),
        },
    })
    .await;
    let good = super::offering(&["x"], true).await;
    let manifest = format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {}}}
outgoing_auth: {{default: {{type: service_account, service_account: {{audience: api}}}}}}
---
kind: group
name: g
workloads: [{{name: good, url: '{}'}}, {{name: hostile, url: '{}'}}]
",
        oidc(&issuer, &secret),
        good.url(),
        hostile.url()
    );
    let served = serve(&manifest, &["good", "hostile"]).await;
    let (client, ada) = (served.client(), issuer.token("ada", "vmcp", &json!({})));
    let asking = async |tool: &str| ask(&client, Some(&ada), true, "tools/call", &call(tool)).await.json();
    assert!(asking("good_x").await["result"].is_object());
    let before = issuer.asked().len();
    let began = std::time::Instant::now();
    for _ in 0..50 {
        assert_eq!(asking("hostile_x").await["error"]["data"]["reason"], "backend_auth_failed");
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(issuer.asked().len() - before <= seconds + 2, "{} times", issuer.asked().len() - before);
    issuer.is(Mood::Refusing(503, "temporarily_unavailable"));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(asking("hostile_x").await["error"]["data"]["reason"], "backend_auth_failed");
    assert!(asking("good_x").await["result"].is_object(), "what is known is good for others");
}

/// What is said in a session is shown what its caller is shown now: an answer to a question of the backend's, long after the session began.
#[tokio::test]
async fn what_is_said_in_a_session_is_shown_a_token_that_is_good() {
    let heard = crate::eras::Heard::default();
    let backend = crate::eras::backend(&heard).await;
    let (issuer, (_folder, secret)) = (Issuer::start().await, secret());
    let manifest = format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {}}}
outgoing_auth: {{default: {{type: token_exchange, token_exchange: {{audience: api}}}}}}
---
kind: group
name: g
workloads: [{{name: b, url: '{}'}}]
",
        oidc(&issuer, &secret),
        backend.url()
    );
    let served = serve(&manifest, &["b"]).await;
    issuer.is(Mood::GoodFor(2));
    let (client, ada) = (served.client(), issuer.token("ada", "vmcp", &json!({})));
    let authorization = format!("Bearer {ada}");
    let session = begin(&client, &ada, r#"{"elicitation":{}}"#).await;
    let headers = in_session(&authorization, &session);
    let asks = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"b_asks"}}"#.to_owned();
    let mut stream = client.listen(&headers, Some(asks)).await;
    let question = stream.next().await.expect("a question");
    let question: serde_json::Value = serde_json::from_str(&question).unwrap();
    // The token that the session began with ends meanwhile.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let answer =
        json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {}}});
    assert_eq!(client.post(&headers, answer.to_string()).await.status.as_u16(), 202);
    let answers = || {
        let all = backend.recorded();
        all.iter()
            .filter(|one| one.json()["result"]["action"] == "accept")
            .filter_map(bearer)
            .collect::<Vec<_>>()
    };
    assert!(eventually(Duration::from_secs(5), async || !answers().is_empty()).await);
    let shown = |recorded: &Recorded| recorded.mcp_method().as_deref() == Some("tools/call");
    let began = backend.recorded().iter().find(|one| shown(one)).and_then(bearer).expect("a token");
    assert_ne!(answers(), [began], "another one");
}

#[tokio::test]
async fn a_stream_of_a_backend_is_opened_again_with_a_token_that_is_good() {
    let (issuer, (_folder, secret)) = (Issuer::start().await, secret());
    let (legacy, modern) = (changing(false, false).await, changing(true, false).await);
    let manifest = format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {}}}
outgoing_auth: {{default: {{type: token_exchange, token_exchange: {{audience: api}}}}}}
---
kind: group
name: g
workloads: [{{name: l, url: '{}'}}, {{name: m, url: '{}'}}]
",
        oidc(&issuer, &secret),
        legacy.url(),
        modern.url()
    );
    let served = serve(&manifest, &["l", "m"]).await;
    issuer.is(Mood::GoodFor(2));
    let ada = issuer.token("ada", "vmcp", &json!({}));
    let client = served.client();
    let _modern = listen(&client, &ada, r#""notifications":{"resourceSubscriptions":["note://a"]}"#).await;

    let authorization = format!("Bearer {ada}");
    let session = begin(&client, &ada, "{}").await;
    let headers = in_session(&authorization, &session);
    let _legacy = client.listen(&headers, None).await;
    let used = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"l_x"}}"#;
    assert!(client.post(&headers, used).await.json()["result"].is_object());

    // Ada's, of the streams.
    let shown = |backend: &WireBackend, is_stream: &dyn Fn(&Recorded) -> bool| -> usize {
        let recorded = backend.recorded();
        let tokens = recorded.iter().filter(|recorded| is_stream(recorded)).filter_map(bearer);
        tokens.filter(|token| claims(token)["sub"] == "ada").collect::<HashSet<_>>().len()
    };
    let of_modern =
        || shown(&modern, &|recorded| recorded.mcp_method().as_deref() == Some("subscriptions/listen"));
    let of_legacy = || shown(&legacy, &|recorded| recorded.method == http::Method::GET);
    let is_renewed = eventually(Duration::from_secs(30), async || of_modern() > 1 && of_legacy() > 1);
    assert!(is_renewed.await, "{} {}", of_modern(), of_legacy());
}
