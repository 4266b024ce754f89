//! What people write, as types. Their documentation is the reference's; nothing is ever read into them.
#![expect(dead_code, reason = "only their schema is used")]

mod audit;
mod boundary;
mod group;
mod operational;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use audit::Audit;
use boundary::{IncomingAuth, OutgoingAuth};
pub(super) use group::Group;
use group::InlineBackend;
use operational::Operational;

/// A virtual server: one MCP server that presents all workloads of a group. A document without `kind` is one.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct VirtualServer {
    /// 1 to 63 of `A-Za-z0-9._-`. It is served at `/<name>/mcp`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    name: String,
    /// The group whose workloads it presents. One that neither a document nor `backends` describes is ToolHive's group of that
    /// name, in the files of whoever runs the control plane. ToolHive's `groupRef` is the same.
    group: String,
    /// Served at `/mcp` too. The only virtual server always is.
    #[serde(default)]
    default: bool,
    /// Who may come in. It must be said, never assumed.
    incoming_auth: IncomingAuth,
    /// Under which address clients know it, such as `https://mcp.example.com`; `/<name>/mcp` is added to it. If absent, the one that they
    /// come by, over http.
    #[serde(default)]
    public_url: Option<String>,
    /// Names under which it may be addressed besides loopback and that of `public_url`; whoever is addressed otherwise hears 403.
    #[serde(default)]
    allowed_hosts: Option<Vec<String>>,
    /// What backends are shown.
    #[serde(default)]
    outgoing_auth: Option<OutgoingAuth>,
    /// How the catalog is made: names, conflicts, what is hidden and what is changed.
    #[serde(default)]
    aggregation: Option<Aggregation>,
    /// How it deals with backends that are slow, busy or gone.
    #[serde(default)]
    operational: Option<Operational>,
    /// Headers of clients that every backend gets, but for those that a workload's own `headers` say. `Authorization`, `Cookie` and what
    /// belongs to a connection cannot be among them.
    #[serde(default)]
    passthrough_headers: Option<Vec<String>>,
    /// What is recorded of requests; nothing if absent.
    #[serde(default)]
    audit: Option<Audit>,
    /// The group written inline, as ToolHive writes it. Empty, it is as if it were not there.
    #[serde(default)]
    backends: Option<Vec<InlineBackend>>,
}

/// How the catalog is made.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Aggregation {
    /// `prefix` puts the workload's name before the names of its tools and prompts. `priority` keeps names; one that several
    /// tools have is the first workload's in `priority_order`. `manual` keeps names; one that several tools have is withheld
    /// until `overrides` settle it.
    #[serde(default)]
    conflict_resolution: ConflictResolution,
    /// What the strategy needs.
    #[serde(default)]
    conflict_resolution_config: Option<ConflictResolutionConfig>,
    /// What holds for the tools of single workloads.
    #[serde(default)]
    tools: Option<Vec<ToolRules>>,
    /// No tool is listed. Hidden tools keep their names, and composite tools may use them.
    #[serde(default)]
    exclude_all_tools: bool,
    /// `deny` hides the tools of workloads that have no entry in `tools`.
    #[serde(default)]
    default_tool_visibility: ToolVisibility,
    /// Longer names of tools and prompts are cut to so many characters, the last eight of which are a hash of the whole name.
    /// Without it they stay, and are diagnosed beyond 64.
    #[serde(default)]
    #[schemars(range(min = 16, max = 128))]
    max_name_length: Option<u8>,
}

/// How conflicts of names are resolved.
#[derive(JsonSchema, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub(super) enum ConflictResolution {
    #[default]
    Prefix,
    Priority,
    Manual,
}

/// What the strategy needs.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ConflictResolutionConfig {
    /// What goes before names; `{workload}`, anywhere in it, stands for the workload's name. `priority` uses it for names that
    /// several workloads outside the order have, and like `manual` for prompts.
    #[serde(default = "prefix_format")]
    prefix_format: String,
    /// For `priority`: the first one first.
    #[serde(default)]
    #[schemars(length(min = 1))]
    priority_order: Option<Vec<String>>,
}

fn prefix_format() -> String {
    "{workload}_".to_owned()
}

/// Whether tools of workloads without rules are listed.
#[derive(JsonSchema, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToolVisibility {
    #[default]
    Allow,
    Deny,
}

/// What holds for the tools of one workload.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ToolRules {
    /// Whose tools these are.
    workload: String,
    /// Only these are listed: by the name that an override gives, else by the original name, without prefix.
    #[serde(default)]
    #[schemars(length(min = 1))]
    filter: Option<Vec<String>>,
    /// What is changed, by original name.
    #[serde(default)]
    overrides: Option<BTreeMap<String, Override>>,
    /// None is listed.
    #[serde(default)]
    exclude_all: bool,
}

/// What is changed of a tool; at least one of them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub(super) struct Override {
    /// Another name, before any prefix: 1 to 128 of `A-Za-z0-9_.-`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_.-]+$"))]
    name: Option<String>,
    /// Another description.
    #[serde(default)]
    description: Option<String>,
    /// Other annotations, each by itself.
    #[serde(default)]
    annotations: Option<Annotations>,
}

/// What a tool says of its behaviour (MCP, `ToolAnnotations`).
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Annotations {
    /// For people.
    #[serde(default)]
    title: Option<String>,
    /// It changes nothing.
    #[serde(default)]
    read_only_hint: Option<bool>,
    /// It may destroy something.
    #[serde(default)]
    destructive_hint: Option<bool>,
    /// Calling it twice is like calling it once.
    #[serde(default)]
    idempotent_hint: Option<bool>,
    /// It reaches beyond what the server knows.
    #[serde(default)]
    open_world_hint: Option<bool>,
}
