//! Issuers: who asks them, and what operators hear of them and of the tokens that they have signed.

use std::time::Duration;

use serde_json::json;
use vmcp_testkit::{Issuer, eventually};

use super::incoming::serving;
use super::{ask, secret};

/// Whoever asks about a token says who that is, in each way (RFC 7662, section 2.1).
#[tokio::test]
async fn an_issuer_is_asked_by_somebody_whom_it_knows() {
    let (folder, secret) = secret();
    let key = folder.path().join("key.pem");
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    fs_err::write(&key, pair.serialize_pem()).unwrap();
    for (how, is_shown) in [
        (format!("client_secret_file: '{secret}'"), "header"),
        (format!("client_secret_file: '{secret}', client_auth_method: client_secret_post"), "client_secret"),
        (
            format!("client_key: {{file: '{}'}}, client_key_algorithm: ES256", key.display()),
            "client_assertion",
        ),
    ] {
        let issuer = Issuer::start().await;
        let incoming = format!(
            "{{type: oidc, oidc: {{issuer: '{0}', audience: vmcp, client_id: us, {how}, introspection_url: '{0}/introspect'}}}}",
            issuer.url()
        );
        let (served, _backend) = serving(&incoming, "").await;
        let answer = ask(&served.client(), Some("opaque-ada-vmcp"), true, "tools/list", "").await;
        assert_eq!(answer.status.as_u16(), 200, "{how}: {}", answer.text());
        let asked = issuer.introspections().pop().expect("it is asked");
        assert_eq!(asked.form["token"], "opaque-ada-vmcp");
        // `us:hush-hush`
        let is_basic = asked.authorization.as_deref() == Some("Basic dXM6aHVzaC1odXNo");
        let by_form = asked.form.get("client_secret").map(String::as_str) == Some("hush-hush");
        let by_key = asked.form.contains_key("client_assertion");
        let ways = [("header", is_basic), ("client_secret", by_form), ("client_assertion", by_key)];
        for (way, is_used) in ways {
            assert_eq!(is_used, way == is_shown, "{how}: {way}: {asked:?}");
        }
        assert!(is_basic || asked.form["client_id"] == "us", "{asked:?}");
    }
}

/// What is wrong with an issuer operators are told, and what is wrong with a token is on record.
#[tokio::test]
async fn operators_hear_of_issuers_that_cannot_be_reached_and_why_tokens_are_refused() {
    let issuer = Issuer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let audit = format!("audit: {{log_file: '{}'}}\n", file.display());
    let away = "{type: oidc, oidc: {issuer: 'http://127.0.0.1:1', audience: vmcp}}";
    let (served, _backend) = serving(away, "").await;
    let said = async || served.status().await["diagnostics"].to_string();
    let is_said = eventually(Duration::from_secs(10), async || {
        let said = said().await;
        said.contains("the keys of the issuer `http://127.0.0.1:1` cannot be had")
            && said.contains("Connection refused")
    });
    assert!(is_said.await, "{}", said().await);

    let incoming = format!("{{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}}}", issuer.url());
    let (served, _backend) = serving(&incoming, &audit).await;
    let stranger = Issuer::start().await;
    let tokens = [
        (None, "no_token"),
        (Some("opaque".to_owned()), "token_malformed"),
        (Some(issuer.token("ada", "else", &json!({}))), "token_for_other_audience"),
        (Some(stranger.token("ada", "vmcp", &json!({}))), "token_of_other_issuer"),
        (Some(issuer.token("ada", "vmcp", &json!({"exp": 1_000_000_000}))), "token_ended"),
        (
            Some(issuer.token_under(Some("only"), "JWT", "ada", "vmcp", &json!({"c_hash": "x"}))),
            "token_of_other_kind",
        ),
    ];
    let mut texts = std::collections::BTreeSet::new();
    for (token, why) in &tokens {
        let answer = ask(&served.client(), token.as_deref(), true, "tools/list", "").await;
        assert_eq!(answer.status.as_u16(), 401, "{why}");
        texts.insert(answer.text());
        let is_recorded = eventually(Duration::from_secs(5), async || {
            fs_err::read_to_string(&file).is_ok_and(|log| log.contains(&format!("\"reason\":\"{why}\"")))
        });
        assert!(is_recorded.await, "{why}: {}", fs_err::read_to_string(&file).unwrap());
    }
    assert_eq!(texts.len(), 1, "whoever asks does not hear why: {texts:?}");
}
