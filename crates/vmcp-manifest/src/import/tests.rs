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
            r#"{"command": "x", "args": ["true", 1, "/a b/\u2028", ""]}"#,
            r#"command: x | args: ["true", "1", "/a b/\U00002028", ""]"#,
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
            r#"{"command": "docker", "args": ["-e", "PASSWORD=p", "-e", "TOKEN", "ghcr.io/x/img:1.2"]}"#,
            r#"command: docker | args: ["-e", {env: S_PASSWORD, prefix: "PASSWORD="}, "-e", TOKEN, "ghcr.io/x/img:1.2"]"#,
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
        (
            r#"{"command": "npx -y foo --api-key abc"}"#,
            r#"command: npx | args: ["-y", foo, "--api-key", {env: S_API_KEY}]"#,
        ),
    ] {
        assert_eq!(workload(server), expected, "{server}");
    }
}

const TOKENS: &[&str] = &[
    "hunter2xq",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
    "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",
    "ya29.a0AfH6SMBx",
    "hf_abcdefghijklmnop",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "npm_abcdefghij",
    "abcdefabcdefabcdefabcdefabcdefab",
    "patAbCdEfGhIjKlMn.0123456789abcdef",
    "hvs.CAESIJ",
    "xoxb-1-2-abc",
];
const FORMS: &[&str] = &[
    r#"["§"]"#,
    r#"["--config=§"]"#,
    r#"["--token", "§"]"#,
    r#"["-p", "§"]"#,
    r#"["-p§"]"#,
    r#"["-u", "a:§"]"#,
    r#"["--user", "u:§"]"#,
    r#"["--creds", "a:§"]"#,
    r#"["--basic", "§"]"#,
    r#"["--pin", "§"]"#,
    r#"["-k", "§"]"#,
    r#"["--proxy", "u:§@h:8080"]"#,
    r#"["--env=API_KEY=§"]"#,
    r#"["--set=auth.token=§"]"#,
    r#"["--opt=x=1,password=§"]"#,
    r#"["-e", "DB_PW=§"]"#,
    r#"["--env", "OPENAI=§"]"#,
    r#"["--config", "{\"region\":\"eu\",\"apiKey\":\"§\"}"]"#,
    r#"["--headers", "{\"X-Api\":\"§\"}"]"#,
    r#"["-c", "FOO=1 API_KEY=§ node x"]"#,
    r#"["-c", "curl -H 'X-A: b' -H 'A: Bearer §'"]"#,
    r#"["-H", "X-Custom: §"]"#,
    r#"["--header", "X-Subscription: §"]"#,
    r#"["mongodb://app:§@h/db?authSource=admin"]"#,
    r#"["--uri", "postgres://app:§@h/db?sslcert=/x"]"#,
    r#"["https://admin:§@h/mcp?api_key=abc"]"#,
    r#"["https://h/mcp?k=§"]"#,
    r#"["Server=tcp:h;User=sa;Password=§"]"#,
    r#"["host=h user=u password=§"]"#,
    r#"["jdbc:sqlserver://h;user=sa;password=§"]"#,
    r#"["u:§@tcp(h)/db"]"#,
    r#"["AccountName=a;AccountKey=§==;"]"#,
    r#"["Bearer §"]"#,
    r#"["--password", "§${cwd}"]"#,
    r#"["user=admin password=§ token=${TOKEN}"]"#,
    r#"["https://hooks.slack.com/services/T0/B0/§1234567890abcdefgh"]"#,
];
const SERVERS: &[&str] = &[
    r#"{"command": "npx -y foo --api-key §"}"#,
    r#"{"command": "env API_KEY=§ node s.js"}"#,
    r#"{"command": "API_KEY=§ node"}"#,
    r#"{"url": "https://h/mcp?§"}"#,
    r#"{"url": "https://h/mcp?sig=§"}"#,
    r#"{"url": "https://u:§@h/mcp"}"#,
    r#"{"url": "https://h/mcp;token=§"}"#,
    r#"{"url": "https://h/token=§/mcp"}"#,
    r#"{"url": "https://h/mcp#§"}"#,
    r#"{"url": "ftp://§/"}"#,
    r#"{"url": "https://h/", "headers": {"Bearer §": ""}}"#,
    r#"{"url": "https://h/", "headers": {"X": "§"}}"#,
    r#"{"command": "x", "env": {"DB_PASSWORD": "$§"}}"#,
    r#"{"command": "x", "env": {"A": "§"}}"#,
    r#"{"command": "x", "env": {"DB_PASSWORD": "§ ${X}"}}"#,
    r#"{"command": "x", "env": {"A": "https://admin:§@h/?key=${KEY}"}}"#,
    r#"{"command": "x", "env": {"DB_PASSWORD": "${cwd}§"}}"#,
    r#"{"command": "x", "env": {"X": "user=x;password=§;dir=${workspaceFolder}"}}"#,
    r#"{"command": "x", "env": {"DB_PW": "/§"}}"#,
    r#"{"command": "x", "env": {"TZ": "§"}}"#,
    r#"{"command": "x", "env": {"B": "${§:-x}"}}"#,
    r#"{"command": "x", "env": {"B": "${A:-§}"}}"#,
    r#"{"command": "x", "env": {"§-=": "x"}}"#,
    r#"{"command": "x", "cwd": "/a/§=1"}"#,
    r#"{"command": "x", "cwd": "${§}"}"#,
];
#[test]
fn catalog_08_no_form_of_a_secret_comes_out() {
    let args = FORMS.iter().map(|form| format!(r#"{{"command": "x", "args": {form}}}"#));
    for server in args.chain(SERVERS.iter().map(|server| (*server).to_owned())) {
        for token in TOKENS {
            // A variable may be called so, and a path of one short word may be one.
            let is_name = token.len() > 12 && (server.contains("${§") || server.contains("\"$§"));
            let text = format!(r#"{{"mcpServers": {{"s": {}}}}}"#, server.replace('§', token));
            let Ok(imported) = import(&"mine".parse().unwrap(), "f", &text) else { continue };
            let all =
                format!("{}{:?}{:?}", imported.manifest, imported.remarks, imported.variables).to_lowercase();
            let is_out = all.contains(&token.to_lowercase()) && !is_name;
            assert!(
                !is_out || server.contains("${§"),
                "{text}\n{}\n{:?}",
                imported.manifest,
                imported.remarks
            );
        }
    }
}

#[test]
fn what_servers_usually_are_given_stays_readable() {
    for (args, expected) in [
        (r#"["-y", "@modelcontextprotocol/server-filesystem", "/Users/me/Desktop"]"#, 0),
        (r#"["mcp-server-git", "--repository", "."]"#, 0),
        (r#"["run", "-i", "--rm", "ghcr.io/github/github-mcp-server"]"#, 0),
        (r#"["--directory", "/abs/weather", "run", "weather.py"]"#, 0),
        (r#"["-m", "my_mcp_server", "--port", "8080"]"#, 0),
        (r#"["mcp-remote@latest", "https://mcp.example.com/mcp"]"#, 0),
        (r#"["-y", "@upstash/context7-mcp@1.0.14", "--transport", "stdio"]"#, 0),
        (r#"["server.js", "--api-key", "x"]"#, 1),
    ] {
        let text = workload(&format!(r#"{{"command": "x", "args": {args}}}"#));
        assert_eq!(text.matches("{env:").count(), expected, "{text}");
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
        "`path`: the path of its address may hold a secret",
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
