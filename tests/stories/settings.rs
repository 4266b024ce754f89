//! Every setting that is accepted has its effect.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use vmcp_testkit::{Client, RawBackend, Recorded, Served, mcp_reply};

use crate::{program, root};

#[tokio::test]
async fn flags_can_be_given_as_variables() {
    let mut child = Command::new(program())
        .arg("serve")
        .current_dir(root())
        .env("VMCP_CONFIG", "examples/quickstart/vmcp.yaml")
        .env("VMCP_HOST", "127.0.0.2")
        .env("VMCP_PORT", "0")
        .env("VMCP_ADMIN_PORT", "0")
        .env("VMCP_LOG", "info")
        .env("VMCP_LOG_JSON", "true")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    for line in lines {
        let is_last = line.starts_with("serving `");
        seen.push(line);
        if is_last {
            break;
        }
    }
    let url = seen.last().and_then(|line| line.split(" at ").nth(1)).unwrap_or_else(|| panic!("{seen:?}"));
    assert!(url.starts_with("http://127.0.0.2:"), "{url}");
    let log: Vec<_> =
        seen.iter().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).collect();
    assert!(log.iter().any(|line| line["fields"]["message"] == "revision applied"), "{seen:?}");
    let answer = Client::new(url).modern("server/discover", "").await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn keys_of_a_manifest_have_their_effect() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("here.txt"), "found").unwrap();
    let backend = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, true, r#"{"name":"echo"}"#).unwrap_or_else(|| recorded.result("{}"))
    })
    .await;
    let manifest = format!(
        "name: one
group: g
incoming_auth: {{type: anonymous}}
outgoing_auth: {{source: inline, backends: {{raw: {{type: unauthenticated}}}}}}
aggregation: {{conflict_resolution: prefix, conflict_resolution_config: {{prefix_format: 'my-{{workload}}.'}}}}
---
kind: group
name: g
workloads:
  - {{name: raw, url: '{}'}}
  - name: files
    command: sh
    args: [-c, 'exec \"$PROGRAM\" demo files --dir .']
    env: {{PROGRAM: vmcpctl}}
    working_directory: '{}'
",
        backend.url(),
        folder.path().display(),
    );
    let served = Served::start(program(), &manifest).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    served.until_healthy("files", Duration::from_secs(10)).await;
    let list = served.client().modern("tools/list", "").await.text();
    assert!(list.contains(r#""my-raw.echo""#) && list.contains(r#""my-files.read""#), "{list}");
    let read = served
        .client()
        .modern("tools/call", r#""name":"my-files.read","arguments":{"path":"here.txt"}"#)
        .await;
    assert!(read.text().contains("found"), "{}", read.text());
}
