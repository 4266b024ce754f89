//! What is served of several backends, under which names, and what an operator is told.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use vmcp_testkit::{RawBackend, Recorded, Served, eventually, mcp_reply};

use crate::{at, program, root};

/// A backend that offers tools of these names and answers every call with its own name for the tool.
async fn tools(names: &[&str]) -> RawBackend {
    let list = names.iter().map(|name| format!(r#"{{"name":"{name}","description":"own","x":1.10}}"#));
    let list = list.collect::<Vec<_>>().join(",");
    RawBackend::start(move |recorded: &Recorded| {
        mcp_reply(recorded, true, &list).unwrap_or_else(|| recorded.result(r#"{"content":[]}"#))
    })
    .await
}

fn manifest(aggregation: &str, workloads: &[String]) -> String {
    let workloads = workloads.join("\n  - ");
    format!(
        "name: all\ngroup: g\nincoming_auth: {{type: anonymous}}\naggregation:\n{aggregation}\n---\nkind: group\nname: g\nworkloads:\n  - {workloads}\n"
    )
}

async fn listed(served: &Served) -> Vec<String> {
    let list = served.client().modern("tools/list", "").await.json();
    let tools = list["result"]["tools"].as_array().cloned().unwrap_or_default();
    tools.iter().filter_map(|tool| tool["name"].as_str()).map(ToOwned::to_owned).collect()
}

/// `validate --connect` of a manifest.
async fn connect(manifest: &str, arguments: &'static [&'static str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("vmcp.yaml"), manifest).unwrap();
    let asking = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program());
        command
            .current_dir(&folder)
            .args(["validate", "--connect", "-f", "vmcp.yaml"])
            .args(arguments)
            .output()
    });
    asking.await.unwrap().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const MANUAL: &str = "  conflict_resolution: manual";

#[tokio::test]
async fn catalog_03_an_unresolved_conflict_hides_itself_alone_and_everybody_says_what_to_write() {
    let (github, jira) = (tools(&["search", "create_pr"]).await, tools(&["search", "create_issue"]).await);
    let workloads = [at("github", &github.url()), at("jira", &jira.url())];
    let served = Served::start(program(), &manifest(MANUAL, &workloads)).await;
    served.until_healthy("github", Duration::from_secs(10)).await;
    served.until_healthy("jira", Duration::from_secs(10)).await;
    let is_settled = async || listed(&served).await == ["create_pr", "create_issue"];
    assert!(eventually(Duration::from_secs(5), is_settled).await, "{:?}", listed(&served).await);
    let refused = served.client().modern("tools/call", r#""name":"search""#).await;
    assert_eq!(refused.code(), Some(-32602), "{}", refused.text());

    let message = "tool `search` is withheld: `github` and `jira` claim the name";
    let write = "- {workload: jira, overrides: {search: {name: jira_search}}}";
    let told = served.status().await["diagnostics"][0].clone();
    assert_eq!((&told["severity"], &told["message"]), (&"error".into(), &message.into()));
    assert_eq!(told["backends"], serde_json::json!(["github", "jira"]));
    assert!(told["help"].as_str().unwrap().contains(write), "{told}");
    assert!(served.log().contains(message), "{}", served.log());

    let shown = connect(&manifest(MANUAL, &workloads), &[]).await;
    assert_eq!(shown.status.code(), Some(1));
    assert!(
        text(&shown.stderr).contains(message) && text(&shown.stderr).contains(write),
        "{}",
        text(&shown.stderr)
    );
    let table = text(&shown.stdout);
    assert!(table.contains("others claim `search`, too") && table.contains("create_issue"), "{table}");

    // What it says to write settles it.
    let settled = manifest(&format!("{MANUAL}\n  tools:\n    {write}"), &workloads);
    let shown = connect(&settled, &["-o", "json"]).await;
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let data: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let names: Vec<&str> = data["virtual_servers"][0]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tool| tool["exposed_name"].as_str())
        .collect();
    assert_eq!(names, ["search", "create_pr", "jira_search", "create_issue"]);
    let report = data["virtual_servers"][0]["report"].as_array().unwrap();
    let renamed = report.iter().find(|entry| entry["exposed_name"] == "jira_search").unwrap();
    assert_eq!((&renamed["lines"][0], &renamed["naming"][0]), (&"vmcp.yaml:7".into(), &"override".into()));
    assert!(data["diagnostics"].as_array().unwrap().iter().all(|told| told["severity"] != "error"));
}

#[tokio::test]
async fn catalog_01_a_filter_with_an_override_shows_the_tool_and_what_is_hidden_is_never_called() {
    let github = tools(&["create_pr", "delete_repo"]).await;
    let rules = "  tools:
    - workload: github
      filter: [create_pr]
      overrides:
        create_pr:
          name: gh_create_pr
          description: Create a pull request
          annotations: {destructiveHint: false}";
    let served = Served::start(program(), &manifest(rules, &[at("github", &github.url())])).await;
    served.until_healthy("github", Duration::from_secs(10)).await;
    let is_there = async || listed(&served).await == ["github_gh_create_pr"];
    assert!(eventually(Duration::from_secs(5), is_there).await, "{:?}", listed(&served).await);
    let list = served.client().modern("tools/list", "").await.text();
    let definition = r#"{"name":"github_gh_create_pr","description":"Create a pull request","x":1.10,"annotations":{"destructiveHint":false}}"#;
    assert!(list.contains(definition), "{list}");

    served.client().modern("tools/call", r#""name":"github_gh_create_pr""#).await;
    assert_eq!(github.calls("tools/call")[0].json()["params"]["name"], "create_pr");
    for name in ["github_delete_repo", "delete_repo", "github_create_pr", "gh_create_pr", "create_pr"] {
        let refused = served.client().modern("tools/call", &format!(r#""name":"{name}""#)).await;
        assert_eq!(refused.code(), Some(-32602), "{name}: {}", refused.text());
        assert!(
            refused.text().contains(&format!("Unknown tool: {name}")),
            "hidden and absent are one answer"
        );
    }
    assert_eq!(github.calls("tools/call").len(), 1);
}

#[tokio::test]
async fn catalog_03_a_long_name_is_shortened_the_same_way_everywhere_and_leads_back() {
    let long = "list_all_pull_requests_that_wait_for_a_review_of_the_platform_team";
    let github = tools(&[long]).await;
    let workloads = [at("github", &github.url())];
    let diagnosed = connect(&manifest("  conflict_resolution: prefix", &workloads), &[]).await;
    assert_eq!(diagnosed.status.code(), Some(0), "diagnosed, not refused");
    assert!(
        text(&diagnosed.stderr).contains("has 73 characters; some clients accept 64"),
        "{}",
        text(&diagnosed.stderr)
    );

    let short = manifest("  max_name_length: 64", &workloads);
    let served = Served::start(program(), &short).await;
    served.until_healthy("github", Duration::from_secs(10)).await;
    assert!(eventually(Duration::from_secs(5), async || listed(&served).await.len() == 1).await);
    let names = listed(&served).await;
    assert!(
        names[0].len() == 64
            && names[0].starts_with("github_list_all_pull_requests_that_wait_for_a_review_of_")
    );
    let data: Value = serde_json::from_slice(&connect(&short, &["-o", "json"]).await.stdout).unwrap();
    assert_eq!(data["virtual_servers"][0]["tools"][0]["exposed_name"], names[0].as_str());
    served.client().modern("tools/call", &format!(r#""name":"{}""#, names[0])).await;
    assert_eq!(github.calls("tools/call")[0].json()["params"]["name"], long);
}

#[tokio::test]
async fn a_backend_that_does_not_answer_is_named_and_the_others_are_shown() {
    let good = tools(&["x"]).await;
    let workloads = [
        at("good", &good.url()),
        at("gone", "http://127.0.0.1:1/mcp"),
        "{name: dies, command: sh, args: [-c, 'echo it broke >&2; exit 3']}".to_owned(),
        "{name: keyless, command: sh, env: {KEY: {env: NOT_SET_ANYWHERE}}}".to_owned(),
    ];
    let shown =
        connect(&manifest("  conflict_resolution: prefix", &workloads), &["--secrets-elsewhere"]).await;
    assert_eq!(shown.status.code(), Some(1));
    let (table, words) = (text(&shown.stdout), text(&shown.stderr));
    assert!(table.contains("good_x"), "{table}");
    for part in [
        "`gone` does not answer: could not connect",
        "`dies` does not answer: exit status: 3: it broke",
        "`keyless` does not answer: could not start `sh`: the variable `NOT_SET_ANYWHERE` is not set",
    ] {
        assert!(words.contains(part), "lacks `{part}`:\n{words}");
    }
}

#[tokio::test]
async fn a_backend_cannot_flood_the_table_or_tell_its_secrets() {
    let long = "n".repeat(200_000);
    let names: Vec<String> = (0..500).map(|n| format!("t{n}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push(&long);
    let noisy = tools(&names).await;
    let tells = "{name: tells, command: sh, args: [-c, 'echo \"bad key: $KEY\" >&2; exit 3'], env: {KEY: {file: key}}}";
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("key"), "s3cret-4711\n").unwrap();
    let workloads = [at("noisy", &noisy.url()), tells.to_owned()];
    fs_err::write(folder.path().join("vmcp.yaml"), manifest("  conflict_resolution: prefix", &workloads))
        .unwrap();
    let asking = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program());
        command.current_dir(&folder).args(["validate", "--connect", "-f", "vmcp.yaml"]).output().unwrap()
    });
    let shown = asking.await.unwrap();
    assert_eq!(shown.status.code(), Some(1));
    assert!(
        shown.stdout.len() < 500_000 && shown.stderr.len() < 5_000,
        "{} {}",
        shown.stdout.len(),
        shown.stderr.len()
    );
    let words = text(&shown.stderr);
    assert!(words.contains("`tells` does not answer: exit status: 3: bad key: …"), "{words}");
    assert!(!words.contains("s3cret"), "{words}");
}

#[tokio::test]
async fn validate_that_is_stopped_leaves_no_child_behind() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let hangs =
        format!("{{name: hangs, command: sh, args: [-c, 'echo $$ > {}; sleep 1000']}}", pid_file.display());
    fs_err::write(folder.path().join("vmcp.yaml"), manifest("  conflict_resolution: prefix", &[hangs]))
        .unwrap();
    let mut validate = Command::new(program());
    validate.current_dir(&folder).args(["validate", "--connect", "-f", "vmcp.yaml"]);
    let mut validate = validate.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let child = async || fs_err::read_to_string(&pid_file).is_ok_and(|pid| !pid.trim().is_empty());
    assert!(eventually(Duration::from_secs(10), child).await);
    let pid: i32 = fs_err::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    let validating = nix::unistd::Pid::from_raw(i32::try_from(validate.id()).unwrap());
    nix::sys::signal::kill(validating, nix::sys::signal::Signal::SIGINT).unwrap();
    let code = tokio::task::spawn_blocking(move || validate.wait().unwrap().code()).await.unwrap();
    assert_eq!(code, Some(1));
    let is_gone = async || nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_err();
    assert!(eventually(Duration::from_secs(5), is_gone).await, "the child lives on");
}

#[tokio::test]
async fn examples_serve_what_they_say() {
    for (example, expected) in [
        (
            "quickstart",
            "clock_convert clock_now clock_zones files_list files_read files_search notes_delete notes_list notes_search notes_write",
        ),
        ("prefix", "notes.list notes.find"),
        ("priority", "convert now zones delete list search write search_team"),
        ("manual", "list search write delete_for_team list_team search_team write_for_team"),
        (
            "from-client",
            "clock_convert clock_now clock_zones team-notes_delete team-notes_list team-notes_search team-notes_write",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(program(), folder.path().join("vmcpctl")).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let asking = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(folder.path().join("vmcpctl"));
            command.current_dir(root()).env("PATH", path).env("CLOCK_API_KEY", "any");
            let file = format!("examples/{example}/vmcp.yaml");
            command.args(["validate", "--connect", "-o", "json", "-f", &file]).output().unwrap()
        });
        let shown = asking.await.unwrap();
        assert_eq!(shown.status.code(), Some(0), "{example}: {}", text(&shown.stderr));
        let data: Value = serde_json::from_slice(&shown.stdout).unwrap();
        let tools = data["virtual_servers"][0]["tools"].as_array().unwrap().clone();
        let names: Vec<&str> = tools.iter().filter_map(|tool| tool["exposed_name"].as_str()).collect();
        assert_eq!(names.join(" "), expected, "{example}");
    }
}
