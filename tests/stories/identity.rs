//! Who may come in: access tokens of an issuer, and what is one principal's is no one else's.

use std::time::Duration;

use serde_json::{Value, json};
use vmcp_testkit::{Answer, Client, Issuer, Served};

use crate::boundaries::begin;
use crate::program;
use crate::sessions::{counted, counting};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn manifest(issuer: &str, audience: &str, url: &str, more: &str) -> String {
    format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {{issuer: '{issuer}', audience: {audience}}}}}
---
kind: group
name: g
workloads:
  - {{name: raw, url: '{url}'{more}}}
"
    )
}

async fn served(issuer: &Issuer, url: &str, more: &str) -> Served {
    let served = Served::start(program(), &manifest(&issuer.url(), "vmcp", url, more)).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    served
}

async fn post(client: &Client, token: &str, session: Option<&str>, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(session.map(|session| ("mcp-session-id", session)));
    client.post(&headers, body).await
}

#[tokio::test]
async fn who_brings_no_good_token_hears_whose_is_needed_and_nothing_else() {
    let backend = counting().await;
    let (issuer, stranger) = (Issuer::start().await, Issuer::start().await);
    let served = served(&issuer, &backend.url(), "").await;
    let client = served.client();
    let asked = backend.recorded().len();

    let none = client.post(&[], LIST).await;
    assert_eq!(none.status.as_u16(), 401);
    let challenge = none.header("www-authenticate").expect("a challenge");
    let metadata =
        challenge.strip_prefix("Bearer resource_metadata=\"").and_then(|rest| rest.strip_suffix('"'));
    let metadata = metadata.unwrap_or_else(|| panic!("{challenge}"));
    let document = Client::new(metadata).request(reqwest::Method::GET, &[]).await.json();
    assert_eq!(document["resource"], served.url());
    assert_eq!(document["authorization_servers"], json!([issuer.url()]));
    let basic = client.post(&[("authorization", "Basic YTpi")], LIST).await;
    assert_eq!(
        (basic.status.as_u16(), basic.header("www-authenticate")),
        (401, none.header("www-authenticate"))
    );

    let claims = |name: &str, value: Value| issuer.token("ada", "vmcp", &json!({ name: value }));
    let bad = [
        ("garbage", "garbage".to_owned()),
        ("of a stranger", stranger.token("ada", "vmcp", &json!({}))),
        ("by a stranger in the issuer's name", stranger.token("ada", "vmcp", &json!({"iss": issuer.url()}))),
        ("for another", issuer.token("ada", "else", &json!({}))),
        ("for others", claims("aud", json!(["else", "vmcp2"]))),
        ("expired", claims("exp", json!(1_000_000_000))),
        ("never expiring", claims("exp", json!("never"))),
        ("not yet", claims("nbf", json!(4_000_000_000_u64))),
        ("of nobody", claims("sub", json!(""))),
        ("for something else", issuer.token_under(Some("only"), "logout+jwt", "ada", "vmcp", &json!({}))),
        ("under an invented key", issuer.token_under(Some("invented"), "at+jwt", "ada", "vmcp", &json!({}))),
        ("unsigned", unsigned(&issuer)),
    ];
    for (what, token) in &bad {
        for body in [LIST, "no JSON"] {
            let refused = post(&client, token, None, body).await;
            assert_eq!(refused.status.as_u16(), 401, "{what}");
            assert_eq!(
                refused.header("www-authenticate"),
                Some(format!("{challenge}, error=\"invalid_token\"")),
                "{what}"
            );
            assert_eq!(refused.body, none.body, "{what}");
        }
    }
    let doubled = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    assert_eq!(client.post(&doubled, LIST).await.status.as_u16(), 401);
    for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
        assert_eq!(client.request(method, &[]).await.status.as_u16(), 401);
    }
    let sse = Client::new(served.url().replace("/mcp", "/sse"));
    assert_eq!(sse.request(reqwest::Method::GET, &[]).await.status.as_u16(), 401);
    assert_eq!(backend.calls("tools/call").len(), 0);
    assert!(backend.recorded().len() <= asked + 2, "nobody's request reaches a backend");
    // One of the control plane for everybody; one of the replica, if somebody has come sooner; one for a key that nobody has.
    assert!(issuer.fetches() <= 3, "{} fetches for a dozen tokens", issuer.fetches());

    let good = [
        issuer.token("ada", "vmcp", &json!({})),
        claims("aud", json!(["else", "vmcp"])),
        claims("exp", json!(4_000_000_000.5)),
        issuer.token_under(None, "JWT", "ada", "vmcp", &json!({})),
    ];
    for token in &good {
        let listed = post(&client, token, None, LIST).await;
        assert_eq!(listed.status.as_u16(), 200, "{}", listed.text());
    }
}

fn unsigned(issuer: &Issuer) -> String {
    let token = issuer.token("ada", "vmcp", &json!({}));
    let claims = token.split('.').nth(1).unwrap_or_default().to_owned();
    format!("eyJhbGciOiJub25lIn0.{claims}.")
}

#[tokio::test]
async fn eras_07_a_session_of_another_principal_is_a_session_of_nobody() {
    let backend = counting().await;
    let issuer = Issuer::start().await;
    let served = served(&issuer, &backend.url(), "").await;
    let client = served.client();
    let [ada, ben] = ["ada", "ben"].map(|name| issuer.token(name, "vmcp", &json!({})));
    let session = begin(&client, &ada, "{}").await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"raw_count"}}"#;
    assert_eq!(counted(&post(&client, &ada, Some(&session), call).await).0, 1);

    let mut altered = session.clone();
    altered.replace_range(10..11, if &session[10..11] == "A" { "B" } else { "A" });
    let unknown = post(&client, &ada, Some(&altered), call).await;
    assert_eq!(unknown.status.as_u16(), 404);
    let of_another = post(&client, &ben, Some(&session), call).await;
    assert_eq!((of_another.status, of_another.body), (unknown.status, unknown.body));
    let (bearer, id) = (format!("Bearer {ben}"), ("mcp-session-id", session.as_str()));
    for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
        let answer = client.request(method, &[("authorization", bearer.as_str()), id]).await;
        assert_eq!(answer.status.as_u16(), 404);
    }
    // A newer token of the same subject is the same principal; a stranger's DELETE has ended nothing.
    let newer = issuer.token("ada", "vmcp", &json!({"jti": "2"}));
    assert_eq!(counted(&post(&client, &newer, Some(&session), call).await).0, 2);
}

#[tokio::test]
async fn two_principals_never_share_a_backend_session_and_no_backend_sees_their_tokens() {
    let backend = counting().await;
    let issuer = Issuer::start().await;
    let served = served(&issuer, &backend.url(), ", sessions: shared").await;
    let client = served.client();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"raw_count"}}"#;
    let mut held = Vec::new();
    for name in ["ada", "ben"] {
        let token = issuer.token(name, "vmcp", &json!({}));
        let sessions = [begin(&client, &token, "{}").await, begin(&client, &token, "{}").await];
        let (first, one) = counted(&post(&client, &token, Some(&sessions[0]), call).await);
        let (second, same) = counted(&post(&client, &token, Some(&sessions[1]), call).await);
        assert_eq!((first, second), (1, 2), "{name}");
        assert_eq!(one, same, "{name}");
        held.push(one);
    }
    assert_ne!(held[0], held[1]);
    assert!(backend.recorded().iter().all(|recorded| recorded.header("authorization").is_none()));
}

#[tokio::test]
async fn an_issuer_that_is_away_is_said_and_asked_again() {
    let backend = counting().await;
    let issuer = Issuer::start().await;
    let (url, token) = (issuer.url(), issuer.token("ada", "vmcp", &json!({})));
    drop(issuer);
    let served = Served::start(program(), &manifest(&url, "vmcp", &backend.url(), "")).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let refused = post(&served.client(), &token, None, LIST).await;
    assert_eq!(refused.status.as_u16(), 503, "{}", refused.text());
    assert_eq!(refused.json()["error"]["data"]["reason"], "issuer_unavailable");
    assert!(refused.header("www-authenticate").is_none());
}
