//! Who may come in, and with what.

use serde_json::json;
use std::time::Duration;
use vmcp_testkit::{Client, Issuer, RawBackend, Served, eventually};

use super::{ask, offering, secret, serve, tools};

async fn serving(incoming: &str, more: &str) -> (Served, RawBackend) {
    let backend = offering(&["echo"], true).await;
    let manifest = format!(
        "name: all\ngroup: g\nincoming_auth: {incoming}\n{more}---\nkind: group\nname: g\nworkloads: [{{name: a, url: '{}'}}]\n",
        backend.url()
    );
    (serve(&manifest, &[]).await, backend)
}

#[tokio::test]
async fn scopes_that_are_missing_are_said_all_at_once() {
    let issuer = Issuer::start().await;
    let incoming = format!(
        "{{type: oidc, oidc: {{issuer: '{}', audience: vmcp, resource: 'https://mcp.example/all', scopes: ['tools:extra', offline_access], required_scopes: ['tools:list', 'tools:call']}}}}",
        issuer.url()
    );
    let (served, _backend) = serving(&incoming, "").await;
    let client = served.client();
    let none = ask(&client, None, false, "tools/list", "").await;
    let challenge = none.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("scope=\"tools:list tools:call tools:extra\"") && !challenge.contains("error="),
        "{challenge}"
    );
    let metadata = challenge.split('"').nth(1).unwrap();
    let document = Client::new(metadata).request(reqwest::Method::GET, &[]).await.json();
    assert_eq!(document["scopes_supported"], json!(["tools:list", "tools:call", "tools:extra"]));
    assert_eq!(document["resource"], "https://mcp.example/all");
    for scope in [json!("tools:list"), json!(["tools:list", "other"]), json!("")] {
        let token = issuer.token("ada", "vmcp", &json!({"scope": scope}));
        let refused = ask(&client, Some(&token), true, "tools/list", "").await;
        assert_eq!(refused.status.as_u16(), 403);
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(
            challenge.contains("error=\"insufficient_scope\"")
                && challenge.contains("scope=\"tools:list tools:call\""),
            "{challenge}"
        );
    }
    for (name, scope) in
        [("scope", json!("tools:call tools:list")), ("scp", json!(["tools:call", "tools:list"]))]
    {
        let token = issuer.token("ada", "vmcp", &json!({name: scope}));
        assert_eq!(ask(&client, Some(&token), true, "tools/list", "").await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn several_issuers_vouch_each_for_its_own() {
    let (one, two, stranger) = (Issuer::start().await, Issuer::start().await, Issuer::start().await);
    let incoming = format!(
        "{{type: oidc, oidc: [{{issuer: '{}', audience: vmcp}}, {{issuer: '{}', audience: other, jwks_url: '{}/jwks'}}], authz: {{type: cedar, policies: ['permit(principal, action, resource) when {{ principal.claim_iss == \"{}\" }};']}}}}",
        one.url(),
        two.url(),
        two.url(),
        two.url()
    );
    let (served, _backend) = serving(&incoming, "").await;
    served.until_healthy("a", Duration::from_secs(10)).await;
    let client = served.client();
    let none = ask(&client, None, false, "tools/list", "").await;
    let metadata = none.header("www-authenticate").unwrap().split('"').nth(1).unwrap().to_owned();
    let document = Client::new(metadata).request(reqwest::Method::GET, &[]).await.json();
    assert_eq!(document["authorization_servers"], json!([one.url(), two.url()]));
    // The same subject at two issuers is two principals.
    let listed = async |token: String| tools(&ask(&client, Some(&token), true, "tools/list", "").await);
    assert!(listed(one.token("ada", "vmcp", &json!({}))).await.is_empty());
    assert_eq!(listed(two.token("ada", "other", &json!({}))).await, ["a_echo"]);
    for (issuer, audience) in [(&one, "other"), (&two, "vmcp"), (&stranger, "vmcp")] {
        let token = issuer.token("ada", audience, &json!({}));
        assert_eq!(ask(&client, Some(&token), true, "tools/list", "").await.status.as_u16(), 401);
    }
    let claimed = stranger.token("ada", "vmcp", &json!({"iss": one.url()}));
    assert_eq!(ask(&client, Some(&claimed), true, "tools/list", "").await.status.as_u16(), 401);
}

#[tokio::test]
async fn an_opaque_token_is_what_its_issuer_says() {
    let issuer = Issuer::start().await;
    let (_folder, secret) = secret();
    let incoming = format!(
        "{{type: oidc, oidc: {{issuer: '{0}', audience: vmcp, client_id: us, client_secret_file: '{secret}', introspection_url: '{0}/introspect', required_scopes: [tools]}}}}",
        issuer.url()
    );
    let (served, _backend) = serving(&incoming, "").await;
    let client = served.client();
    for (token, status) in [("opaque-ada-vmcp", 200), ("opaque-ada-else", 401), ("unknown", 401)] {
        for _ in 0..3 {
            assert_eq!(
                ask(&client, Some(token), true, "tools/list", "").await.status.as_u16(),
                status,
                "{token}"
            );
        }
    }
    // A token that could be read is not: only its issuer says.
    let token = issuer.token("ada", "vmcp", &json!({"scope": "tools"}));
    assert_eq!(ask(&client, Some(&token), true, "tools/list", "").await.status.as_u16(), 401);
    drop(issuer);
    assert_eq!(
        ask(&client, Some("opaque-ada-vmcp"), true, "tools/list", "").await.status.as_u16(),
        200,
        "it is remembered"
    );
    assert_eq!(ask(&client, Some("opaque-ben-vmcp"), true, "tools/list", "").await.status.as_u16(), 503);
}

#[tokio::test]
async fn a_local_caller_is_who_runs_the_server() {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name;
    for (who, is_allowed) in [(user.as_str(), true), ("somebody-else", false)] {
        let incoming = format!(
            "{{type: local, authz: {{type: cedar, policies: ['permit(principal == Client::\"{who}\", action, resource);']}}}}"
        );
        let (served, _backend) = serving(&incoming, "").await;
        served.until_healthy("a", Duration::from_secs(10)).await;
        let listed = tools(&ask(&served.client(), None, true, "tools/list", "").await);
        assert_eq!(!listed.is_empty(), is_allowed, "{who}");
    }
}

#[tokio::test]
async fn only_names_that_are_said_are_ours() {
    let more =
        "public_url: 'https://mcp.example.com'\nallowed_hosts: [inside.example, 'port.example:8443']\n";
    let (served, _backend) = serving("{type: anonymous}", more).await;
    let client = served.client();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for (host, status) in [
        ("mcp.example.com", 200),
        ("inside.example:4483", 200),
        ("port.example:8443", 200),
        ("port.example", 403),
        ("evil.example", 403),
        ("localhost", 200),
    ] {
        assert_eq!(client.post(&[("host", host)], body).await.status.as_u16(), status, "{host}");
    }
    for (origin, status) in [("https://mcp.example.com", 200), ("https://evil.example", 403), ("null", 403)] {
        assert_eq!(client.post(&[("origin", origin)], body).await.status.as_u16(), status, "{origin}");
    }
}

/// T17, crafted tokens: whatever is wrong with it, the answer is one.
#[tokio::test]
async fn jwt_and_jwks_hardening() {
    let issuer = Issuer::start().await;
    let (served, _backend) =
        serving(&format!("{{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}}}", issuer.url()), "").await;
    let client = served.client();
    let good = issuer.token("ada", "vmcp", &json!({}));
    assert_eq!(ask(&client, Some(&good), true, "tools/list", "").await.status.as_u16(), 200);
    let claims = |name: &str, value: serde_json::Value| issuer.token("ada", "vmcp", &json!({ name: value }));
    let pieces: Vec<&str> = good.split('.').collect();
    let zero = "A".repeat(86);
    let mut bad = vec![
        claims("exp", json!("never")),
        claims("exp", json!(null)),
        claims("exp", json!([4_000_000_000_u64])),
        claims("nbf", json!("0")),
        claims("nbf", json!(4_000_000_000_u64)),
        claims("aud", json!({"vmcp": true})),
        claims("aud", json!([])),
        claims("aud", json!("vmcp ")),
        claims("aud", json!("VMCP")),
        claims("iss", json!([issuer.url()])),
        claims("iss", json!(format!("{}/", issuer.url()))),
        claims("sub", json!(7)),
        claims("sub", json!(null)),
        claims("cnf", json!({"jkt": "x"})),
        format!("{}.{}.{zero}", pieces[0], pieces[1]),
        format!("{}.{}.", pieces[0], pieces[1]),
        format!("{}.{}", pieces[0], pieces[1]),
        format!("{good}.x"),
        format!("{}.{}.{}", pieces[1], pieces[0], pieces[2]),
        "a".repeat(1024 * 1024 / 8),
    ];
    for id in ["../../etc/passwd", "' OR 1=1 --", "", "shared"] {
        bad.push(issuer.token_under(Some(id), "at+jwt", "ada", "vmcp", &json!({})));
    }
    for kind in ["id_token+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt"] {
        bad.push(issuer.token_under(Some("only"), kind, "ada", "vmcp", &json!({})));
    }
    for token in &bad {
        let refused = ask(&client, Some(token), true, "tools/list", "").await;
        let status = refused.status.as_u16();
        assert!(status == 401 || (token.len() > 100_000 && status == 431), "{token}: {status}");
    }
    // Ids that nobody has cost the issuer one fetch at most.
    let before = issuer.fetches();
    for number in 0..300 {
        let token =
            issuer.token_under(Some(&format!("invented-{number}")), "at+jwt", "ada", "vmcp", &json!({}));
        assert_eq!(ask(&client, Some(&token), true, "tools/list", "").await.status.as_u16(), 401);
    }
    assert!(issuer.fetches() <= before + 1, "{} fetches", issuer.fetches() - before);
    let is_good = eventually(Duration::from_secs(1), async || {
        ask(&client, Some(&good), true, "tools/list", "").await.status.as_u16() == 200
    });
    assert!(is_good.await);
}
