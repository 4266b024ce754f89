//! The first minutes of a newcomer.

use std::process::Command;
use std::time::Duration;

use vmcp_testkit::{ControlPlane, Served};

use crate::two_planes::PROGRAMS;
use crate::{program, root};

#[tokio::test]
async fn straight_line_01_quickstart_serves_its_three_servers_within_ten_seconds() {
    let served = Served::start_file(program(), &root().join("examples/quickstart/vmcp.yaml"), root()).await;
    for backend in ["clock", "files", "notes"] {
        served.until_healthy(backend, Duration::from_secs(10)).await;
    }
    assert!(served.started().elapsed() < Duration::from_secs(10));
    let list = served.client().modern("tools/list", "").await.json();
    let names: Vec<&str> =
        list["result"]["tools"].as_array().unwrap().iter().filter_map(|t| t["name"].as_str()).collect();
    assert!(
        names.contains(&"clock_now") && names.contains(&"files_read") && names.contains(&"notes_write"),
        "{names:?}"
    );
    let read =
        served.client().modern("tools/call", r#""name":"files_read","arguments":{"path":"hello.md"}"#).await;
    assert!(read.text().contains("examples/quickstart/files"), "{}", read.text());
}

#[test]
fn straight_line_01_the_two_commands_stand_in_the_readme() {
    let readme = fs_err::read_to_string(root().join("README.md")).unwrap();
    for command in [
        "cargo run --release --bin vmcpctl -- serve --config examples/quickstart/vmcp.yaml",
        "cargo test --workspace",
    ] {
        assert!(readme.lines().any(|line| line.trim() == command), "the README lacks `{command}`");
    }
}

#[tokio::test]
async fn every_example_is_valid() {
    let mut files = 0;
    for folder in fs_err::read_dir(root().join("examples")).unwrap() {
        let file = folder.unwrap().path().join("vmcp.yaml");
        let output = Command::new(program())
            .args(["validate", "--secrets-elsewhere", "-f"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
        files += 1;
    }
    assert!(files > 0);
}

/// Blocks of a Markdown file that are marked as a language.
pub(crate) fn blocks(file: &str, language: &str) -> Vec<String> {
    let text = fs_err::read_to_string(root().join(file)).unwrap();
    let opening = format!("```{language}\n");
    let blocks = text.split(opening.as_str()).skip(1);
    blocks.filter_map(|block| block.split("```").next()).map(ToOwned::to_owned).collect()
}

#[test]
fn what_the_readme_shows_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vmcp.yaml");
    let validate = |text: &str| {
        fs_err::write(&file, text).unwrap();
        let output = Command::new(program())
            .current_dir(&folder)
            .args(["validate", "-f", "vmcp.yaml"])
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let manifests = blocks("README.md", "yaml");
    assert_eq!(manifests.len(), 1);
    let (is_good, text) = validate(&manifests[0]);
    assert!(is_good, "{text}");
    let (is_good, text) = validate(&manifests[0].replace("group: everyday", "grup: everyday"));
    let shown = blocks("README.md", "text").into_iter().find(|block| block.starts_with("error")).unwrap();
    assert!(!is_good && text.contains(shown.trim_end()), "the README shows\n{shown}\nand it is\n{text}");
}

/// Every fragment of the guides is a good manifest, with what stands around it in one.
#[test]
fn what_the_guides_show_of_manifests_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vmcp.yaml");
    let group = "---\nkind: group\nname: g\nworkloads: [{name: github, url: 'http://h/'}, {name: jira, url: 'http://h/'}, {name: reports, url: 'http://h/'}, {name: search, url: 'http://h/'}]\n";
    let mut fragments = blocks("docs/manifests.md", "yaml");
    assert!(fragments.len() >= 5);
    for guide in ["identity", "permissions", "credentials", "audit"] {
        fragments.extend(blocks(&format!("docs/operating/{guide}.md"), "yaml"));
    }
    for fragment in fragments {
        let whole = if fragment.starts_with("kind: group") {
            fragment.clone()
        } else {
            let says_who = fragment.contains("incoming_auth:");
            let incoming = match (says_who, fragment.contains("token_exchange")) {
                (true, _) => "",
                (false, true) => {
                    "incoming_auth: {type: oidc, oidc: {issuer: 'https://i/', audience: a, client_id: us, client_secret_env: S}}\n"
                }
                (false, false) => "incoming_auth: {type: anonymous}\n",
            };
            format!("name: a\ngroup: g\n{incoming}{fragment}{group}")
        };
        fs_err::write(&file, whole).unwrap();
        let output = Command::new(program())
            .args(["validate", "--secrets-elsewhere", "-f"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{fragment}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn commands_that_are_shown_work() {
    let control_plane = ControlPlane::start(PROGRAMS).await;
    for document in ["README.md", "docs/manifests.md"] {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(program(), folder.path().join("vmcpctl")).unwrap();
        std::os::unix::fs::symlink(root().join("examples"), folder.path().join("examples")).unwrap();
        if document != "README.md" {
            fs_err::copy(root().join("examples/prefix/vmcp.yaml"), folder.path().join("vmcp.yaml")).unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let shown = blocks(document, "sh");
        let commands =
            shown.iter().flat_map(|block| block.lines()).filter(|line| line.starts_with("vmcpctl "));
        let mut run = 0;
        for command in commands {
            let client = root().join("examples/from-client/mcp.json");
            let command = command.replace("~/.cursor/mcp.json", client.to_str().unwrap());
            let mut shell = Command::new("sh");
            shell
                .current_dir(&folder)
                .env("PATH", &path)
                .env("CLOCK_API_KEY", "any")
                .env("VMCP_SERVER", control_plane.api_url())
                .args(["-c", &command]);
            let output = shell.output().unwrap();
            assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
            run += 1;
        }
        assert!(run >= 2, "{document}");
    }
}

#[test]
fn validate_shows_every_fault_with_its_line_and_exits_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    fs_err::write(&file, "name: all\ngrup: g\nincoming_auth: {type: oidc}\n").unwrap();
    let output = Command::new(program()).args(["validate", "--config"]).arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "unknown key `grup`",
        "did you mean `group`?",
        "bad.yaml:2:1",
        "`type: oidc` needs `oidc`",
        "2 faults",
    ] {
        assert!(text.contains(part), "lacks `{part}`:\n{text}");
    }
    assert!(!text.contains('\x1b'), "colour without a terminal:\n{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_usage_exits_2_and_a_file_that_cannot_be_read_exits_1_and_is_named() {
    let code = |arguments: &[&str]| {
        let output = Command::new(program()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(code(&["serve"]).0, Some(2));
    assert_eq!(code(&["serve", "--config", "x", "--port", "many"]).0, Some(2));
    for verb in ["serve", "validate"] {
        let (code, text) = code(&[verb, "--config", "/nowhere/vmcp.yaml"]);
        assert_eq!(code, Some(1));
        assert!(text.contains("/nowhere/vmcp.yaml"), "{text}");
    }
}

#[test]
fn version_is_printed_on_standard_output() {
    let output = Command::new(program()).arg("version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("vmcpctl {}\n", env!("CARGO_PKG_VERSION")));
}
