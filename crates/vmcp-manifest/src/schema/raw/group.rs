//! What people write of groups and their workloads, as types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// A workload as ToolHive writes it inline.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct InlineBackend {
    /// Unique among them.
    name: String,
    /// Its MCP endpoint.
    url: String,
    /// How it is spoken to.
    #[serde(default)]
    transport: Transport,
    /// A file (PEM) with certificates that its TLS is held to besides those of the operating system; an absolute path.
    #[serde(default)]
    ca_bundle_path: Option<String>,
}

/// How a server that runs is spoken to.
#[derive(JsonSchema, Serialize, Default)]
pub(in crate::schema) enum Transport {
    #[default]
    #[serde(rename = "streamable-http")]
    StreamableHttp,
    #[serde(rename = "sse")]
    Sse,
}

/// Who has a session with a legacy server.
#[derive(JsonSchema, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub(in crate::schema) enum Sessions {
    #[default]
    Auto,
    Sticky,
    Shared,
}

/// A group: a named set of MCP servers, written out, found by a provider, or both.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct Group {
    /// `group`.
    kind: String,
    /// What virtual servers name in `group`.
    name: String,
    /// Its workloads; `[]` for none. It can be left out if a provider finds them.
    #[serde(default)]
    workloads: Option<Vec<Workload>>,
    /// The workloads of a ToolHive group too, as they come and go; `{}` for the one of the same name.
    #[serde(default)]
    toolhive: Option<ToolHive>,
}

/// Where the workloads of a ToolHive group are found: in its files, or by its HTTP API.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct ToolHive {
    /// What ToolHive calls the group; the name of this one if absent.
    #[serde(default)]
    group: Option<String>,
    /// Under which ToolHive's ports are reached from here.
    #[serde(default = "loopback")]
    host: String,
    /// ToolHive's HTTP API, such as `http://127.0.0.1:8080`; without it its files are read.
    #[serde(default)]
    api: Option<String>,
    /// The same on a socket of this machine.
    #[serde(default)]
    socket: Option<String>,
    /// The folder with `groups` and `runconfigs`; `$XDG_STATE_HOME/toolhive`, or what it is without that variable, if absent.
    #[serde(default)]
    state_dir: Option<String>,
    /// The folder with `statuses`; `$XDG_DATA_HOME/toolhive`, likewise.
    #[serde(default)]
    data_dir: Option<String>,
}

fn loopback() -> String {
    "127.0.0.1".to_owned()
}

/// One MCP server: `url` for one that runs already, or `command` for one to start.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct Workload {
    /// Unique in the group; it goes before the names of its tools.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    name: String,
    /// Its MCP endpoint.
    #[serde(default)]
    url: Option<String>,
    /// Several endpoints of the same server, in place of `url`. Each call goes where the fewest are under way; one that fails is left
    /// out for a while.
    #[serde(default)]
    #[schemars(length(min = 1))]
    urls: Option<Vec<String>>,
    /// How a `url` is spoken to: `sse` is HTTP with SSE, of MCP 2024-11-05.
    #[serde(default)]
    transport: Transport,
    /// Who has a session with a `url` of 2025-11-25 or earlier that keeps sessions. `auto`: each client session, from its first call on.
    /// `sticky`: the same from its beginning on, and it outlives the data plane that opened it. `shared`: all clients of one principal.
    #[serde(default)]
    sessions: Sessions,
    /// Whether a `url` offers everybody the same. With `per_principal` it is asked in each caller's name, by the data plane that the caller
    /// uses, and what it says is kept for a minute; `outgoing_auth` says what it is shown. Not with `conflict_resolution: priority`.
    #[serde(default)]
    inventory: InventoryOf,
    /// What every request to a `url` carries, by name. References are resolved where the backend is called: by the control plane and by
    /// each data plane.
    #[serde(default)]
    headers: Option<BTreeMap<String, TextOrReference>>,
    /// A file (PEM) with certificates that the TLS of a `url` is held to besides those of the operating system; an absolute path, read
    /// where the backend is called.
    #[serde(default)]
    ca_bundle: Option<String>,
    /// A program that speaks MCP over standard input and output. Without a path it is looked for in `PATH`.
    #[serde(default)]
    command: Option<String>,
    /// What the program is given.
    #[serde(default)]
    args: Option<Vec<TextOrReference>>,
    /// Variables besides `PATH`, `HOME`, `USER`, `LANG` the files of certificates that TLS trusts (`SSL_CERT_FILE` and its like), and a
    /// few more like them; nothing else is inherited.
    #[serde(default)]
    env: Option<BTreeMap<String, TextOrReference>>,
    /// Where the program is started; where `vmcpctl` was started if absent.
    #[serde(default)]
    working_directory: Option<String>,
}

/// Whom a server tells what it offers.
#[derive(JsonSchema, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub(in crate::schema) enum InventoryOf {
    #[default]
    Shared,
    PerPrincipal,
}

/// A text, or where a secret is found when it is needed.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(in crate::schema) enum TextOrReference {
    Text(String),
    Number(f64),
    Boolean(bool),
    Reference(Reference),
}

/// Where a secret is found: in `env` or in `file`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct Reference {
    /// A variable of the process that starts the program.
    #[serde(default)]
    env: Option<String>,
    /// A file; a line break at its end does not count.
    #[serde(default)]
    file: Option<String>,
    /// What stands before the secret, such as `--api-key=`.
    #[serde(default)]
    prefix: Option<String>,
}
