//! However a backend fails, nobody is shown what it was shown.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use vmcp_testkit::{
    Client, Issuer, Process, Recorded, Step, WireBackend, eventually, mcp_reply, well, whole,
};

use super::{ask, call, secret};
use crate::program;
use crate::workloads::hostile;

/// Ways to fail that give back what was shown.
const ECHOES: [&str; 4] = ["echoes", "echoes_as_json", "moves", "challenges"];

/// Gives back the credential that it was shown, where somebody might show it on.
fn echo(tool: &str, asked: &Recorded) -> Option<Vec<Step>> {
    let shown = asked.header("authorization").unwrap_or_default();
    let text = "content-type: text/plain\r\n";
    Some(match tool {
        "echoes" => {
            whole("500 Internal Server Error", text, format!("{shown} of {}", asked.text()).as_bytes())
        }
        "echoes_as_json" => {
            whole("200 OK", "content-type: application/json\r\n", format!("{{\"{shown}\"").as_bytes())
        }
        "moves" => whole("302 Found", &format!("location: http://127.0.0.1:1/?token={shown}\r\n"), b""),
        "challenges" => {
            whole("401 Unauthorized", &format!("www-authenticate: Bearer realm=\"{shown}\"\r\n"), b"")
        }
        _ => return None,
    })
}

async fn backend(is_modern: bool) -> WireBackend {
    let tools = hostile::tools().chain(ECHOES).chain(["well", "busy"]);
    let tools: Vec<String> =
        tools.map(|tool| format!(r#"{{"name":"{tool}","inputSchema":{{"type":"object"}}}}"#)).collect();
    let tools = tools.join(",");
    WireBackend::start(move |asked| {
        if let Some(reply) = mcp_reply(asked, is_modern, &tools) {
            return well(reply);
        }
        let called = asked.json()["params"]["name"].clone();
        let tool = called.as_str().unwrap_or_default();
        match tool {
            "well" => {
                let result = json!({"content": [], "resultType": "complete"});
                let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, asked.id());
                whole("200 OK", "content-type: application/json\r\n", answer.as_bytes())
            }
            "busy" => whole("503 Service Unavailable", "retry-after: 1\r\n", b"later"),
            tool => {
                echo(tool, asked).or_else(|| hostile::play(tool, asked)).unwrap_or_else(|| vec![Step::Hang])
            }
        }
    })
    .await
}

/// `secret` is that of our client. A header's is in a file in the folder, and records go there.
fn manifest(issuer: &Issuer, backend: &WireBackend, folder: &Path, secret: &str) -> String {
    let header = folder.join("header");
    fs_err::write(&header, "canary-header-5f2d").unwrap();
    format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {{issuer: '{}', audience: vmcp, client_id: us, client_secret_file: '{secret}'}}}}
outgoing_auth: {{default: {{type: token_exchange, token_exchange: {{audience: bad-api}}}}}}
operational: {{timeouts: {{default: {{first_byte: 600ms, idle: 900ms}}}}}}
audit: {{log_file: '{}', include_request_data: true, include_response_data: true}}
---
kind: group
name: g
workloads: [{{name: bad, url: '{}?key=canary-query-5f2d', headers: {{X-More: {{file: '{}'}}}}}}]
",
        issuer.url(),
        folder.join("audit.log").display(),
        backend.url(),
        header.display()
    )
}

/// T14, every failure of the reference's section 3.2.
#[tokio::test]
async fn secret_canaries_in_every_failure_of_a_backend() {
    for is_modern in [true, false] {
        let (issuer, backend) = (Issuer::start().await, backend(is_modern).await);
        let (folder, secret) = secret();
        let file = folder.path().join("vmcp.yaml");
        fs_err::write(&file, manifest(&issuer, &backend, folder.path(), &secret)).unwrap();
        let mut command = Command::new(program());
        command.args(["serve", "--port", "0", "--admin-port", "0", "--log", "trace", "-f"]).arg(&file);
        let served = Process::start_of(command, "serving `").await;
        let client = Client::new(served.said("` at "));
        let token = issuer.token("ada", "vmcp", &json!({"jti": "canary-of-the-caller"}));
        let is_up = async || {
            let listed = ask(&client, Some(&token), true, "tools/list", "").await.text();
            listed.contains("bad_well")
        };
        assert!(eventually(Duration::from_secs(15), is_up).await, "{}", served.log());
        let mut seen = String::new();
        let argument = r#","arguments":{"password":"canary-argument-77aa","note":"fine"}"#;
        // What is busy is left alone for a while.
        for tool in hostile::tools().chain(ECHOES).chain(["busy"]) {
            let members = format!("{}{argument}", call(&format!("bad_{tool}")));
            let answer = ask(&client, Some(&token), is_modern, "tools/call", &members).await;
            seen += &format!("{tool}: {} {:?}{}", answer.status, answer.headers, answer.text());
            if tool != "busy" {
                let good = ask(&client, Some(&token), is_modern, "tools/call", &call("bad_well")).await;
                assert!(good.json()["result"].is_object(), "after {tool}: {}", good.text());
            }
        }
        for tool in hostile::tools().chain(ECHOES) {
            let is_called = backend.recorded().iter().any(|asked| asked.json()["params"]["name"] == tool);
            assert!(is_called, "{tool}: {seen}");
        }
        for page in ["/status", "/metrics"] {
            let admin = served.said("status at ").replace("/status", page);
            seen += &Client::new(admin).request(reqwest::Method::GET, &[]).await.text();
        }
        let shown: Vec<String> = backend
            .recorded()
            .iter()
            .filter_map(|asked| Some(asked.header("authorization")?.trim_start_matches("Bearer ").to_owned()))
            .collect();
        assert!(!shown.is_empty());
        seen += &served.log();
        assert!(served.stop().await.is_some());
        seen += &fs_err::read_to_string(folder.path().join("audit.log")).unwrap();
        for canary in shown.iter().map(String::as_str).chain([token.as_str(), "canary-", "hush-hush"]) {
            let at = seen.find(canary);
            let around = at.map(|at| &seen[at.saturating_sub(300)..(at + 60).min(seen.len())]);
            assert_eq!(around, None, "{canary}");
        }
    }
}
