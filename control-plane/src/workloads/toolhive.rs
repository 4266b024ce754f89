//! What ToolHive says of a workload, and where that workload is called by it.

mod api;
mod files;

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Uri;
use serde::Deserialize;
use vmcp_core::desired::{Endpoints, ToolHive, ToolHiveSource, Transport};
use vmcp_core::name::Name;
use vmcp_core::sentence::shown;

use crate::workloads::found::{FoundWorkload, FoundWorkloads};

pub(super) use api::Api;
pub(super) use files::Files;

/// Where ToolHive keeps what it knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolHiveFolders {
    /// With `groups` and `runconfigs`: `$XDG_STATE_HOME/toolhive`. `None`: nobody knows where that is.
    pub state: Option<PathBuf>,
    /// With `statuses`: `$XDG_DATA_HOME/toolhive`.
    pub data: Option<PathBuf>,
}

impl ToolHiveFolders {
    /// With those that somebody has written in place of the usual ones.
    pub(crate) fn with(&self, state: Option<PathBuf>, data: Option<PathBuf>) -> Self {
        Self { state: state.or_else(|| self.state.clone()), data: data.or_else(|| self.data.clone()) }
    }
}

/// What is in a group, and what of it cannot be used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) workloads: FoundWorkloads,
    /// Those of which not enough can be said now: what was known of them stays, with this status, if it has one.
    pub(super) kept: BTreeMap<Name, Option<String>>,
    pub(super) faults: Vec<String>,
}

/// Who is in a ToolHive group now, and what of it cannot be used.
///
/// # Errors
/// Nobody says: the files cannot be read, or the API does not answer.
pub async fn find_toolhive_group(
    toolhive: &ToolHive,
    folders: ToolHiveFolders,
) -> Result<(BTreeMap<Name, Endpoints>, Vec<String>), String> {
    let seen = match &toolhive.source {
        ToolHiveSource::Files { state, data } => {
            let mut files = Files::new(toolhive, folders.with(state.clone(), data.clone()));
            let looking = tokio::task::spawn_blocking(move || files.look());
            looking.await.map_err(|error| error.to_string())??
        }
        ToolHiveSource::Api(api) => Api::new(toolhive, api)?.ask().await?,
    };
    let found = seen.workloads.into_iter().map(|(name, workload)| (name, workload.endpoints));
    Ok((found.collect(), seen.faults))
}

/// Who is in a ToolHive group by the files of whoever asks, one line each, and what cannot be used. Blocks.
///
/// # Errors
/// The files cannot be read.
pub fn look_for_toolhive_group(
    group: &str,
    folders: ToolHiveFolders,
) -> Result<(Vec<String>, Vec<String>), String> {
    let source = ToolHiveSource::Files { state: None, data: None };
    let toolhive = ToolHive { group: group.to_owned(), host: "127.0.0.1".to_owned(), source };
    let seen = Files::new(&toolhive, folders).look()?;
    let line = |(name, workload): (&Name, &FoundWorkload)| {
        let url = workload.endpoints.urls.first().map(ToString::to_string).unwrap_or_default();
        format!("{name}: {url} ({})", shown(&workload.status))
    };
    Ok((seen.workloads.iter().map(line).collect(), seen.faults))
}

/// What matters of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
struct Described {
    /// Empty is `default`.
    group: String,
    /// The server behind ToolHive's proxy, if it runs elsewhere.
    remote_url: String,
    /// Of ToolHive's proxy.
    port: u16,
    /// Of the server: `stdio`, `sse`, `streamable-http`, `inspector`.
    transport: String,
    /// What the proxy speaks, where the server speaks `stdio`.
    proxy_mode: String,
    container_labels: BTreeMap<String, String>,
}

/// Where a workload is called.
enum Called {
    At(Endpoints),
    /// It is no MCP server.
    Nowhere,
    /// It has no port at the moment, as while it is made again.
    NotYet,
}

const OWN_LABELS: [&str; 6] = [
    "toolhive",
    "toolhive-name",
    "toolhive-basename",
    "toolhive-transport",
    "toolhive-port",
    "toolhive-network-isolation",
];

impl Described {
    fn group(&self) -> &str {
        if self.group.is_empty() { "default" } else { &self.group }
    }

    /// Where ToolHive's proxy is called for it.
    fn endpoints(&self, host: &str) -> Result<Called, String> {
        let mode = match self.transport.as_str() {
            "stdio" | "" => &self.proxy_mode,
            other => other,
        };
        let transport = match mode {
            "sse" => Transport::Sse,
            "streamable-http" | "streamable" | "" => Transport::StreamableHttp,
            "inspector" => return Ok(Called::Nowhere),
            other => return Err(format!("`{other}` is no transport that is known here")),
        };
        let labelled = || self.container_labels.get("toolhive-port").and_then(|port| port.parse().ok());
        let port = Some(self.port).filter(|port| *port != 0).or_else(labelled);
        let Some(port) = port else { return Ok(Called::NotYet) };
        let remote = self.remote_url.parse::<Uri>().ok();
        let remote = remote.as_ref().map(Uri::path).filter(|path| *path != "/" && !path.is_empty());
        let path = match transport {
            Transport::Sse => remote.unwrap_or("/sse"),
            Transport::StreamableHttp => remote.unwrap_or("/mcp"),
        };
        let url = format!("http://{host}:{port}{path}");
        let url = url.parse().map_err(|error| format!("`{url}` is not an address: {error}"))?;
        Ok(Called::At(Endpoints { transport, ..Endpoints::at(url) }))
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let theirs = self.container_labels.iter().filter(|(name, _)| !OWN_LABELS.contains(&name.as_str()));
        theirs.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl Seen {
    /// Adds a workload of the group.
    fn add(&mut self, name: &str, described: &Described, status: &str, host: &str) {
        let left_out = |why: &dyn std::fmt::Display| format!("the workload `{name}` is left out: {why}");
        let name = match name.parse::<Name>() {
            Ok(name) => name,
            Err(why) => return self.faults.push(left_out(&why)),
        };
        match described.endpoints(host) {
            Ok(Called::At(endpoints)) => {
                let (status, labels) = (status.to_owned(), described.labels());
                self.workloads.insert(name, FoundWorkload { endpoints, status, labels });
            }
            Ok(Called::Nowhere) => {}
            Ok(Called::NotYet) => drop(self.kept.insert(name, Some(status.to_owned()))),
            Err(why) => self.faults.push(left_out(&why)),
        }
    }

    /// Nothing can be said of a workload of this name.
    fn keep(&mut self, name: &str) {
        self.kept.extend(name.parse::<Name>().ok().map(|name| (name, None)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(described: &Described) -> String {
        match described.endpoints("127.0.0.1") {
            Ok(Called::At(endpoints)) => format!("{:?} {}", endpoints.transport, endpoints.urls[0]),
            Ok(Called::Nowhere) => "none".to_owned(),
            Ok(Called::NotYet) => "not yet".to_owned(),
            Err(why) => why,
        }
    }

    #[test]
    fn a_proxy_is_called_as_toolhive_s_own_vmcp_calls_it() {
        let of = |transport: &str, proxy_mode: &str, remote_url: &str, port| {
            url(&Described {
                transport: transport.into(),
                proxy_mode: proxy_mode.into(),
                remote_url: remote_url.into(),
                port,
                ..Described::default()
            })
        };
        assert_eq!(of("stdio", "", "", 1), "StreamableHttp http://127.0.0.1:1/mcp");
        assert_eq!(of("stdio", "sse", "", 1), "Sse http://127.0.0.1:1/sse");
        assert_eq!(of("sse", "streamable-http", "", 1), "Sse http://127.0.0.1:1/sse");
        assert_eq!(of("streamable-http", "", "", 1), "StreamableHttp http://127.0.0.1:1/mcp");
        let remote = "https://api.example.com/v1/mcp?key=1";
        assert_eq!(of("streamable-http", "", remote, 1), "StreamableHttp http://127.0.0.1:1/v1/mcp");
        assert_eq!(of("sse", "", "https://api.example.com/", 1), "Sse http://127.0.0.1:1/sse");
        assert_eq!(of("inspector", "", "", 1), "none");
        assert_eq!(of("stdio", "", "", 0), "not yet");
        assert_eq!(of("quic", "", "", 1), "`quic` is no transport that is known here");
        let labels = [("toolhive-port", "7"), ("toolhive", "true"), ("team", "a")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let described = Described { container_labels: labels, ..Described::default() };
        assert_eq!(url(&described), "StreamableHttp http://127.0.0.1:7/mcp");
        assert_eq!(described.labels(), BTreeMap::from([("team".to_owned(), "a".to_owned())]));
        assert_eq!(described.group(), "default");
    }
}
