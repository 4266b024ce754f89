//! What an operator wants: virtual servers, groups and their workloads, whole and consistent.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::{fmt, io};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::aggregation::Aggregation;
use crate::audit::Audit;
use crate::boundary::{Authorization, Incoming, Outgoing};
use crate::name::Name;
use crate::operational::Operational;

/// Everything that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Desired {
    /// By name.
    pub virtual_servers: BTreeMap<Name, VirtualServer>,
    /// By name. Every group that a virtual server names is here.
    pub groups: BTreeMap<Name, Group>,
}

/// The MCP server that is presented under one URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualServer {
    /// Stands in its path.
    pub name: Name,
    /// Whose workloads it presents.
    pub group: Name,
    /// Whether it is served at `/mcp` too; at most one is.
    pub is_default: bool,
    /// Who may come in.
    pub incoming: Incoming,
    /// What they may do; everything if absent.
    pub authorization: Option<Authorization>,
    /// What its backends are shown.
    pub outgoing: Outgoing,
    /// Under which address clients know it, without a path; if absent, the one that they come by.
    pub public_url: Option<Uri>,
    /// Names under which it may be addressed, besides loopback and its public one.
    pub allowed_hosts: Vec<String>,
    /// How its catalog is made.
    pub aggregation: Aggregation,
    /// How it deals with backends that are slow, busy or gone.
    pub operational: Operational,
    /// Headers of clients that are passed on to every backend.
    pub passthrough_headers: Vec<HeaderName>,
    /// What is recorded of requests; nothing if absent.
    pub audit: Option<Audit>,
}

impl VirtualServer {
    /// The servers of a group, with nothing special about it.
    pub fn new(name: Name, group: Name) -> Self {
        let (aggregation, operational) = (Aggregation::default(), Operational::default());
        let (incoming, public_url, passthrough_headers) = (Incoming::default(), None, Vec::new());
        Self {
            name,
            group,
            is_default: false,
            incoming,
            authorization: None,
            outgoing: Outgoing::default(),
            public_url,
            allowed_hosts: Vec::new(),
            aggregation,
            operational,
            passthrough_headers,
            audit: None,
        }
    }
}

/// A named set of MCP servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Named by virtual servers.
    pub name: Name,
    /// Those that are written out, by name.
    pub workloads: BTreeMap<Name, Address>,
    /// Where others are found.
    pub toolhive: Option<ToolHive>,
}

/// Where a workload is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A server that runs already.
    Remote(Endpoints),
    /// A program that speaks MCP over standard input and output.
    Command(Command),
}

/// Where a server that runs is called, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Its MCP endpoints; at least one, and any of them is as good as another.
    pub urls: Vec<Uri>,
    /// How they are spoken to.
    pub transport: Transport,
    /// Who has a session with it.
    pub sessions: Sessions,
    /// Who is told what it offers.
    pub inventory: Inventories,
    /// What every request carries, by name.
    pub headers: Vec<(HeaderName, Text)>,
    /// A file with certificates that its TLS is held to besides the usual ones.
    pub ca_bundle: Option<PathBuf>,
}

/// How an endpoint is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// MCP 2025-03-26 and later, Streamable HTTP.
    #[default]
    StreamableHttp,
    /// MCP 2024-11-05, HTTP with SSE.
    Sse,
}

/// Who has a session with a legacy server that keeps sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sessions {
    /// Each client session, from its first call on.
    #[default]
    Auto,
    /// Each client session, from its beginning on; the client carries it, so that it outlives who opened it.
    Sticky,
    /// All clients of one principal that may be asked the same, on each replica.
    Shared,
}

/// Whether a backend offers everybody the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inventories {
    /// It does; the control plane asks it.
    #[default]
    Shared,
    /// It offers each caller something else; a data plane asks it in the caller's name.
    PerPrincipal,
}

impl Endpoints {
    /// One endpoint over streamable HTTP, with nothing special about it.
    pub fn at(url: Uri) -> Self {
        let (transport, sessions, inventory) =
            (Transport::default(), Sessions::default(), Inventories::default());
        Self { urls: vec![url], transport, sessions, inventory, headers: Vec::new(), ca_bundle: None }
    }

    /// Whether something stands in files, which can be replaced.
    pub fn has_files(&self) -> bool {
        let is_file =
            |(_, text): &(HeaderName, Text)| matches!(text, Text::Secret { found: Found::File(_), .. });
        self.ca_bundle.is_some() || self.headers.iter().any(is_file)
    }

    /// What every request carries, with the secrets that `find` finds. Values do not print themselves.
    ///
    /// # Errors
    /// A secret that cannot be found, or is nothing that a header can hold; without the secret.
    pub fn header_map(&self, find: impl Fn(&Found) -> io::Result<OsString>) -> io::Result<HeaderMap> {
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, text) in &self.headers {
            let whole = match text {
                Text::Plain(text) => text.as_bytes().to_vec(),
                Text::Secret { before, found } => {
                    [before.as_bytes(), find(found)?.as_encoded_bytes()].concat()
                }
            };
            let mut value = HeaderValue::from_bytes(&whole).map_err(|_| {
                io::Error::other(format!("what the header `{name}` is to hold cannot stand in a header"))
            })?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(headers)
    }
}

/// Where workloads of a ToolHive group are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolHive {
    /// The group as ToolHive calls it.
    pub group: String,
    /// Under which its ports are reached.
    pub host: String,
    /// Who is asked.
    pub source: ToolHiveSource,
}

/// Who is asked for the workloads of a ToolHive group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolHiveSource {
    /// What it keeps on disk: `groups` and `runconfigs` are in the first folder, `statuses` in the second. The user's own if absent.
    Files {
        /// `$XDG_STATE_HOME/toolhive`.
        state: Option<PathBuf>,
        /// `$XDG_DATA_HOME/toolhive`.
        data: Option<PathBuf>,
    },
    /// Its HTTP API.
    Api(ToolHiveApi),
}

/// Where ToolHive's HTTP API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolHiveApi {
    /// Such as `http://127.0.0.1:8080`.
    Url(Uri),
    /// A socket of this machine.
    Socket(PathBuf),
}

/// What a manifest says in place of a value: the value itself, or where it is found when it is needed.
#[derive(Clone, PartialEq, Eq)]
pub enum Text {
    /// The value.
    Plain(String),
    /// A secret: what is found, behind a text that stands before it.
    Secret {
        /// Such as `Bearer ` or `--api-key=`.
        before: String,
        /// Where the rest is found.
        found: Found,
    },
}

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// In a variable of the process that needs it.
    Variable(String),
    /// In a file, without the line break at its end.
    File(PathBuf),
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("…"),
            Self::Secret { found, .. } => found.fmt(f),
        }
    }
}

/// How a program is started. What its variables hold is not printed, since people put keys there.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// Its path, or its name to be found in `PATH`.
    pub program: String,
    /// What it is given.
    pub arguments: Vec<Text>,
    /// Set besides the few variables that every child gets.
    pub environment: BTreeMap<String, Text>,
    /// Where it is started; where `vmcpctl` was started if absent.
    pub working_directory: Option<PathBuf>,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("environment", &self.environment.keys())
            .field("working_directory", &self.working_directory)
            .finish()
    }
}
