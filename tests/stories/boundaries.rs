//! Two boundaries: what callers may do, and what backends are shown.

mod changes;
mod exchange;
mod incoming;
mod policies;

use std::time::Duration;

use tempfile::TempDir;
use vmcp_testkit::{Answer, Client, Events, Issuer, RawBackend, Recorded, Served, mcp_reply, modern};

use crate::program;

/// A backend with these tools, each of which answers with its name.
async fn offering(names: &'static [&'static str], is_modern: bool) -> RawBackend {
    RawBackend::start(move |recorded: &Recorded| {
        let tools: Vec<String> = names
            .iter()
            .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#))
            .collect();
        match mcp_reply(recorded, is_modern, &tools.join(",")) {
            Some(reply) => reply,
            None => {
                let name = recorded.json()["params"]["name"].clone();
                recorded.result(&format!(
                    r#"{{"content":[{{"type":"text","text":{name}}}],"resultType":"complete"}}"#
                ))
            }
        }
    })
    .await
}

/// A folder with the secret of our client.
fn secret() -> (TempDir, String) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("secret");
    fs_err::write(&file, "hush-hush").expect("a file");
    let text = file.display().to_string();
    (folder, text)
}

async fn serve(manifest: &str, backends: &[&str]) -> Served {
    let served = Served::start(program(), manifest).await;
    for backend in backends {
        served.until_healthy(backend, Duration::from_secs(10)).await;
    }
    served
}

/// Asks as a legacy client without a session, or as a modern one. `members`: those of `params`.
async fn ask(client: &Client, token: Option<&str>, is_modern: bool, method: &str, members: &str) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers: Vec<(&str, &str)> = Vec::new();
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    if !is_modern {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{members}}}}}"#);
        return client.post(&headers, body).await;
    }
    let (more, body) = modern(method, members);
    headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    client.post(&headers, body).await
}

fn call(tool: &str) -> String {
    format!(r#""name":"{tool}""#)
}

/// The names of a list of tools.
fn tools(answer: &Answer) -> Vec<String> {
    let answer = answer.json();
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().filter_map(|tool| Some(tool["name"].as_str()?.to_owned())).collect()
}

fn oidc(issuer: &Issuer, secret: &str) -> String {
    format!("{{issuer: '{}', audience: vmcp, client_id: us, client_secret_file: '{secret}'}}", issuer.url())
}

/// A modern stream.
async fn listen(client: &Client, token: &str, members: &str) -> Events {
    let bearer = format!("Bearer {token}");
    let (more, body) = modern("subscriptions/listen", members);
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    client.listen(&headers, Some(body)).await
}
