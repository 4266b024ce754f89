use super::*;
use crate::{Source, read};

fn imported(text: &str) -> Imported {
    let imported = import(&"mine".parse().unwrap(), "mcp.json", text).unwrap();
    let source = Source { name: "vmcp.yaml", text: &imported.manifest };
    assert!(read(&[source]).is_ok(), "{}\n{:?}", imported.manifest, read(&[source]));
    imported
}

/// What stands below the name of the only workload.
fn workload(server: &str) -> String {
    let imported = imported(&format!("{{\"mcpServers\": {{\"s\": {server}}}}}"));
    let (_, workload) = imported.manifest.split_once("  - name: s\n").unwrap();
    workload.lines().map(str::trim).collect::<Vec<_>>().join(" | ")
}

#[test]
fn a_server_becomes_a_workload() {
    for (server, expected) in [
        (
            r#"{"command": "npx", "args": ["-y", "@x/y", "/data"]}"#,
            r#"command: npx | args: ["-y", "@x/y", /data]"#,
        ),
        (
            r#"{"command": "x", "cwd": "/srv", "env": {"LOG_LEVEL": "debug", "PORT": "8080"}}"#,
            r#"command: x | env: | LOG_LEVEL: debug | PORT: "8080" | working_directory: /srv"#,
        ),
        (r#"{"url": "https://h/mcp"}"#, r#"url: "https://h/mcp""#),
        (r#"{"serverUrl": "https://h/mcp", "type": "http"}"#, r#"url: "https://h/mcp""#),
        (
            r#"{"httpUrl": "https://h/mcp", "headers": {"Authorization": "Bearer sk-1"}}"#,
            r#"url: "https://h/mcp" | # not built yet: the header Authorization"#,
        ),
        (
            r#"{"command": {"path": "x", "args": ["a"], "env": {"K": "on"}}}"#,
            r#"command: x | args: [a] | env: | K: "on""#,
        ),
        (
            r#"{"command": "x", "args": ["true", "1", "a: b", "\u0007\u2028", ""]}"#,
            r#"command: x | args: ["true", "1", "a: b", "\U00000007\U00002028", ""]"#,
        ),
    ] {
        assert_eq!(workload(server), expected);
    }
}

#[test]
fn what_could_be_a_secret_becomes_a_reference() {
    for (server, expected) in [
        (
            r#"{"command": "x", "env": {"GITHUB_TOKEN": "abc"}}"#,
            "command: x | env: | GITHUB_TOKEN: {env: GITHUB_TOKEN}",
        ),
        (r#"{"command": "x", "env": {"WHO": "some words"}}"#, "command: x | env: | WHO: {env: WHO}"),
        (
            r#"{"command": "x", "env": {"A": "${B}", "C": "${env:D}", "E": "Bearer ${input:api-key}", "F": "${G:-no}", "H": "$I"}}"#,
            r#"command: x | env: | A: {env: B} | C: {env: D} | E: {env: API_KEY, prefix: "Bearer "} | F: {env: G} | H: {env: I}"#,
        ),
        (
            r#"{"command": "x", "env": {"URL": "postgres://${U}:${P}@h/d"}}"#,
            "command: x | env: | URL: {env: URL}",
        ),
        (
            r#"{"command": "x", "args": ["--api-key", "abc", "--name", "n"]}"#,
            r#"command: x | args: ["--api-key", {env: S_API_KEY}, "--name", "n"]"#,
        ),
        (
            r#"{"command": "x", "args": ["--token=abc"]}"#,
            r#"command: x | args: [{env: S_TOKEN, prefix: "--token="}]"#,
        ),
        (
            r#"{"command": "docker", "args": ["-e", "PASSWORD=p", "-e", "TOKEN", "img:1"]}"#,
            r#"command: docker | args: ["-e", {env: S_PASSWORD, prefix: "PASSWORD="}, "-e", TOKEN, "img:1"]"#,
        ),
        (r#"{"command": "x", "args": ["postgresql://u:p@h/d"]}"#, "command: x | args: [{env: S_ARGUMENT}]"),
        (
            r#"{"command": "x", "args": ["ghp_0123456789abcdefghij"]}"#,
            "command: x | args: [{env: S_ARGUMENT}]",
        ),
        (
            r#"{"command": "x", "args": ["--header", "Authorization: Bearer abc"]}"#,
            r#"command: x | args: ["--header", {env: S_AUTHORIZATION, prefix: "Authorization: "}]"#,
        ),
        (
            r#"{"command": "x", "args": ["--header", "Authorization:${AUTH}"]}"#,
            r#"command: x | args: ["--header", {env: AUTH, prefix: "Authorization:"}]"#,
        ),
        (r#"{"url": "https://h/mcp?api_key=abc"}"#, r#"url: "https://h/mcp""#),
        (r#"{"url": "https://h/mcp?team=a"}"#, r#"url: "https://h/mcp?team=a""#),
    ] {
        assert_eq!(workload(server), expected, "{server}");
    }
}

#[test]
fn two_values_never_share_a_variable() {
    let both = imported(
        r#"{"mcpServers": {
            "a": {"command": "x", "env": {"API_KEY": "one"}},
            "b": {"command": "x", "env": {"API_KEY": "two"}},
            "c": {"command": "x", "env": {"API_KEY": "one"}}
        }}"#,
    );
    let variables: Vec<String> =
        both.variables.iter().map(|(name, users)| format!("{name}: {users:?}")).collect();
    assert_eq!(variables, ["API_KEY: [`a`, `c`]", "B_API_KEY: [`b`]"]);
    assert!(!both.manifest.contains("one") && !both.manifest.contains("two"), "{}", both.manifest);
}

#[test]
fn what_is_not_taken_over_is_said() {
    let all = imported(
        r#"{"mcpServers": {
            "my server": {"command": "x"},
            "my-server": {"command": "y"},
            "off": {"command": "x", "disabled": true},
            "none": {},
            "both": {"command": "x", "url": "https://h/"},
            "old": {"type": "sse", "url": "https://h/sse"},
            "env": {"command": "x", "envFile": ".env", "args": ["${workspaceFolder}/a"]},
            "path": {"url": "https://h/s/0a1b2c3d4e5f6a7b8c9d/mcp"},
            "odd": {"url": "ht2p://h/"},
            "pass": {"url": "https://u:p@h/"},
            "variable": {"url": "https://${HOST}/"}
        }}"#,
    );
    for part in [
        "`my server` is called `my-server`",
        "`my-server` is called `my-server-2`",
        "`off`: it is disabled",
        "`none`: it has neither",
        "`both`: it has both",
        "`old`: it speaks SSE",
        "`env`: its `envFile`",
        "`env`: `${workspaceFolder}` is the client's own",
        "`path`: the path of its address looks like a secret",
        "`odd`: its address is not one",
        "`pass`: its address is not one",
        "`variable`: its address has variables",
    ] {
        assert!(all.remarks.iter().any(|remark| remark.starts_with(part)), "{part}: {:#?}", all.remarks);
    }
    assert_eq!(all.manifest.matches("  - name:").count(), 4);
}

#[test]
fn what_is_no_client_s_file_is_refused() {
    let why = |text: &str| import(&"mine".parse().unwrap(), "f", text).unwrap_err().to_string();
    assert!(why("{").starts_with("it is not JSON: "), "{}", why("{"));
    assert_eq!(why("{}"), "it has none of `mcpServers`, `servers`, `context_servers`");
    assert_eq!(why("[]"), why("{}"));
    assert!(why(&" ".repeat(limits::MANIFEST_BYTES + 1)).contains("more than"));
    assert!(imported(r#"{"mcpServers": {}}"#).manifest.contains("workloads: []"));
}
