//! How we show an issuer who we are (RFC 7523). `just identity` does the same with a real provider.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm};
use serde_json::{Value, json};
use vmcp_testkit::{Asked, Certificate, Issuer, TlsDoor};

use super::{ask, call, group, offering, serve};

/// What an exchange was asked with in the name of a client that has this key, for two callers.
async fn asked_with(key: &KeyPair, algorithm: &str, issuer: &Issuer) -> Vec<Asked> {
    let backend = offering(&["a"], true).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    fs_err::write(&file, key.serialize_pem()).unwrap();
    let manifest = format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}}}
outgoing_auth:
  backends:
    one:
      type: token_exchange
      token_exchange:
        audience: one-api
        client_id: signer
        client_key: {{file: '{}'}}
        client_key_id: k1
        client_key_algorithm: {algorithm}
---
kind: group
name: g
workloads: [{{name: one, url: '{}'}}]
",
        issuer.url(),
        file.display(),
        backend.url()
    );
    let served = serve(&manifest, &["one"]).await;
    for caller in ["ada", "ben"] {
        let token = issuer.token(caller, "vmcp", &json!({}));
        let answer = ask(&served.client(), Some(&token), true, "tools/call", &call("one_a")).await;
        assert!(answer.json()["result"].is_object(), "{algorithm}: {}", answer.text());
    }
    issuer.asked()
}

#[tokio::test]
async fn a_client_shows_that_it_is_by_a_key_of_its_own() {
    let kinds: [(&str, &SignatureAlgorithm); 3] =
        [("ES256", &PKCS_ECDSA_P256_SHA256), ("ES384", &PKCS_ECDSA_P384_SHA384), ("EdDSA", &PKCS_ED25519)];
    for (algorithm, kind) in kinds {
        let (issuer, key) = (Issuer::start().await, KeyPair::generate_for(kind).unwrap());
        let asked = asked_with(&key, algorithm, &issuer).await;
        assert_eq!(asked.len(), 2);
        let public = key.public_key_pem();
        let known = match algorithm {
            "EdDSA" => DecodingKey::from_ed_pem(public.as_bytes()),
            _ => DecodingKey::from_ec_pem(public.as_bytes()),
        };
        let mut held_to = Validation::new(algorithm.parse::<Algorithm>().unwrap());
        held_to.set_audience(&[format!("{}/token", issuer.url())]);
        held_to.set_issuer(&["signer"]);
        held_to.set_required_spec_claims(&["aud", "exp", "iss", "sub"]);
        let known = known.unwrap();
        let said: Vec<Value> = asked
            .iter()
            .map(|asked| {
                let form = &asked.form;
                assert_eq!(form["client_id"], "signer");
                assert_eq!(
                    form["client_assertion_type"],
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                );
                assert!(asked.authorization.is_none() && !form.contains_key("client_secret"), "{asked:?}");
                let assertion = &form["client_assertion"];
                assert_eq!(decode_header(assertion).unwrap().kid.as_deref(), Some("k1"));
                decode::<Value>(assertion, &known, &held_to).expect("signed by its key").claims
            })
            .collect();
        for said in &said {
            assert_eq!(said["sub"], "signer");
            let lasts = said["exp"].as_u64().unwrap() - said["iat"].as_u64().unwrap();
            assert!(lasts <= 300, "{said}");
        }
        assert_ne!(said[0]["jti"], said[1]["jti"], "each is shown once");
    }
}

/// A manifest with a backend for each of these strategies.
fn strategies(issuer: &Issuer, url: &str, strategies: &[(&str, String)]) -> String {
    let outgoing: String =
        strategies.iter().map(|(name, strategy)| format!("    {name}: {strategy}\n")).collect();
    let workloads: Vec<(&str, String)> = strategies.iter().map(|(name, _)| (*name, url.to_owned())).collect();
    format!(
        "name: all\ngroup: g\nincoming_auth: {{type: oidc, oidc: {{issuer: '{}', audience: vmcp}}}}\noutgoing_auth:\n  backends:\n{outgoing}{}",
        issuer.url(),
        group(&workloads)
    )
}

/// What is written is what is asked for and shown, wherever a secret is found.
#[tokio::test]
async fn what_is_asked_for_is_what_is_written() {
    let (issuer, backend) = (Issuer::start().await, offering(&["a"], true).await);
    // One that every process has.
    let known = vmcp_runtime::secret_variable("HOME").unwrap().into_string().unwrap();
    let manifest = strategies(&issuer, &backend.url(), &[
        ("public", "{type: token_exchange, token_exchange: {resource: 'https://one.example/', subject_token_type: jwt, client_id: us, client_auth_method: none}}".to_owned()),
        ("env", "{type: token_exchange, token_exchange: {audience: x, client_id: us, client_secret: {env: HOME}, client_auth_method: client_secret_post}}".to_owned()),
        ("ours", format!("{{type: service_account, service_account: {{token_url: '{}/token', resource: 'https://two.example/', scopes: [a, b], client_id: us, client_secret_env: HOME, client_auth_method: client_secret_post}}}}", issuer.url())),
        ("fixed", "{type: service_account, service_account: {credentials_env: HOME, header_name: X-Key, header_format: 'Token {token}'}}".to_owned()),
        ("header", "{type: header_injection, header_injection: {header_name: X-Other, header_value_env: HOME}}".to_owned()),
    ]);
    let served = serve(&manifest, &["public", "env", "ours", "fixed", "header"]).await;
    let ada = issuer.token("ada", "vmcp", &json!({}));
    let mut forms = Vec::new();
    for name in ["public", "env", "ours", "fixed", "header"] {
        let answer = ask(&served.client(), Some(&ada), true, "tools/call", &call(&format!("{name}_a"))).await;
        assert!(answer.json()["result"].is_object(), "{name}: {}", answer.text());
        let of_ada = |asked: &Asked| asked.form.get("subject_token") == Some(&ada);
        forms.push(issuer.asked().into_iter().rfind(of_ada).map(|asked| asked.form));
    }
    let public = forms[0].clone().expect("an exchange");
    assert_eq!(public["resource"], "https://one.example/");
    assert_eq!(public["subject_token_type"], "urn:ietf:params:oauth:token-type:jwt");
    assert!(!public.contains_key("audience") && !public.contains_key("client_secret"), "{public:?}");
    let from_variable = forms[1].clone().expect("an exchange");
    assert_eq!([&from_variable["client_id"], &from_variable["client_secret"]], ["us", known.as_str()]);
    let is_ours =
        |asked: &Asked| asked.form["grant_type"] == "client_credentials" && asked.form["scope"] == "a b";
    let ours = issuer.asked().into_iter().find(is_ours).expect("a token of ours").form;
    assert_eq!([&ours["resource"], &ours["client_secret"]], ["https://two.example/", known.as_str()]);
    let shown = |name: &str| {
        let calls = backend.calls("tools/call");
        calls.iter().filter_map(|call| call.header(name).map(ToOwned::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!((shown("x-key"), shown("x-other")), (vec![format!("Token {known}")], vec![known]));
}

/// Issuers over TLS, by an authority that is said.
#[tokio::test]
async fn an_issuer_over_tls_is_held_to_the_authority_that_is_said() {
    let (issuer, backend) = (Issuer::start().await, offering(&["a"], true).await);
    let door = TlsDoor::before(&issuer.url(), Certificate::Good).await;
    let folder = tempfile::tempdir().unwrap();
    let (ca, secret) = (folder.path().join("ca.pem"), folder.path().join("secret"));
    fs_err::write(&ca, door.authority()).unwrap();
    fs_err::write(&secret, "hush").unwrap();
    let at = |path: &str| door.url().replace("/mcp", path);
    for (of_keys, of_tokens) in [(true, true), (false, true), (true, false)] {
        let bundle = |is_said: bool| {
            if is_said { format!(", ca_bundle_path: '{}'", ca.display()) } else { String::new() }
        };
        let manifest = format!(
            "name: all\ngroup: g\nincoming_auth: {{type: oidc, oidc: {{issuer: '{}', audience: vmcp, jwks_url: '{}'{}}}}}\noutgoing_auth: {{default: {{type: token_exchange, token_exchange: {{audience: x, token_url: '{}', client_id: us, client_secret_file: '{}'{}}}}}}}\n{}",
            issuer.url(),
            at("/jwks"),
            bundle(of_keys),
            at("/token"),
            secret.display(),
            bundle(of_tokens),
            group(&[("one", backend.url())])
        );
        let served = serve(&manifest, &["one"]).await;
        let ada = issuer.token("ada", "vmcp", &json!({}));
        let answer = ask(&served.client(), Some(&ada), true, "tools/call", &call("one_a")).await;
        let reason = answer.json()["error"]["data"]["reason"].clone();
        match (of_keys, of_tokens) {
            (false, _) => assert_eq!(answer.status.as_u16(), 503, "{}", answer.text()),
            (_, false) => assert_eq!(reason, "backend_auth_unavailable", "{}", answer.text()),
            _ => assert!(answer.json()["result"].is_object(), "{}", answer.text()),
        }
    }
}
