//! No token, no backend: whatever the path is written like and whatever is sent.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vmcp_testkit::{Issuer, claims};

use super::{ask, call, offering, serve};

/// Sends bytes as they are, and reads what comes until the other end has nothing more to say.
async fn raw(address: &str, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an end").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// What a request is answered with that shows nothing good.
fn expected(method: &str, path: &str) -> &'static str {
    if path.starts_with("http://evil") {
        return "403";
    }
    let path = path.trim_start_matches("http://").trim_start_matches(|c| c != '/');
    let path = path.split('?').next().unwrap_or_default();
    match (path, method) {
        ("/mcp" | "/g1/mcp" | "/g2/mcp", "POST" | "GET" | "DELETE") | ("/g1/messages", "POST") => "401",
        ("/mcp" | "/g1/mcp" | "/g2/mcp" | "/sse" | "/g1/sse", _) => "405",
        _ => "404",
    }
}

/// T5.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
async fn no_token_no_backend() {
    let (a, b) = (offering(&["echo"], true).await, offering(&["echo"], false).await);
    let issuer = Issuer::start().await;
    let oidc = |audience: &str| {
        format!("incoming_auth: {{type: oidc, oidc: {{issuer: '{}', audience: {audience}}}}}", issuer.url())
    };
    let manifest = format!(
        "name: g1\ngroup: one\ndefault: true\n{}\n---\nname: g2\ngroup: two\n{}\n---\nkind: group\nname: one\nworkloads: [{{name: a, url: '{}'}}]\n---\nkind: group\nname: two\nworkloads: [{{name: b, url: '{}'}}]\n",
        oidc("first"),
        oidc("second"),
        a.url(),
        b.url()
    );
    let served = serve(&manifest, &["a", "b"]).await;
    let address = served.url().trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let quiet = || a.calls("tools/call").len() + b.calls("tools/call").len() + issuer.asked().len();
    let good = issuer.token("ada", "first", &json!({}));
    let none_alg = {
        let pieces: Vec<&str> = good.split('.').collect();
        assert_eq!(claims(&good)["sub"], "ada");
        // {"alg":"none"}
        format!("eyJhbGciOiJub25lIn0.{}.", pieces[1])
    };
    let expired = issuer.token("ada", "first", &json!({"exp": 1_600_000_000}));
    let other = issuer.token("ada", "elsewhere", &json!({}));
    let tokens = [
        String::new(),
        "Authorization: Bearer\r\n".into(),
        "Authorization: Bearer \r\n".into(),
        "Authorization: Bearer garbage\r\n".into(),
        "Authorization: Bearer sk-ant-0123456789abcdef\r\n".into(),
        "Authorization: Basic YWRhOmFkYQ==\r\n".into(),
        format!("Authorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n"),
        format!("Authorization: Bearer {good}, Bearer {good}\r\n"),
        format!("X-Authorization: Bearer {good}\r\n"),
        format!("Authorization: bearer{good}\r\n"),
        format!("Authorization: Bearer {none_alg}\r\n"),
        format!("Authorization: Bearer {expired}\r\n"),
        format!("Authorization: Bearer {other}\r\n"),
        "X-Vmcp-Subject: ada\r\nX-User: ada\r\nX-Forwarded-User: ada\r\nMcp-Init-Host: a\r\nX-Vmcp-Backend: a\r\n".into(),
    ];
    let long = "x".repeat(300);
    let paths = [
        "/mcp",
        "/g1/mcp",
        "/g2/mcp",
        "/g1/mcp/",
        "//mcp",
        "/g1//mcp",
        "/g1/%2e/mcp",
        "/%2e%2e/g1/mcp",
        "/g1/../g1/mcp",
        "/./mcp",
        "/G1/mcp",
        "/g1/MCP",
        "/nowhere/mcp",
        "/1/mcp",
        "/9b2f3c1e-0d4a-4f5e-8c3b-2a1d0e9f8b7c/mcp",
        "/%F0%9F%92%A9/mcp",
        "/g1%2fmcp",
        "/g1/mcp%00",
        "/g1/mcp?access_token=",
        "/g1/mcp;x",
        "/sse",
        "/g1/sse",
        "/g1/messages?id=1",
        "/",
        "/mcp/tools",
    ];
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a_echo"}}"#;
    let (mut sent, mut absent) = (0, None);
    for path in paths.iter().copied().chain([
        &*format!("/{long}/mcp"),
        &*format!("http://{address}/g1/mcp"),
        "http://evil.example/g1/mcp",
    ]) {
        for token in &tokens {
            // All methods where something is; one elsewhere.
            let methods: &[&str] = if path.ends_with("/mcp") {
                &["POST", "GET", "DELETE", "OPTIONS", "HEAD", "PUT"]
            } else {
                &["POST"]
            };
            for method in methods {
                let path = path.replace("access_token=", &format!("access_token={good}"));
                let text = format!(
                    "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{token}Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let answer = raw(&address, &text).await;
                let status = answer.split(' ').nth(1).unwrap_or_default();
                assert_eq!(status, expected(method, &path), "{method} {path} {token}: {answer}");
                if status == "401" {
                    let is_one = token.matches("Authorization").count() == 1;
                    let is_shown = is_one && token.starts_with("Authorization: Bearer ey")
                        || ["garbage", "sk-"].iter().any(|some| token.contains(some));
                    let is_invalid = answer.contains(r#"error="invalid_token""#);
                    assert!(
                        answer.contains("resource_metadata=") && is_invalid == is_shown,
                        "{token}: {answer}"
                    );
                }
                // Whatever it is that is not there, it is not there in the same words.
                if status == "404" && *method == "POST" {
                    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
                    assert_eq!(absent.get_or_insert_with(|| body.clone()), &body, "{path}");
                }
                assert!(!answer.contains("a_echo") && !answer.contains("echo\""), "{answer}");
                sent += 1;
            }
        }
    }
    assert!(sent > 500, "{sent}");
    // A host of somebody else's, and one that differs from what HTTP/2 says.
    let http2 = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    for (url, host) in
        [(format!("http://{address}/g1/mcp"), "evil.example"), (format!("http://{address}/g2/mcp"), "g1")]
    {
        let answer = http2
            .post(&url)
            .header("host", host)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        assert!([400, 401, 403].contains(&answer.status().as_u16()), "{url} {host}: {}", answer.status());
    }
    // A token of one is none of the other's.
    let at = |path: &str| vmcp_testkit::Client::new(format!("http://{address}{path}"));
    let refused = ask(&at("/g2/mcp"), Some(&good), true, "tools/call", &call("b_echo")).await;
    assert_eq!(refused.status.as_u16(), 401);
    assert_eq!(quiet(), 0);
    // And with one everything is as it should be.
    let answer = ask(&at("/g1/mcp"), Some(&good), true, "tools/call", &call("a_echo")).await;
    assert!(answer.json()["result"].is_object(), "{}", answer.text());
    assert_eq!(quiet(), 1);
}
