//! What policies say, asked with `vmcpctl authz`; and the examples of both boundaries, run.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use vmcp_testkit::{Issuer, RawBackend, Recorded, Reply, Said, Served, claims, mcp_reply};

use super::{ask, call, offering, tools};
use crate::{program, root};

fn authz(arguments: &[&str]) -> Said {
    let mut command = Command::new(program());
    command.arg("authz").args(arguments).current_dir(root());
    command.output().unwrap().into()
}

const ROLES: &str = "examples/roles/vmcp.yaml";

#[test]
fn a_decision_is_explained_and_policies_are_held_to_cases() {
    let explain = |arguments: &[&str]| {
        let all: Vec<&str> = ["explain", "--config", ROLES].iter().chain(arguments).copied().collect();
        authz(&all)
    };
    let said =
        explain(&["--principal", "ada", "--claim", "groups=engineering,ops", "--item", "github_merge"])
            .good();
    assert!(
        said.out.contains("allow")
            && said.out.contains("permitted by `engineering` (examples/roles/vmcp.yaml:"),
        "{said:?}"
    );
    let said = explain(&["--principal", "bob", "--item", "github_merge"]);
    assert!(said.code == Some(1) && said.out.contains("permitted by no policy"), "{said:?}");
    let drop = [
        "--principal",
        "ada",
        "--claim",
        "groups=[\"engineering\"]",
        "--item",
        "github_drop",
        "--hint",
        "destructiveHint=true",
        "--argument",
        "environment=production",
        "-o",
        "json",
    ];
    let said = explain(&drop);
    let data = said.json();
    assert_eq!(
        (data["decision"].as_str(), &data["policies"], &data["listed"]),
        (Some("deny"), &json!(["production"]), &json!(true))
    );
    let unknown = explain(&["--principal", "ada", "--item", "nowhere"]);
    assert!(unknown.err.contains("--backend"), "{unknown:?}");

    let good = authz(&["test", "examples/roles/cases.yaml", "--config", ROLES]).good();
    assert!(good.out.contains("cases 5, failed 0"), "{good:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.yaml");
    fs_err::write(&file, "- {principal: bob, action: call_tool, item: github_merge, expect: allow}\n")
        .unwrap();
    let bad = authz(&["test", file.to_str().unwrap(), "--config", ROLES]);
    assert!(bad.code == Some(1) && bad.out.contains("cases.yaml:1: bob call_tool github_merge of `github`: expected allow, is deny (no policy permits it)"), "{bad:?}");
    fs_err::write(&file, "- {principal: bob, action: call, item: github_merge, expect: allow}\n").unwrap();
    let broken = authz(&["test", file.to_str().unwrap(), "--config", ROLES]);
    assert!(broken.code == Some(1) && broken.err.contains("unknown value `call`"), "{broken:?}");
    // One that cannot be asked is one that fails, with its line; the others are held all the same.
    let two = "- {principal: bob, action: call_tool, item: nowhere, expect: deny}\n- {principal: bob, action: call_tool, item: github_merge, expect: deny}\n";
    fs_err::write(&file, two).unwrap();
    let unclear = authz(&["test", file.to_str().unwrap(), "--config", ROLES]);
    assert!(
        unclear.out.contains("cases.yaml:1: it is not known whose `nowhere` is: say so with `backend`")
            && unclear.out.contains("cases 2, failed 1"),
        "{unclear:?}"
    );
    fs_err::write(&file, "[]\n").unwrap();
    let none = authz(&["test", file.to_str().unwrap(), "--config", ROLES]);
    assert!(none.code != Some(0) && none.err.contains("has no case"), "{none:?}");
    let elsewhere =
        explain(&["--principal", "ada", "--claim", "iss=https://other.example", "--item", "github_merge"]);
    assert!(
        elsewhere.code != Some(0) && elsewhere.err.contains("takes no tokens of the issuer"),
        "{elsewhere:?}"
    );
    let hint = explain(&["--principal", "ada", "--item", "github_merge", "--hint", "readonly=true"]);
    assert!(hint.err.contains("readOnlyHint"), "{hint:?}");
}

#[tokio::test]
async fn what_a_backend_says_of_a_tool_is_looked_up() {
    let backend = RawBackend::start(|recorded: &Recorded| {
        let tool = r#"{"name":"search","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}"#;
        mcp_reply(recorded, true, tool).unwrap_or(Reply::Silence)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vmcp.yaml");
    let manifest = fs_err::read_to_string(root().join(ROLES)).unwrap();
    let manifest = manifest
        .replace("http://127.0.0.1:4461/mcp", &backend.url())
        .replace("http://127.0.0.1:4462/mcp", &backend.url());
    fs_err::write(&file, manifest).unwrap();
    let file = file.display().to_string();
    let said = tokio::task::spawn_blocking(move || {
        authz(&["explain", "--config", &file, "--principal", "bob", "--item", "wiki_search", "--connect"])
    });
    let said = said.await.unwrap().good();
    assert!(said.out.contains("permitted by `reading`"), "{said:?}");
}

/// An example at the addresses of a test.
async fn example(name: &str, issuer: &Issuer, backends: &[&RawBackend]) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs_err::write(&secret, "hush-hush").unwrap();
    let text = fs_err::read_to_string(root().join(format!("examples/{name}/vmcp.yaml"))).unwrap();
    let mut text = text.replace("https://idp.example.com", &issuer.url()).replace(
        "client_secret_env: VMCP_CLIENT_SECRET",
        &format!("client_secret_file: {}", secret.display()),
    );
    for (port, backend) in (4461..).zip(backends) {
        text = text.replace(&format!("http://127.0.0.1:{port}/mcp"), &backend.url());
    }
    let served = Served::start(program(), &text).await;
    // What is read once more is not there.
    let names: Vec<String> = served.status().await["backends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect();
    for name in names {
        served.until_healthy(&name, Duration::from_secs(10)).await;
    }
    drop(folder);
    served
}

#[tokio::test]
async fn the_example_of_roles_gives_each_its_own() {
    let issuer = Issuer::start().await;
    let github = offering(&["merge", "drop"], true).await;
    let wiki = RawBackend::start(|recorded: &Recorded| {
        let tools = r#"{"name":"search","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},{"name":"write","inputSchema":{"type":"object"}}"#;
        mcp_reply(recorded, true, tools).unwrap_or_else(|| recorded.result(r#"{"content":[],"resultType":"complete"}"#))
    })
    .await;
    let served = example("roles", &issuer, &[&github, &wiki]).await;
    let engineer = issuer.token("ada", "vmcp", &json!({"groups": ["engineering"]}));
    let other = issuer.token("bob", "vmcp", &json!({}));
    for is_modern in [false, true] {
        let list =
            async |token: &str| tools(&ask(&served.client(), Some(token), is_modern, "tools/list", "").await);
        assert_eq!(list(&engineer).await, ["github_merge", "github_drop", "wiki_search"]);
        assert_eq!(list(&other).await, ["wiki_search"]);
        let denied =
            ask(&served.client(), Some(&other), is_modern, "tools/call", &call("github_merge")).await;
        assert_eq!(denied.json()["error"]["message"], "Unknown tool: github_merge");
    }
}

#[tokio::test]
async fn the_example_of_a_service_account_shows_a_token_of_ours() {
    let issuer = Issuer::start().await;
    let reports = offering(&["read"], true).await;
    let served = example("service-account", &issuer, &[&reports]).await;
    let token = issuer.token("ada", "vmcp", &json!({}));
    for _ in 0..3 {
        let answer = ask(&served.client(), Some(&token), true, "tools/call", &call("reports_read")).await;
        assert!(answer.json()["result"].is_object(), "{}", answer.text());
    }
    let shown = reports.calls("tools/call")[0]
        .header("authorization")
        .unwrap()
        .trim_start_matches("Bearer ")
        .to_owned();
    let shown = claims(&shown);
    assert_eq!(
        (&shown["aud"], &shown["sub"], &shown["scope"]),
        (&json!("reports-api"), &json!("the-service"), &json!("reports:read"))
    );
    // One for the plane that asks what there is, and one for the plane that calls.
    assert!(issuer.asked().len() <= 2, "{:?}", issuer.asked());
}

#[tokio::test]
async fn the_example_of_a_backend_per_caller_lists_what_is_the_callers() {
    let issuer = Issuer::start().await;
    let drive = RawBackend::start(|recorded: &Recorded| {
        let bearer = recorded.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let Some(who) = bearer.map(claims).filter(|claims| claims["aud"] == "drive-api") else {
            return Reply::Status(http::StatusCode::UNAUTHORIZED, String::new());
        };
        let who = who["sub"].as_str().unwrap_or_default().to_owned();
        let tool = format!(r#"{{"name":"files_of_{who}","inputSchema":{{"type":"object"}}}}"#);
        mcp_reply(recorded, true, &tool).unwrap_or(Reply::Silence)
    })
    .await;
    let clock = offering(&["now"], true).await;
    let served = example("per-caller", &issuer, &[&drive, &clock]).await;
    for who in ["ada", "bob"] {
        let token = issuer.token(who, "vmcp", &json!({}));
        let listed = tools(&ask(&served.client(), Some(&token), true, "tools/list", "").await);
        assert_eq!(listed, ["clock_now".to_owned(), format!("drive_files_of_{who}")]);
    }
}
