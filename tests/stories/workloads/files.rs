//! Files that were written for ToolHive and for the seed apply as they are, and are served.

use std::time::Duration;

use vmcp_testkit::{ControlPlane, RawBackend, Recorded, ToolHiveHome, eventually, mcp_reply};

use crate::root;
use crate::two_planes::{PROGRAMS, call, data_plane};

async fn backend(tool: &'static str) -> RawBackend {
    RawBackend::start(move |recorded: &Recorded| {
        let tool = format!(r#"{{"name":"{tool}","inputSchema":{{"type":"object"}}}}"#);
        mcp_reply(recorded, false, &tool).unwrap_or_else(|| recorded.result(r#"{"content":[]}"#))
    })
    .await
}

/// Applies a file over a ToolHive group with the two workloads that it names.
async fn served(file: &str, tools: &[&str]) {
    let text = fs_err::read_to_string(root().join("tests/manifests").join(file)).unwrap();
    let (github, jira) = (backend("create_pr").await, backend("create_issue").await);
    let home = ToolHiveHome::new();
    home.group("engineering-team");
    home.workload("github", "engineering-team", github.port(), "running");
    home.workload("jira", "engineering-team", jira.port(), "running");
    let control_plane = ControlPlane::start_in(
        PROGRAMS,
        &[
            ("XDG_STATE_HOME", home.state().parent().unwrap()),
            ("XDG_DATA_HOME", home.data().parent().unwrap()),
        ],
    )
    .await;
    let replica = data_plane(&control_plane, &[]).await;
    control_plane.apply(&text, &["--wait"]).await.good();
    let lists = eventually(Duration::from_secs(5), async || replica.tools().await == tools).await;
    assert!(lists, "{file}: {:?} {}", replica.tools().await, control_plane.status().await);
    for is_modern in [true, false] {
        assert_eq!(call(&replica.client(), tools[0], is_modern).await.code(), None, "{file}");
    }
}

#[tokio::test]
async fn workloads_08_the_seed_s_example_with_operational_settings_applies_as_it_is() {
    served("seed-operational.yaml", &["github_gh_create_pr", "jira_create_issue"]).await;
}

#[tokio::test]
async fn workloads_08_toolhive_s_example_without_its_auth_sections_applies_as_it_is() {
    served("toolhive-vmcp-config.yaml", &["github_gh_create_pr", "jira_jira_create_issue"]).await;
}
