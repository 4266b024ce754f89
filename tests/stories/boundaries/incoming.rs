//! Who may come in, and with what.

use serde_json::json;
use std::time::{Duration, Instant};
use vmcp_testkit::{Client, Issuer, Published, RawBackend, Served, eventually};

use super::{ask, offering, secret, serve, tools};

pub(super) async fn serving(incoming: &str, more: &str) -> (Served, RawBackend) {
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
    // Whoever comes with it at the same time, the issuer is asked once, and once about what is no token of its own.
    for (count, (token, status)) in (1..).zip([("opaque-all-vmcp", 200), ("invented", 401)]) {
        let all = (0..50).map(|_| ask(&client, Some(token), true, "tools/list", ""));
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(|answer| answer.status.as_u16() == status), "{token}");
        assert_eq!(issuer.introspections().len(), count, "{token}");
    }
    for (token, status) in
        [("opaque-ada-vmcp", 200), ("opaque-ada-else", 401), ("unknown", 401), ("opaque-bound-vmcp", 401)]
    {
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

/// Keys that change while tokens come in.
#[tokio::test]
async fn two_boundaries_05_keys_change_without_a_lost_call_and_floods_cost_one_fetch() {
    let issuer = Issuer::start().await;
    let (served, _backend) =
        serving(&format!("{{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}}}", issuer.url()), "").await;
    let client = served.client();
    let status = async |token: &str| ask(&client, Some(token), true, "tools/list", "").await.status.as_u16();
    let first = issuer.token("ada", "vmcp", &json!({}));
    assert_eq!(status(&first).await, 200);
    // The control plane has fetched them for everybody.
    assert!(issuer.fetches() <= 2, "{}", issuer.fetches());
    // With overlap: those who come with the new key and those who come with the old one, all at once, and all come in.
    let before = issuer.fetches();
    let older: Vec<String> =
        (0..20).map(|number| issuer.token("old", "vmcp", &json!({"jti": number.to_string()}))).collect();
    issuer.rotate("second", true);
    let newer: Vec<String> =
        (0..20).map(|number| issuer.token("new", "vmcp", &json!({"jti": number.to_string()}))).collect();
    let all = older.iter().chain(&newer).map(|token| status(token));
    let all = futures_util::future::join_all(all).await;
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
    assert_eq!(issuer.fetches(), before + 1, "one fetch for all who wait");
    // Invented ids cost nothing more within half a minute.
    for number in 0..500 {
        let id = format!("invented-{number}");
        let token = issuer.token_under(Some(&id), "at+jwt", "eve", "vmcp", &json!({}));
        assert_eq!(status(&token).await, 401);
    }
    assert_eq!(issuer.fetches(), before + 1);
    // Without overlap: until they may be fetched again, whoever comes with the new key waits outside.
    let late = issuer.token("late", "vmcp", &json!({}));
    issuer.rotate("third", false);
    let third = issuer.token("ada", "vmcp", &json!({"jti": "third"}));
    let is_in = eventually(Duration::from_secs(35), async || status(&third).await == 200);
    assert!(is_in.await);
    assert_eq!(issuer.fetches(), before + 2);
    for token in [&late, &first, &older[0], &newer[0]] {
        assert_eq!(status(token).await, 401, "a key that is gone takes with it what it has signed");
    }
}

/// T17, what stands where keys should: it takes bounded time, is nobody's key, and leads nowhere.
#[tokio::test]
async fn documents_of_keys_that_are_hostile_let_nobody_in() {
    let trap = Issuer::start().await;
    let table = [
        Published::Padded(50 * 1024 * 1024),
        Published::Late(Duration::from_secs(60)),
        Published::Elsewhere(format!("{}/jwks", trap.url())),
        Published::Saying("{\"keys\": {}}"),
        Published::Saying("{\"keys\": ["),
    ];
    for published in table {
        let issuer = Issuer::start().await;
        let shown = format!("{published:?}");
        issuer.publishes(published);
        let incoming = format!("{{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}}}", issuer.url());
        let (served, _backend) = serving(&incoming, "").await;
        let client = served.client();
        let status =
            async |token: &str| ask(&client, Some(token), true, "tools/list", "").await.status.as_u16();
        let token = issuer.token("ada", "vmcp", &json!({}));
        let asked = Instant::now();
        assert_eq!(status(&token).await, 503, "{shown}");
        assert!(asked.elapsed() < Duration::from_secs(15), "{shown}");
        let forged = trap.token("ada", "vmcp", &json!({"iss": issuer.url()}));
        assert_ne!(status(&forged).await, 200, "{shown}");
        issuer.publishes(Published::Keys);
        let is_in = eventually(Duration::from_secs(15), async || status(&token).await == 200);
        assert!(is_in.await, "{shown}");
    }
    assert_eq!(trap.fetches(), 0);
}

/// T17: what is known is good while the issuer is away, and an issuer that publishes no key is not asked for them by every token.
#[tokio::test]
async fn jwt_and_jwks_hardening_without_an_issuer() {
    let issuer = Issuer::start().await;
    let incoming = format!("{{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}}}", issuer.url());
    let (served, _backend) = serving(&incoming, "").await;
    let client = served.client();
    let status = async |token: &str| ask(&client, Some(token), true, "tools/list", "").await.status.as_u16();
    let tokens: Vec<String> =
        (0..50).map(|number| issuer.token("ada", "vmcp", &json!({"jti": number.to_string()}))).collect();
    assert_eq!(status(&tokens[0]).await, 200);
    let invented = issuer.token_under(Some("invented"), "at+jwt", "eve", "vmcp", &json!({}));
    drop(issuer);
    assert_eq!(status(&invented).await, 401);
    for token in &tokens {
        assert_eq!(status(token).await, 200);
    }

    let empty = Issuer::start().await;
    empty.publishes(Published::Saying("{\"keys\": []}"));
    let incoming = format!("{{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}}}", empty.url());
    let (served, _backend) = serving(&incoming, "").await;
    for number in 0..100 {
        let token = empty.token("eve", "vmcp", &json!({"jti": number.to_string()}));
        let answer = ask(&served.client(), Some(&token), true, "tools/list", "").await;
        assert_ne!(answer.status.as_u16(), 200);
    }
    assert!(empty.fetches() <= 3, "{} fetches", empty.fetches());
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
    bad.extend(issuer.forgeries("ada", "vmcp"));
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
    // Ids that nobody has cost the issuer one fetch at most, in half a minute.
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

/// RFC 9728: what is said of a virtual server is found where its challenge says, under the address that clients know it by.
#[tokio::test]
async fn a_challenge_leads_to_what_is_said_of_its_own_virtual_server() {
    let issuer = Issuer::start().await;
    let backend = RawBackend::start(|_| vmcp_testkit::Reply::Silence).await;
    let server = |name: &str, more: &str| {
        let oidc = format!("{{issuer: '{}', audience: vmcp{more}}}", issuer.url());
        format!(
            "name: {name}\ngroup: g\nincoming_auth: {{type: oidc, oidc: {oidc}}}\npublic_url: 'https://mcp.example.com'\n"
        )
    };
    let group = super::group(&[("a", backend.url())]);
    let both = format!(
        "{}---\n{}{group}",
        server("one", ""),
        server("two", ", resource: 'https://two.example/', scopes: [x]")
    );
    for (manifest, names) in
        [(both, &["one", "two"][..]), (format!("{}{group}", server("one", "")), &["one"])]
    {
        let served = Served::start(crate::program(), &manifest).await;
        let origin = served.url().split('/').take(3).collect::<Vec<_>>().join("/");
        let get = async |path: &str, host: &str| {
            Client::new(format!("{origin}{path}")).request(reqwest::Method::GET, &[("host", host)]).await
        };
        let well_known = "/.well-known/oauth-protected-resource";
        for name in names {
            let refused =
                ask(&Client::new(format!("{origin}/{name}/mcp")), None, true, "tools/list", "").await;
            let challenge = refused.header("www-authenticate").unwrap();
            let path = format!("{well_known}/{name}/mcp");
            assert!(
                challenge.contains(&format!("resource_metadata=\"https://mcp.example.com{path}\"")),
                "{challenge}"
            );
            let said = get(&path, "mcp.example.com").await.json();
            let resource = if *name == "two" {
                "https://two.example/".to_owned()
            } else {
                format!("https://mcp.example.com/{name}/mcp")
            };
            assert_eq!(
                (&said["resource"], &said["authorization_servers"]),
                (&json!(resource), &json!([issuer.url()]))
            );
            assert_eq!(said["scopes_supported"].is_array(), *name == "two");
            assert_eq!(get(&path, "evil.example").await.status.as_u16(), 403);
        }
        // Where there is one, it is at the root, too.
        for (path, is_there) in
            [(well_known.to_owned(), names.len() == 1), (format!("{well_known}/nobody/mcp"), false)]
        {
            let status = get(&path, "mcp.example.com").await.status.as_u16();
            assert_eq!(status == 200, is_there, "{path}: {status}");
            assert_eq!(get(&path, "localhost").await.status.as_u16() == 200, is_there, "{path}");
        }
    }
}
