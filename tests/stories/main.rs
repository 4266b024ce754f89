//! The stories: each *Must hold* sentence of an issue is a test named after it.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a story that goes wrong may panic")]

mod boundaries;
mod bytes;
mod catalog;
mod children;
mod clients;
mod eras;
mod identity;
mod lists;
mod manifests;
mod modes;
mod offers;
mod over_sse;
mod quickstart;
mod refusals;
mod schema;
mod sessions;
mod settings;
mod slow;
mod two_planes;
mod watched;
mod workloads;

use std::path::Path;

use vmcp_testkit::Served;

/// The `vmcpctl` under test.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_vmcpctl-story"))
}

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Serves one virtual server over workloads, each a line of YAML.
async fn serve(workloads: &[String]) -> Served {
    let workloads = match workloads.join("\n  - ") {
        none if none.is_empty() => " []".to_owned(),
        some => format!("\n  - {some}"),
    };
    let manifest = format!(
        "name: all\ngroup: g\nincoming_auth: {{type: anonymous}}\n---\nkind: group\nname: g\nworkloads:{workloads}\n"
    );
    Served::start(program(), &manifest).await
}

/// A workload at a URL.
fn at(name: &str, url: &str) -> String {
    format!("{{name: {name}, url: '{url}'}}")
}
