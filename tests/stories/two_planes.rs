//! A control plane and its data planes as processes of their own: what an apply comes to, and what an outage does not.

mod changes;
mod disks;
mod flips;
mod grpc;
mod guide;
mod herd;
mod operator;
mod outages;
mod planes;
mod rejections;
mod verbs;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use vmcp_testkit::{
    Answer, Client, ControlPlane, DataPlane, LEGACY, Programs, RawBackend, Recorded, mcp_reply,
};

pub(crate) const PROGRAMS: Programs = Programs {
    control_plane: env!("CARGO_BIN_EXE_vmcp-control-plane-story"),
    data_plane: env!("CARGO_BIN_EXE_vmcp-data-plane-story"),
    vmcpctl: env!("CARGO_BIN_EXE_vmcpctl-story"),
};
const SKEWED: &str = env!("CARGO_BIN_EXE_vmcp-data-plane-skewed");

pub(crate) async fn data_plane(control_plane: &ControlPlane, more: &[&str]) -> DataPlane {
    DataPlane::start(PROGRAMS.data_plane, control_plane, more).await
}

/// A backend with tools `NAME_0` to `NAME_n`, which answers a call with its own name and that of the tool.
pub(crate) async fn backend(name: &str, tools: usize) -> RawBackend {
    let list: Vec<String> = (0..tools)
        .map(|tool| format!(r#"{{"name":"{name}_{tool}","description":"one of the tools of {name}","inputSchema":{{"type":"object"}}}}"#))
        .collect();
    let list = list.join(",");
    let name = name.to_owned();
    RawBackend::start(move |recorded: &Recorded| {
        mcp_reply(recorded, true, &list).unwrap_or_else(|| called(&name, recorded))
    })
    .await
}

fn called(backend: &str, recorded: &Recorded) -> vmcp_testkit::Reply {
    let tool = recorded.json()["params"]["name"].as_str().unwrap_or_default().to_owned();
    recorded.result(&format!(
        r#"{{"content":[{{"type":"text","text":"{backend}/{tool}"}}],"resultType":"complete","ttlMs":0,"cacheScope":"private"}}"#
    ))
}

/// One virtual server over workloads, each with its URL.
pub(crate) fn manifest(server: &str, more: &str, workloads: &[(&str, String)]) -> String {
    let workloads: Vec<String> =
        workloads.iter().map(|(name, url)| format!("  - {{name: {name}, url: '{url}'}}\n")).collect();
    let workloads =
        if workloads.is_empty() { " []\n".to_owned() } else { format!("\n{}", workloads.concat()) };
    format!(
        "name: {server}\ngroup: of-{server}\nincoming_auth: {{type: anonymous}}\n{more}---\nkind: group\nname: of-{server}\nworkloads:{workloads}"
    )
}

/// Calls a tool in one of the eras.
pub(crate) async fn call(client: &Client, tool: &str, is_modern: bool) -> Answer {
    if is_modern {
        return client.modern("tools/call", &format!(r#""name":"{tool}","arguments":{{}}"#)).await;
    }
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#
    );
    client.post(LEGACY, body).await
}

/// Calls at a fixed rate, in both eras, at all of some replicas, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// `rate` calls a second of `tool`, each of which must be answered with `expected`.
    fn start(urls: Vec<String>, rate: u64, tool: &'static str, expected: &'static str) -> Self {
        let (stop, made) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        // Enough callers that one slow answer delays nobody's turn.
        let callers = 20;
        let period = Duration::from_secs(callers) / u32::try_from(rate).expect("a small rate");
        let callers = (0..callers).map(|caller| {
            let (stop, made, urls) = (stop.clone(), made.clone(), urls.clone());
            tokio::spawn(async move {
                let clients: Vec<Client> = urls.into_iter().map(Client::new).collect();
                let mut turns = tokio::time::interval(period);
                let mut failures = Vec::new();
                for turn in caller.. {
                    turns.tick().await;
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let turn = usize::try_from(turn).expect("a small number");
                    let answer = call(&clients[turn % clients.len()], tool, turn.is_multiple_of(2)).await;
                    made.fetch_add(1, Ordering::Relaxed);
                    if !answer.text().contains(expected) {
                        failures.push(format!("{} {}", answer.status, answer.text()));
                    }
                }
                failures
            })
        });
        let callers = callers.collect();
        Self { stop, made, callers }
    }

    /// Stops, and returns how many calls were made and which failed.
    async fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for caller in self.callers {
            failures.extend(caller.await.expect("no caller panics: each call is answered"));
        }
        (self.made.load(Ordering::Relaxed), failures)
    }
}

/// A number of a JSON document.
fn number(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}
