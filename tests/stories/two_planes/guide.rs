//! The first-time path of the guide, word for word, and what stands beside it.

use std::path::Path;
use std::process::Command;

use vmcp_testkit::{ControlPlane, LEGACY};

use super::{PROGRAMS, backend, data_plane, manifest, number};
use crate::quickstart::blocks;
use crate::root;

/// A folder in which the programs have the names that the guide knows.
fn programs(folder: &Path) {
    for (name, program) in [
        ("vmcpctl", PROGRAMS.vmcpctl),
        ("vmcp-control-plane", PROGRAMS.control_plane),
        ("vmcp-data-plane", PROGRAMS.data_plane),
    ] {
        std::os::unix::fs::symlink(program, folder.join(name)).unwrap();
    }
}

#[test]
fn two_planes_10_the_first_time_path_works_word_for_word() {
    let (bin, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    programs(bin.path());
    std::os::unix::fs::symlink(root().join("examples"), here.path().join("examples")).unwrap();
    let shown = blocks("docs/operating/two-planes.md", "sh");
    assert!(shown.len() >= 12, "{} blocks", shown.len());
    // Whatever happens, nothing of it stays.
    let script = format!(
        "set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true; wait' EXIT\n{}",
        shown.join("\n")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(here.path())
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/bin", bin.path().display()))
        .env("HOME", here.path())
        .env_remove("VMCP_SERVER")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let logs: Vec<String> = ["control-plane", "data-plane-1", "quickstart"]
        .iter()
        .map(|name| fs_err::read_to_string(here.path().join(format!("state/{name}.log"))).unwrap_or_default())
        .collect();
    assert!(output.status.success(), "{out}\n{err}\n{}", logs.join("\n"));
    let (_, listed) = out.rsplit_once("[\n  {\n    \"id\"").expect("the replicas as JSON");
    let (listed, _) = listed.split_once("\n]").expect("their end");
    let replicas: serde_json::Value = serde_json::from_str(&format!("[{{\"id\"{listed}]")).unwrap();
    let replicas = replicas.as_array().unwrap();
    assert_eq!(replicas.len(), 3);
    for replica in replicas {
        assert!(
            replica["connected"] == true && number(&replica["bytes"]) < 4_096,
            "back, and sent nothing: {replica}"
        );
    }
    let said = format!("{out}{err}");
    for text in blocks("docs/operating/two-planes.md", "text") {
        for line in text.lines() {
            assert!(said.contains(line), "the guide shows `{line}`:\n{said}");
        }
    }
    for part in [
        r#""id":1,"result""#,
        r#""id":2,"result""#,
        r#""from_disk":false"#,
        "quickstart_clock_now",
        "generation 3",
    ] {
        assert!(said.contains(part), "lacks `{part}`:\n{said}");
    }
}

#[test]
fn two_planes_10_the_configurations_of_the_example_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let example = root().join("examples/two-planes");
    let check = |command: &mut Command| {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let path = "/usr/sbin:/usr/bin:/bin";
    check(Command::new("haproxy").env("PATH", path).args(["-c", "-f"]).arg(example.join("haproxy.cfg")));
    let nginx = example.join("nginx.conf");
    check(
        Command::new("nginx").env("PATH", path).arg("-t").arg("-p").arg(folder.path()).arg("-c").arg(nginx),
    );
    // The programs are where the test has them, not where a package would put them.
    programs(folder.path());
    for (unit, started) in [
        ("vmcp-control-plane.service", "vmcp-control-plane.service"),
        ("vmcp-data-plane@.service", "vmcp-data-plane@1.service"),
    ] {
        let text = fs_err::read_to_string(example.join("systemd").join(unit)).unwrap();
        let here = text.replace("/usr/local/bin", &folder.path().display().to_string());
        fs_err::write(folder.path().join(started), here).unwrap();
        check(
            Command::new("systemd-analyze").env("PATH", path).arg("verify").arg(folder.path().join(started)),
        );
    }
}

#[tokio::test]
async fn two_planes_10_a_session_that_began_on_one_replica_goes_on_at_another() {
    let one = backend("one", 1).await;
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("session.key");
    fs_err::write(&key, "c2Vzc2lvbiBrZXkgdGhhdCBhbGwgcmVwbGljYXMgc2hhcmU=").unwrap();
    let key = key.display().to_string();
    let shared = ["--session-key-file", key.as_str()];
    let (first, second) =
        (data_plane(&control_plane, &shared).await, data_plane(&control_plane, &shared).await);
    let alone = data_plane(&control_plane, &[]).await;
    control_plane.apply(&manifest("all", "", &[("one", one.url())]), &["--wait"]).await.good();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let begun = first.client().post(&[], body).await;
    let session = begun.header("mcp-session-id").expect("a session id");
    let headers = [LEGACY[0], ("mcp-session-id", session.as_str())];
    let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    assert_eq!(second.client().post(&headers, list).await.status, 200);
    assert_eq!(alone.client().post(&headers, list).await.status, 404, "its key is another");
}
