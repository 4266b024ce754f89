//! What backends are shown.

use std::time::{Duration, Instant};

use serde_json::json;
use vmcp_testkit::{
    Issuer, Mood, RawBackend, Recorded, Reply, Served, claims, eventually, mcp_reply, modern,
};

use super::{ask, begin, call, offering, oidc, secret, serve};

/// Two backends, a legacy and a modern one, each with a token of its own.
pub(super) async fn exchanging(issuer: &Issuer, secret: &str, one: &RawBackend, two: &RawBackend) -> Served {
    let manifest = format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {}}}
outgoing_auth:
  backends:
    one: {{type: token_exchange, token_exchange: {{audience: one-api, scopes: [read]}}}}
    two: {{type: token_exchange, token_exchange: {{audience: two-api, scopes: [write, read], client_id: other, client_secret_file: '{secret}', client_auth_method: client_secret_post}}}}
---
kind: group
name: g
workloads: [{{name: one, url: '{}'}}, {{name: two, url: '{}'}}]
",
        oidc(issuer, secret),
        one.url(),
        two.url()
    );
    serve(&manifest, &["one", "two"]).await
}

pub(super) fn shown(recorded: &Recorded) -> Option<String> {
    recorded.header("authorization").map(|value| value.trim_start_matches("Bearer ").to_owned())
}

#[tokio::test]
async fn two_boundaries_01_each_backend_gets_a_token_for_it_in_the_callers_name() {
    let (one, two) = (offering(&["a"], false).await, offering(&["b"], true).await);
    let issuer = Issuer::start().await;
    let (_folder, secret) = secret();
    let served = exchanging(&issuer, &secret, &one, &two).await;
    let client = served.client();
    let token = issuer.token("ada", "vmcp", &json!({}));
    for is_modern in [false, true] {
        for tool in ["one_a", "two_b"] {
            let answer = ask(&client, Some(&token), is_modern, "tools/call", &call(tool)).await;
            assert!(answer.json()["result"].is_object(), "{}", answer.text());
        }
    }
    for (backend, audience, scope) in [(&one, "one-api", "read"), (&two, "two-api", "write read")] {
        let calls = backend.calls("tools/call");
        assert_eq!(calls.len(), 2);
        for recorded in calls {
            let said = claims(&shown(&recorded).expect("a token"));
            assert_eq!((said["aud"].as_str(), said["sub"].as_str()), (Some(audience), Some("ada")));
            assert_eq!(said["scope"], scope);
        }
    }
    // RFC 8693, section 2.1; one exchange for each backend, by each one's client.
    let asked = issuer.asked();
    assert_eq!(asked.len(), 2);
    let form = &asked[0].form;
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!((form["subject_token"].as_str(), form["audience"].as_str()), (token.as_str(), "one-api"));
    assert_eq!(form["subject_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(asked[0].authorization.as_deref(), Some("Basic dXM6aHVzaC1odXNo"));
    assert_eq!(
        (asked[1].form["client_id"].as_str(), asked[1].form["client_secret"].as_str()),
        ("other", "hush-hush")
    );
    for recorded in one.recorded().iter().chain(&two.recorded()) {
        let headers = format!("{recorded:?}");
        assert!(!headers.contains(&token), "no backend sees the caller's own token");
    }
}

#[tokio::test]
async fn two_boundaries_03_a_token_is_asked_for_once_and_what_is_known_outlives_the_provider() {
    let (one, two) = (offering(&["a"], false).await, offering(&["b"], true).await);
    let issuer = Issuer::start().await;
    let (_folder, secret) = secret();
    let served = exchanging(&issuer, &secret, &one, &two).await;
    let client = served.client();
    issuer.is(Mood::Slow(Duration::from_millis(300)));
    let ada = issuer.token("ada", "vmcp", &json!({}));
    let first = (0..500).map(|_| {
        let (client, ada) = (client.clone(), ada.clone());
        tokio::spawn(async move { ask(&client, Some(&ada), true, "tools/call", &call("two_b")).await })
    });
    for answer in first.collect::<Vec<_>>() {
        let answer = answer.await.expect("an answer");
        let reason = answer.json()["error"]["data"]["reason"].clone();
        assert!(answer.json()["result"].is_object() || reason == "backend_busy", "{}", answer.text());
    }
    assert_eq!(issuer.asked().len(), 1, "500 concurrent first calls ask once");
    issuer.is(Mood::Good);
    for _ in 0..1_000 {
        let answer = ask(&client, Some(&ada), true, "tools/call", &call("two_b")).await;
        assert!(answer.json()["result"].is_object(), "{}", answer.text());
    }
    assert_eq!(issuer.asked().len(), 1, "and 1,000 more do not ask again");

    issuer.is(Mood::Refusing(503, "temporarily_unavailable"));
    let known = ask(&client, Some(&ada), true, "tools/call", &call("two_b")).await;
    assert!(known.json()["result"].is_object(), "{}", known.text());
    let ben = issuer.token("ben", "vmcp", &json!({}));
    let calls = two.calls("tools/call").len();
    let refused = ask(&client, Some(&ben), true, "tools/call", &call("two_b")).await;
    assert_eq!(refused.json()["error"]["data"]["reason"], "backend_auth_unavailable", "{}", refused.text());
    assert_eq!(two.calls("tools/call").len(), calls, "and nothing is called with anything else instead");
    issuer.is(Mood::Good);
    let is_back = eventually(Duration::from_secs(5), async || {
        ask(&client, Some(&ben), true, "tools/call", &call("two_b")).await.json()["result"].is_object()
    });
    assert!(is_back.await, "soon after the provider is back");
}

#[tokio::test]
async fn two_boundaries_03_while_the_provider_is_down_what_is_known_is_good_until_it_expires() {
    let (one, two) = (offering(&["a"], false).await, offering(&["b"], true).await);
    let issuer = Issuer::start().await;
    let (_folder, secret) = secret();
    let served = exchanging(&issuer, &secret, &one, &two).await;
    let client = served.client();
    let ada = issuer.token("ada", "vmcp", &json!({}));
    let asking = async || ask(&client, Some(&ada), true, "tools/call", &call("two_b")).await.json();
    issuer.is(Mood::GoodFor(6));
    let began = Instant::now();
    assert!(asking().await["result"].is_object());
    issuer.is(Mood::Refusing(503, "temporarily_unavailable"));
    // A tenth of its life is left for calls that are under way.
    let mut last = json!(null);
    while began.elapsed() < Duration::from_secs(8) {
        let calls = two.calls("tools/call").len();
        last = asking().await;
        let is_answered = last["result"].is_object();
        assert!(is_answered || began.elapsed() > Duration::from_secs(5), "too early: {last}");
        assert!(!is_answered || began.elapsed() < Duration::from_secs(6), "too late: {last}");
        assert_eq!(two.calls("tools/call").len() - calls, usize::from(is_answered));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(last["error"]["data"]["reason"], "backend_auth_unavailable", "{last}");
    assert!(last["error"]["message"].as_str().is_some_and(|message| message.contains("two")), "{last}");
    let shown = format!("{:?}", two.recorded());
    assert!(!shown.contains(&ada), "never the caller's own token instead");
}

#[tokio::test]
async fn a_token_that_a_backend_refuses_is_asked_for_anew_once() {
    for is_modern in [false, true] {
        let backend = RawBackend::start(move |recorded: &Recorded| {
            // The first token of each caller has been taken back.
            let is_old = shown(recorded)
                .is_some_and(|token| claims(&token)["jti"] == "1" || claims(&token)["sub"] == "gone");
            if is_old {
                // Whatever it says besides.
                let error = format!(
                    r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32001,"message":"Unauthorized: theirs"}}}}"#,
                    recorded.id()
                );
                return Reply::Status(http::StatusCode::UNAUTHORIZED, error);
            }
            let tools = r#"{"name":"b","inputSchema":{"type":"object"}}"#;
            mcp_reply(recorded, is_modern, tools)
                .unwrap_or_else(|| recorded.result(r#"{"content":[],"resultType":"complete"}"#))
        })
        .await;
        let issuer = Issuer::start().await;
        let (_folder, secret) = secret();
        let served = exchanging(&issuer, &secret, &offering(&["a"], false).await, &backend).await;
        let client = served.client();
        let ada = issuer.token("ada", "vmcp", &json!({}));
        let answer = ask(&client, Some(&ada), is_modern, "tools/call", &call("two_b")).await;
        assert!(answer.json()["result"].is_object(), "{is_modern}: {}", answer.text());
        assert_eq!(issuer.asked().len(), 2);
        let gone = issuer.token("gone", "vmcp", &json!({}));
        let refused = ask(&client, Some(&gone), is_modern, "tools/call", &call("two_b")).await;
        assert_eq!(refused.json()["error"]["data"]["reason"], "backend_auth_failed", "{}", refused.text());
        assert_eq!(refused.header("www-authenticate"), None);
        assert!(!refused.text().contains("theirs"), "{}", refused.text());
        assert_eq!(issuer.asked().len(), 4, "once, not again and again");
    }
}

/// A backend for each strategy.
fn every_strategy(
    issuer: &Issuer,
    secret: &str,
    key: &str,
    names: &[&str],
    backends: &[RawBackend],
) -> String {
    let workloads: Vec<String> = names
        .iter()
        .zip(backends)
        .map(|(name, backend)| format!("{{name: {name}, url: '{}'}}", backend.url()))
        .collect();
    format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {}}}
outgoing_auth:
  backends:
    header: {{type: header_injection, header_injection: {{header_name: X-Api-Key, header_value_file: '{key}'}}}}
    account: {{type: service_account, service_account: {{credentials_file: '{key}', header_name: X-Auth, header_format: 'Token {{token}}'}}}}
    service: {{type: service_account, service_account: {{audience: service-api}}}}
    exchanged: {{type: token_exchange, token_exchange: {{audience: exchanged-api}}}}
    passed: {{type: pass_through}}
---
kind: group
name: g
workloads: [{}]
",
        oidc(issuer, secret),
        workloads.join(", ")
    )
}

/// `bearer`: what the caller has shown.
fn is_as_its_strategy_says(name: &str, recorded: &Recorded, bearer: &str) {
    let authorization = recorded.header("authorization");
    match name {
        "passed" => assert_eq!(authorization, Some(bearer)),
        "exchanged" => assert_eq!(claims(&shown(recorded).unwrap())["aud"], "exchanged-api"),
        "service" => {
            let said = claims(&shown(recorded).unwrap());
            assert_eq!(
                (said["aud"].as_str(), said["sub"].as_str()),
                (Some("service-api"), Some("the-service"))
            );
        }
        "header" => assert_eq!((authorization, recorded.header("x-api-key")), (None, Some("the-key"))),
        "account" => assert_eq!((authorization, recorded.header("x-auth")), (None, Some("Token the-key"))),
        _ => assert_eq!(authorization, None),
    }
}

/// T3: whatever a client brings along, a backend sees what its strategy says and nothing else.
#[tokio::test]
async fn token_never_passed_through() {
    let issuer = Issuer::start().await;
    let (folder, secret) = secret();
    fs_err::write(folder.path().join("key"), "the-key").unwrap();
    let names = ["none", "header", "account", "service", "exchanged", "passed"];
    let mut backends = Vec::new();
    for _ in names {
        backends.push(offering(&["t"], true).await);
    }
    let key = folder.path().join("key");
    let manifest = every_strategy(&issuer, &secret, &key.display().to_string(), &names, &backends);
    let served = serve(&manifest, &names).await;
    let token = issuer.token("ada", "vmcp", &json!({}));
    let bearer = format!("Bearer {token}");
    let client = served.client();
    let session = begin(&client, &token, "{}").await;
    let brought = [
        ("cookie", "session=secret-cookie"),
        ("proxy-authorization", "Basic c2VjcmV0"),
        ("dpop", "secret-proof"),
        ("x-forwarded-for", "203.0.113.7"),
        ("forwarded", "for=203.0.113.7"),
        ("x-vmcp-principal", "root"),
        ("x-arbitrary", "secret-header"),
        ("mcp-session-id", session.as_str()),
        ("mcp-init-host", "secret-host"),
    ];
    for ((name, backend), is_modern) in
        names.iter().zip(&backends).flat_map(|one| [(one, false), (one, true)])
    {
        let members = call(&format!("{name}_t"));
        let (more, body) = match is_modern {
            true => modern("tools/call", &members),
            false => (
                Vec::new(),
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{members}}}}}"#),
            ),
        };
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(brought);
        headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
        let answer = client.post(&headers, body).await;
        assert!(answer.json()["result"].is_object(), "{name}: {}", answer.text());
        let calls = backend.calls("tools/call");
        let recorded = calls.last().expect("a call");
        for (header, value) in brought {
            assert_eq!(recorded.header(header), None, "{name} sees {header}: {value}");
        }
        is_as_its_strategy_says(name, recorded, &bearer);
        if *name != "passed" {
            assert!(!format!("{:?}", backend.recorded()).contains(&token), "{name}");
        }
    }
    let wrong = issuer.token("ada", "vmcp-not", &json!({}));
    assert_eq!(ask(&client, Some(&wrong), false, "tools/list", "").await.status.as_u16(), 401);
    assert!(
        served.log().contains("gets callers' own tokens")
            || served.status().await.to_string().contains("own tokens")
    );
}
