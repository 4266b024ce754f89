//! ToolHive's HTTP API, as `thv serve` has it.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::Deserialize;
use vmcp_core::desired::{ToolHive, ToolHiveApi};

use super::{Described, Seen};

/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How large it may be: some thousand workloads.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// The API, and the group that it is asked for.
#[derive(Debug)]
pub(in crate::workloads) struct Api {
    client: Client,
    base: String,
    group: String,
    host: String,
}

#[derive(Debug, Deserialize)]
struct Groups {
    /// Null for none; an answer without it is somebody else's.
    #[serde(deserialize_with = "Option::deserialize")]
    groups: Option<Vec<Group>>,
}

#[derive(Debug, Deserialize)]
struct Group {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    /// Likewise.
    #[serde(deserialize_with = "Option::deserialize")]
    workloads: Option<Vec<Workload>>,
}

#[derive(Debug, Deserialize)]
struct Workload {
    name: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    transport_type: String,
    #[serde(default)]
    proxy_mode: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    remote: bool,
}

impl Api {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// A client cannot be made.
    pub(in crate::workloads) fn new(toolhive: &ToolHive, api: &ToolHiveApi) -> Result<Self, String> {
        let builder =
            Client::builder().timeout(ANSWER_TIME).redirect(reqwest::redirect::Policy::none()).no_proxy();
        let (builder, base) = match api {
            ToolHiveApi::Url(url) => (builder, url.to_string()),
            ToolHiveApi::Socket(path) => (builder.unix_socket(path.clone()), "http://toolhive".to_owned()),
        };
        let client = builder.build().map_err(|error| error.to_string())?;
        let base = format!("{}/api/v1beta", base.trim_end_matches('/'));
        Ok(Self { client, base, group: toolhive.group.clone(), host: toolhive.host.clone() })
    }

    /// What is in the group now.
    ///
    /// # Errors
    /// It does not answer, or not with workloads.
    pub(in crate::workloads) async fn ask(&self) -> Result<Seen, String> {
        let path = format!("workloads?all=true&group={}", self.group.replace(' ', "%20"));
        match self.get(&path).await? {
            Ok(body) => self.read(&body),
            // Whoever answers so may not be ToolHive; only ToolHive can say which groups there are.
            Err(StatusCode::NOT_FOUND) => match self.get("groups").await? {
                Ok(body) => self.read_groups(&body),
                Err(status) => Err(not_well(status)),
            },
            Err(status) => Err(not_well(status)),
        }
    }

    async fn get(&self, path: &str) -> Result<Result<Vec<u8>, StatusCode>, String> {
        let asked = self.client.get(format!("{}/{path}", self.base)).send();
        let mut response = asked.await.map_err(|error| said(&error))?;
        if !response.status().is_success() {
            return Ok(Err(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| said(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err(format!("ToolHive's API answered more than {ANSWER_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Ok(body))
    }

    /// A group that is gone has no workloads.
    fn read_groups(&self, body: &[u8]) -> Result<Seen, String> {
        let groups: Groups = serde_json::from_slice(body)
            .map_err(|error| format!("ToolHive's API did not answer with groups: {error}"))?;
        if groups.groups.unwrap_or_default().iter().any(|group| group.name == self.group) {
            return Err(not_well(StatusCode::NOT_FOUND));
        }
        Ok(Seen { faults: vec![format!("ToolHive has no group `{}`", self.group)], ..Seen::default() })
    }

    fn read(&self, body: &[u8]) -> Result<Seen, String> {
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|error| format!("ToolHive's API did not answer with workloads: {error}"))?;
        let mut seen = Seen::default();
        for workload in answer.workloads.unwrap_or_default() {
            let described = Described {
                remote_url: if workload.remote { workload.url } else { String::new() },
                port: workload.port,
                transport: workload.transport_type,
                proxy_mode: workload.proxy_mode,
                container_labels: workload.labels.unwrap_or_default(),
                ..Described::default()
            };
            let status = if workload.status.is_empty() { "unknown" } else { &workload.status };
            seen.add(&workload.name, &described, status, &self.host);
        }
        Ok(seen)
    }
}

fn not_well(status: StatusCode) -> String {
    format!("ToolHive's API answered with HTTP status {status}")
}

/// Every cause once.
fn said(error: &reqwest::Error) -> String {
    let mut text = "ToolHive's API does not answer".to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
