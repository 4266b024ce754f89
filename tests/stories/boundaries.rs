//! Two boundaries: what callers may do, and what backends are shown.

mod audit;
mod changes;
mod channel;
mod doors;
mod exchange;
mod explained;
mod failures;
mod generated;
mod handles;
mod incoming;
mod isolation;
mod issuers;
mod leaks;
mod parsers;
mod paths;
mod personal;
mod policies;
mod proofs;
mod renewal;
mod secrets;
mod shadows;
mod spellings;
mod ssrf;
mod under_way;

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use vmcp_testkit::{Answer, Client, Events, Issuer, RawBackend, Recorded, Served, mcp_reply, modern};

use crate::program;

/// A backend with these tools, each of which answers with its name.
async fn offering(names: &[&str], is_modern: bool) -> RawBackend {
    let tools = names.iter().map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#));
    let tools: Vec<String> = tools.collect();
    RawBackend::start(move |recorded: &Recorded| match mcp_reply(recorded, is_modern, &tools.join(",")) {
        Some(reply) => reply,
        None => {
            let name = recorded.json()["params"]["name"].clone();
            recorded.result(&format!(
                r#"{{"content":[{{"type":"text","text":{name}}}],"resultType":"complete"}}"#
            ))
        }
    })
    .await
}

/// A backend with a tool, two resources, a template and two prompts.
async fn offering_everything() -> RawBackend {
    RawBackend::start(|recorded: &Recorded| {
        let method = recorded.mcp_method().unwrap_or_default();
        match method.as_str() {
            "server/discover" => recorded.result(
                r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{"subscribe":true},"prompts":{},"completions":{}},"resultType":"complete"}"#,
            ),
            "resources/list" => recorded.result(r#"{"resources":[{"uri":"note://a","name":"a"},{"uri":"note://b","name":"b"}],"resultType":"complete"}"#),
            "resources/templates/list" => recorded.result(r#"{"resourceTemplates":[{"uriTemplate":"file:///{path}","name":"f"}],"resultType":"complete"}"#),
            "prompts/list" => recorded.result(r#"{"prompts":[{"name":"p"},{"name":"q"}],"resultType":"complete"}"#),
            "resources/read" => recorded.result(r#"{"contents":[],"resultType":"complete"}"#),
            "prompts/get" => recorded.result(r#"{"messages":[],"resultType":"complete"}"#),
            "completion/complete" => recorded.result(r#"{"completion":{"values":["v"]},"resultType":"complete"}"#),
            _ => mcp_reply(recorded, true, r#"{"name":"t","inputSchema":{"type":"object"}}"#).unwrap_or_else(|| recorded.error(-32601)),
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

/// Begins a legacy session. `capabilities`: those of the client (JSON).
pub(crate) async fn begin(client: &Client, token: &str, capabilities: &str) -> String {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"clientInfo":{{"name":"t","version":"1"}}}}}}"#
    );
    let answer = client.post(&[("authorization", &format!("Bearer {token}"))], body).await;
    answer.header("mcp-session-id").unwrap_or_else(|| panic!("{}", answer.text()))
}

/// Of what is said in such a session. `bearer`: with its scheme.
fn in_session<'a>(bearer: &'a str, session: &'a str) -> [(&'a str, &'a str); 3] {
    [("authorization", bearer), ("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25")]
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

/// A manifest with one virtual server whose callers show tokens, and may do what policies say. `more`: further lines of it.
fn guarded(issuer: &Issuer, policies: &[&str], more: &str, workloads: &[(&str, String)]) -> String {
    guarded_server("all", issuer, policies) + more + &group(workloads)
}

fn guarded_server(name: &str, issuer: &Issuer, policies: &[&str]) -> String {
    let policies: String = policies.iter().map(|policy| format!("    - {}\n", json!(policy))).collect();
    format!(
        "name: {name}
group: g
incoming_auth:
  type: oidc
  oidc: {{issuer: '{}', audience: vmcp}}
  authz:
    type: cedar
    policies:
{policies}",
        issuer.url()
    )
}

/// The document of their group, behind others.
fn group(workloads: &[(&str, String)]) -> String {
    let workloads = workloads.iter().map(|(name, url)| format!("{{name: {name}, url: '{url}'}}"));
    let workloads: Vec<String> = workloads.collect();
    format!("---\nkind: group\nname: g\nworkloads: [{}]\n", workloads.join(", "))
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
