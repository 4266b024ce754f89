//! Tokens, decisions and sessions of one caller, and of one grant, are nobody else's.

use std::time::{Duration, Instant};

use serde_json::json;
use vmcp_testkit::{Client, Issuer, Mood, claims, eventually};

use super::exchange::{exchanging, shown};
use super::{ask, call, group, guarded, offering, oidc, secret, serve, tools};
use crate::eras;

const GOOD: &str = "urn:ietf:params:oauth:token-type:access_token";

#[tokio::test]
async fn two_boundaries_04_two_tokens_of_one_subject_share_nothing() {
    let (one, two) = (offering(&["a"], false).await, offering(&["b"], true).await);
    let issuer = Issuer::start().await;
    let (_folder, secret) = secret();
    let served = exchanging(&issuer, &secret, &one, &two).await;
    let client = served.client();
    let different = [
        json!({}),
        json!({"scope": "read"}),
        json!({"scope": "read write"}),
        json!({"client_id": "phone"}),
        json!({"act": {"sub": "robot"}}),
        json!({"act": {"sub": "robot", "act": {"sub": "other"}}}),
    ];
    for (count, otherwise) in (1..).zip(&different) {
        for jti in ["1", "2"] {
            let mut otherwise = otherwise.clone();
            otherwise["jti"] = jti.into();
            let token = issuer.token("ada", "vmcp", &otherwise);
            let answer = ask(&client, Some(&token), true, "tools/call", &call("two_b")).await;
            assert!(answer.json()["result"].is_object(), "{}", answer.text());
            assert_eq!(issuer.asked().len(), count, "{otherwise}");
        }
    }
}

/// What policies read of a token decides about that token alone, whichever was asked first, in calls and in lists.
#[tokio::test]
async fn two_boundaries_04_two_tokens_of_one_subject_share_no_decision() {
    let issuer = Issuer::start().await;
    let backend = offering(&["scope", "client", "robot"], true).await;
    let policies = [
        r#"permit(principal, action, resource == Tool::"a_scope") when { principal has claim_scope && principal.claim_scope == "write" };"#,
        r#"permit(principal, action, resource == Tool::"a_client") when { context has claim_client_id && context.claim_client_id == "phone" };"#,
        r#"permit(principal, action, resource == Tool::"a_robot") when { principal has claim_act && principal.claim_act has sub && principal.claim_act.sub == "robot" };"#,
    ];
    let manifest = guarded(&issuer, &policies, "", &[("a", backend.url())]);
    let served = serve(&manifest, &["a"]).await;
    let client = served.client();
    let table = [
        (json!({}), None),
        (json!({"scope": "write"}), Some("a_scope")),
        (json!({"scope": "read"}), None),
        (json!({"client_id": "phone"}), Some("a_client")),
        (json!({"client_id": "desk"}), None),
        (json!({"act": {"sub": "robot"}}), Some("a_robot")),
        (json!({"act": {"sub": "other"}}), None),
    ];
    for _ in 0..2 {
        for (otherwise, allowed) in &table {
            let token = issuer.token("ada", "vmcp", otherwise);
            let listed = tools(&ask(&client, Some(&token), true, "tools/list", "").await);
            assert_eq!(listed, Vec::from_iter(*allowed), "{otherwise}");
            for tool in ["a_scope", "a_client", "a_robot"] {
                let answer = ask(&client, Some(&token), true, "tools/call", &call(tool)).await;
                assert_eq!(answer.json()["result"].is_object(), *allowed == Some(tool), "{otherwise} {tool}");
            }
        }
    }
}

/// T16, as far as one provider shows it: what it issues is held to what was asked for, and a refusal is one caller's.
#[tokio::test]
async fn exchange_cache_isolation() {
    let (one, two) = (offering(&["a"], false).await, offering(&["b"], true).await);
    let issuer = Issuer::start().await;
    let (_folder, secret) = secret();
    let served = exchanging(&issuer, &secret, &one, &two).await;
    let client = served.client();
    let foreign = issuer.token("ada", "else-api", &json!({}));
    let table = [
        (Mood::Refusing(400, "invalid_grant"), "backend_auth_failed"),
        (Mood::Refusing(400, "invalid_target"), "backend_auth_failed"),
        (Mood::Refusing(401, "invalid_client"), "backend_auth_unavailable"),
        (Mood::Refusing(429, "slow_down"), "backend_auth_unavailable"),
        (Mood::Refusing(500, "oops"), "backend_auth_unavailable"),
        (said(&foreign, "Bearer", GOOD, 60), "backend_auth_unavailable"),
        (said("opaque", "N_A", GOOD, 60), "backend_auth_unavailable"),
        (
            said("opaque", "Bearer", "urn:ietf:params:oauth:token-type:id_token", 60),
            "backend_auth_unavailable",
        ),
        (said("opaque", "Bearer", GOOD, 0), "backend_auth_unavailable"),
        (said("two\r\nlines", "Bearer", GOOD, 60), "backend_auth_unavailable"),
        (Mood::Saying(json!({"access_token": "opaque", "expires_in": 60})), "backend_auth_unavailable"),
        (Mood::Saying(json!("nothing")), "backend_auth_unavailable"),
    ];
    for (place, (mood, reason)) in table.into_iter().enumerate() {
        let shown = format!("{mood:?}");
        issuer.is(mood);
        let token = issuer.token(&format!("user-{place}"), "vmcp", &json!({}));
        let refused = ask(&client, Some(&token), true, "tools/call", &call("two_b")).await;
        assert_eq!(refused.json()["error"]["data"]["reason"], reason, "{shown}: {}", refused.text());
        assert!(!refused.text().contains(&foreign));
        issuer.is(Mood::Good);
        let other = issuer.token(&format!("other-{place}"), "vmcp", &json!({}));
        let answer = ask(&client, Some(&other), true, "tools/call", &call("two_b")).await;
        assert!(answer.json()["result"].is_object(), "others are not touched: {}", answer.text());
    }
    let calls = two.calls("tools/call");
    assert_eq!(calls.len(), 12, "nothing was called without a token that is good for it");
    assert!(!served.log().contains("hush-hush") && !served.log().contains(&foreign));
}

/// What is said with a token that is asked for: `expires`, in seconds.
fn said(token: &str, kind: &str, issued: &str, expires: i64) -> Mood {
    Mood::Saying(
        json!({"access_token": token, "token_type": kind, "issued_token_type": issued, "expires_in": expires}),
    )
}

/// T16: tokens and refusals are remembered for as long as they are good, and no longer.
#[tokio::test]
async fn exchange_cache_isolation_in_time() {
    let (one, two) = (offering(&["a"], false).await, offering(&["b"], true).await);
    let issuer = Issuer::start().await;
    let (_folder, secret) = secret();
    let served = exchanging(&issuer, &secret, &one, &two).await;
    let client = served.client();
    // A refusal stands for a while, and not for long.
    issuer.is(Mood::Refusing(400, "invalid_grant"));
    let refused = issuer.token("refused", "vmcp", &json!({}));
    let is_good = async || {
        let answer = ask(&client, Some(&refused), true, "tools/call", &call("two_b")).await;
        answer.json()["result"].is_object()
    };
    let before = issuer.asked().len();
    assert!(!is_good().await && !is_good().await && issuer.asked().len() == before + 1);
    issuer.is(Mood::Good);
    assert!(eventually(Duration::from_secs(30), is_good).await);

    // What does not say how long it is good, or says for ever, is asked for once; what says itself that it ends sooner, again.
    let unsaid = json!({"access_token": "opaque", "token_type": "Bearer", "issued_token_type": GOOD});
    let ending = || {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        said(&issuer.token("ada", "two-api", &json!({"exp": now + 3})), "Bearer", GOOD, 3_600)
    };
    let moods: [(&dyn Fn() -> Mood, usize); 3] = [
        (&|| Mood::Saying(unsaid.clone()), 1),
        (&|| said("opaque", "Bearer", GOOD, i64::MAX), 1),
        (&ending, 2),
    ];
    for (mood, asks) in moods {
        let before = issuer.asked().len();
        issuer.is(mood());
        let caller = issuer.token(&format!("lasting-{before}"), "vmcp", &json!({}));
        for _ in 0..2 {
            let answer = ask(&client, Some(&caller), true, "tools/call", &call("two_b")).await;
            let is_unused = asks == 2 && issuer.asked().len() == before + 2;
            assert!(answer.json()["result"].is_object() || is_unused, "{}", answer.text());
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        assert_eq!(issuer.asked().len(), before + asks);
    }

    // What is good for a second is not shown after that.
    issuer.is(Mood::GoodFor(1));
    let brief = issuer.token("brief", "vmcp", &json!({}));
    let before = issuer.asked().len();
    for count in 1..=2 {
        ask(&client, Some(&brief), true, "tools/call", &call("two_b")).await;
        assert_eq!(issuer.asked().len(), before + count);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
}

/// T16: what is refused to one token says nothing of the next one of the same grant.
#[tokio::test]
async fn exchange_cache_isolation_of_a_token_and_the_next() {
    let (one, two) = (offering(&["a"], false).await, offering(&["b"], true).await);
    let issuer = Issuer::start().await;
    let (_folder, secret) = secret();
    let served = exchanging(&issuer, &secret, &one, &two).await;
    let client = served.client();
    let [old, new] = ["old", "new"].map(|jti| issuer.token("ada", "vmcp", &json!({"jti": jti})));
    let asking =
        async |token: &str| ask(&client, Some(token), true, "tools/call", &call("two_b")).await.json();
    issuer.is(Mood::Refusing(400, "invalid_grant"));
    assert_eq!(asking(&old).await["error"]["data"]["reason"], "backend_auth_failed");
    let asked = issuer.asked().len();
    issuer.is(Mood::Good);
    assert_eq!(asking(&old).await["error"]["data"]["reason"], "backend_auth_failed", "it is remembered");
    assert_eq!(issuer.asked().len(), asked);
    assert!(asking(&new).await["result"].is_object(), "and of that one alone");
    assert_eq!(issuer.asked().len(), asked + 1);
}

/// T16: a token that has just ended by the provider's clock is the caller's to replace, who hears so.
#[tokio::test]
async fn exchange_cache_isolation_of_a_token_that_has_just_ended() {
    let (one, two) = (offering(&["a"], false).await, offering(&["b"], true).await);
    let issuer = Issuer::start().await;
    let (_folder, secret) = secret();
    let served = exchanging(&issuer, &secret, &one, &two).await;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let ended = issuer.token("ada", "vmcp", &json!({"exp": now - 5}));
    issuer.is(Mood::Refusing(400, "invalid_grant"));
    let answer = ask(&served.client(), Some(&ended), true, "tools/call", &call("two_b")).await;
    assert_eq!(answer.status.as_u16(), 401, "{}", answer.text());
    assert!(answer.header("www-authenticate").is_some_and(|header| header.contains("invalid_token")));
}

/// T16: who is revoked at the provider goes on for as long as what was issued before is good, and no longer; others go on.
#[tokio::test]
async fn exchange_cache_isolation_of_a_user_who_is_revoked() {
    let (one, two) = (offering(&["a"], false).await, offering(&["b"], true).await);
    let issuer = Issuer::start().await;
    let (_folder, secret) = secret();
    let served = exchanging(&issuer, &secret, &one, &two).await;
    let client = served.client();
    let [ada, ben] = ["ada", "ben"].map(|name| issuer.token(name, "vmcp", &json!({})));
    let asking =
        async |token: &str| ask(&client, Some(token), true, "tools/call", &call("two_b")).await.json();
    assert!(asking(&ben).await["result"].is_object());
    issuer.is(Mood::GoodFor(4));
    assert!(asking(&ada).await["result"].is_object());
    let issued = Instant::now();
    // Nothing more is issued to her.
    issuer.is(Mood::Refusing(400, "invalid_grant"));
    let is_refused = async || asking(&ada).await["error"]["data"]["reason"] == "backend_auth_failed";
    assert!(eventually(Duration::from_secs(6), is_refused).await);
    assert!((3..=5).contains(&issued.elapsed().as_secs()), "{:?}", issued.elapsed());
    let (calls, asked) = (two.calls("tools/call").len(), issuer.asked().len());
    assert!(is_refused().await && issuer.asked().len() == asked, "which is remembered for a while");
    assert_eq!(two.calls("tools/call").len(), calls, "and nothing is called in her name");
    assert!(asking(&ben).await["result"].is_object(), "others go on");
}

/// T16: one subject at two issuers is two callers, each of whom its own issuer vouches for; and one audience asked for by two clients is two
/// tokens.
#[tokio::test]
async fn exchange_cache_isolation_of_issuers_and_clients() {
    let (one, two) = (offering(&["a"], false).await, offering(&["b"], true).await);
    let issuers = [Issuer::start().await, Issuer::start().await];
    let (_folder, secret) = secret();
    let manifest = format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: [{}, {}]}}
outgoing_auth:
  backends:
    one: {{type: token_exchange, token_exchange: {{audience: api}}}}
    two: {{type: token_exchange, token_exchange: {{audience: api, client_id: other, client_secret_file: '{secret}'}}}}
{}",
        oidc(&issuers[0], &secret),
        oidc(&issuers[1], &secret),
        group(&[("one", one.url()), ("two", two.url())])
    );
    let served = serve(&manifest, &["one", "two"]).await;
    let client = served.client();
    for _ in 0..2 {
        for issuer in &issuers {
            let ada = issuer.token("ada", "vmcp", &json!({}));
            for (tool, backend) in [("one_a", &one), ("two_b", &two)] {
                let answer = ask(&client, Some(&ada), true, "tools/call", &call(tool)).await;
                assert!(answer.json()["result"].is_object(), "{}", answer.text());
                let calls = backend.calls("tools/call");
                let said = claims(&shown(calls.last().expect("a call")).expect("a token"));
                let issued = [said["iss"].as_str(), said["sub"].as_str(), said["aud"].as_str()];
                assert_eq!(issued, [Some(issuer.url().as_str()), Some("ada"), Some("api")], "{tool}");
            }
        }
    }
    for issuer in &issuers {
        // `us` and `other`, with one secret (RFC 6749, section 2.3.1).
        let clients: Vec<Option<String>> =
            issuer.asked().into_iter().map(|asked| asked.authorization).collect();
        let expected = ["Basic dXM6aHVzaC1odXNo", "Basic b3RoZXI6aHVzaC1odXNo"];
        assert_eq!(clients, expected.map(|text| Some(text.to_owned())), "each asked once, as itself");
    }
}

/// A session that clients share is shared where the same is shown, by one virtual server.
#[tokio::test]
async fn two_boundaries_04_a_shared_session_is_one_virtual_servers_and_one_credentials() {
    let backend = eras::backend(&eras::Heard::default()).await;
    let (folder, _) = secret();
    let key = folder.path().join("key");
    fs_err::write(&key, "the-key").unwrap();
    let server = |name: &str, group: &str, strategy: &str| {
        format!(
            "name: {name}\ngroup: {group}\nincoming_auth: {{type: anonymous}}\noutgoing_auth: {{default: {strategy}}}\n---\n"
        )
    };
    let group = |name: &str| {
        format!(
            "kind: group\nname: {name}\nworkloads: [{{name: b, url: '{}', sessions: shared}}]\n",
            backend.url()
        )
    };
    let injected = format!(
        "{{type: header_injection, header_injection: {{header_name: X-Key, header_value_file: '{}'}}}}",
        key.display()
    );
    let manifest = format!(
        "{}{}{}{}---\n{}",
        server("public", "g", "{type: unauthenticated}"),
        server("staff", "h", &injected),
        server("others", "g", "{type: unauthenticated}"),
        group("g"),
        group("h")
    );
    let served = serve(&manifest, &["b"]).await;
    let base = served.url().split('/').take(3).collect::<Vec<_>>().join("/");
    let called_in = async |name: &str| {
        let client = Client::new(format!("{base}/{name}/mcp"));
        let answer = ask(&client, None, false, "tools/call", &call("b_well")).await;
        assert!(answer.json()["result"].is_object(), "{name}: {}", answer.text());
        let recorded = backend.recorded();
        let last = recorded.iter().rfind(|one| one.mcp_method().as_deref() == Some("tools/call")).unwrap();
        let session = last.header("mcp-session-id").map(ToOwned::to_owned);
        (session.expect("a session"), last.header("x-key").map(ToOwned::to_owned))
    };
    let (staff, key) = called_in("staff").await;
    assert_eq!(key.as_deref(), Some("the-key"));
    assert_eq!(called_in("staff").await.0, staff, "it is shared");
    let (public, none) = called_in("public").await;
    assert_eq!(none, None);
    let (others, _) = called_in("others").await;
    assert!(staff != public && public != others && others != staff, "{staff} {public} {others}");
}
