//! Nobody is led to addresses of somebody's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::net::TcpListener;
use vmcp_testkit::{Issuer, Recorded, Reply, Served, WireBackend, mcp_reply, whole};

use super::{ask, call};
use crate::program;

/// A listener, for addresses of both kinds, that counts who comes.
async fn trap() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("[::]:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let counted = count.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, count)
}

/// An issuer whose documents say whatever is wanted, at a name that leads to this machine.
async fn misleading(jwks: String, redirects: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let issuer = format!("http://localhost:{}", address.port());
    let said = json!({"issuer": issuer, "jwks_uri": jwks, "token_endpoint": jwks}).to_string();
    let router = axum::Router::new().fallback(async move || {
        use axum::response::IntoResponse;
        match redirects {
            true => axum::response::Redirect::temporary(&jwks).into_response(),
            false => ([("content-type", "application/json")], said.clone()).into_response(),
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    issuer
}

/// Ways to say where nobody should be led: this machine, and networks of somebody's own.
fn elsewhere(port: u16) -> Vec<String> {
    let hosts = [
        "127.0.0.1",
        "[::1]",
        "0.0.0.0",
        "2130706433",
        "0177.0.0.1",
        "0x7f000001",
        "127.1",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[fec0::1]",
        "[fe80::1]",
        "169.254.169.254",
    ];
    let mut addresses: Vec<String> = hosts
        .iter()
        .flat_map(|host| ["http", "https"].map(|scheme| format!("{scheme}://{host}:{port}/jwks")))
        .collect();
    addresses.extend([
        format!("https://127.0.0.1.nip.io:{port}/jwks"),
        format!("https://me:secret@127.0.0.1:{port}/jwks"),
        "file:///etc/passwd".to_owned(),
        format!("gopher://127.0.0.1:{port}/"),
    ]);
    addresses
}

/// A backend whose icons, schemas and challenges lead somewhere.
async fn pointing(port: u16) -> WireBackend {
    WireBackend::start(move |recorded: &Recorded| {
        // What a backend says about its own authorization, icons and schemas leads nobody anywhere.
        let tool = format!(
            r#"{{"name":"t","icons":[{{"src":"http://127.0.0.1:{port}/icon"}}],"inputSchema":{{"type":"object","$ref":"http://127.0.0.1:{port}/schema"}}}}"#
        );
        match mcp_reply(recorded, true, &tool) {
            Some(Reply::Json(body)) => whole("200 OK", "content-type: application/json\r\n", body.as_bytes()),
            _ => {
                let metadata = format!("http://127.0.0.1:{port}/.well-known/oauth-protected-resource");
                let head = format!("www-authenticate: Bearer resource_metadata=\"{metadata}\"\r\n");
                whole("401 Unauthorized", &head, metadata.as_bytes())
            }
        }
    })
    .await
}

/// T18.
#[tokio::test]
async fn ssrf_matrix() {
    let (port, caught) = trap().await;
    let backend = pointing(port).await;
    let addresses = elsewhere(port);
    let signer = Issuer::start().await;
    // The issuer is at a name, so its references to addresses are references elsewhere.
    let keys = format!("{}/jwks", signer.url());
    let trusting = |issuer: &str, more: &str| {
        format!(
            "name: all\ngroup: g\nincoming_auth: {{type: oidc, oidc: {{issuer: '{issuer}', audience: vmcp{more}}}}}\n---\nkind: group\nname: g\nworkloads: [{{name: a, url: '{}'}}]\n",
            backend.url()
        )
    };
    // One whose keys an operator has found, and whose token endpoint is asked for an exchange.
    let exchanging = |issuer: &str| {
        let known = format!(", client_id: us, client_auth_method: none, jwks_url: '{keys}'");
        let outgoing = "outgoing_auth: {default: {type: token_exchange, token_exchange: {audience: x}}}\n";
        trusting(issuer, &known).replace("---\nkind", &format!("{outgoing}---\nkind"))
    };
    for (number, address) in addresses.iter().enumerate() {
        let issuer = misleading(address.clone(), number % 2 == 0).await;
        let served = Served::start(program(), &exchanging(&issuer)).await;
        served.until_healthy("a", std::time::Duration::from_secs(10)).await;
        let token = signer.token("ada", "vmcp", &json!({"iss": issuer, "jti": number.to_string()}));
        let refused = ask(&served.client(), Some(&token), true, "tools/call", &call("a_t")).await;
        assert_eq!(
            refused.json()["error"]["data"]["reason"],
            "backend_auth_unavailable",
            "{address}: {}",
            refused.text()
        );
        for redirects in [false, true] {
            let issuer = misleading(address.clone(), redirects).await;
            let served = Served::start(program(), &trusting(&issuer, "")).await;
            let token = signer.token("ada", "vmcp", &json!({"iss": issuer, "jti": number.to_string()}));
            let refused = ask(&served.client(), Some(&token), true, "tools/call", &call("a_t")).await;
            assert!([401, 503].contains(&refused.status.as_u16()), "{address}: {}", refused.text());
            assert!(
                !refused.text().contains("root:") && !refused.text().contains(&address[7..]),
                "{}",
                refused.text()
            );
        }
    }
    assert_eq!(caught.load(Ordering::SeqCst), 0);
    // A document that speaks of another issuer is nobody's.
    let other = misleading(keys.clone(), false).await;
    let unlike = other.replace("localhost", "127.0.0.1");
    let served = Served::start(program(), &trusting(&unlike, "")).await;
    let token = signer.token("ada", "vmcp", &json!({"iss": unlike}));
    assert_eq!(ask(&served.client(), Some(&token), true, "tools/list", "").await.status.as_u16(), 503);
    // Where an operator allows it, the same way leads there: the trap catches.
    let issuer = misleading(format!("https://127.1:{port}/jwks"), false).await;
    let allowed = Served::start(program(), &trusting(&issuer, ", jwks_allow_private_ip: true")).await;
    let token = signer.token("ada", "vmcp", &json!({"iss": issuer}));
    ask(&allowed.client(), Some(&token), true, "tools/list", "").await;
    assert!(caught.swap(0, Ordering::SeqCst) > 0);
    drop(allowed);
    // A backend's own challenge is nobody else's.
    let manifest = format!(
        "name: all\ngroup: g\nincoming_auth: {{type: anonymous}}\n---\nkind: group\nname: g\nworkloads: [{{name: a, url: '{}'}}]\n",
        backend.url()
    );
    let served = super::serve(&manifest, &["a"]).await;
    let answer = ask(&served.client(), None, true, "tools/call", &call("a_t")).await;
    assert_eq!(answer.json()["error"]["data"]["reason"], "backend_auth_failed", "{}", answer.text());
    assert!(
        answer.header("www-authenticate").is_none() && !answer.text().contains(&port.to_string()),
        "{}",
        answer.text()
    );
    assert_eq!(caught.load(Ordering::SeqCst), 0);
}
