//! What an operator wants of a virtual server's catalog: how names are made, what is hidden, what is changed.

use std::collections::BTreeMap;

use crate::name::Name;
use crate::prefix::PrefixFormat;
use crate::tool_name::{NameLength, ToolName};
use crate::written::Line;

/// The `aggregation` of a virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aggregation {
    /// How conflicts of names are resolved.
    pub conflict_resolution: ConflictResolution,
    /// What goes before names wherever the strategy wants something there.
    pub prefix_format: PrefixFormat,
    /// Longer names are shortened to it; absent, they are only diagnosed.
    pub max_name_length: Option<NameLength>,
    /// `exclude_all_tools: true`: no tool is listed.
    pub exclude_all_tools: Option<Line>,
    /// `default_tool_visibility: deny`: tools of workloads without rules are not listed.
    pub deny_by_default: Option<Line>,
    /// What holds for the tools of single workloads.
    pub tools: BTreeMap<Name, ToolRules>,
}

/// How conflicts of names are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConflictResolution {
    /// Each workload's name goes before the names of its tools and prompts.
    #[default]
    Prefix,
    /// Names stay; of several claimants the first in this order gets a name.
    Priority(Vec<Name>),
    /// Names stay; a name that several claim is withheld until overrides settle it.
    Manual,
}

/// One entry of `aggregation.tools`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolRules {
    /// Where the entry begins.
    pub line: Line,
    /// Only these are listed; if there is none, all are.
    pub filter: Vec<Filter>,
    /// By the backend's own name.
    pub overrides: BTreeMap<String, Override>,
    /// `exclude_all: true`: no tool of the workload is listed.
    pub exclude_all: Option<Line>,
}

/// A tool that may be listed: by the name that an override gives it, else by its original name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub line: Line,
}

/// What is changed of a tool. Absent members stay as the backend wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Where it stands.
    pub line: Line,
    /// Another name, before any prefix.
    pub name: Option<ToolName>,
    /// Another description.
    pub description: Option<String>,
    /// Other annotations, each by itself.
    pub annotations: Annotations,
}

/// MCP 2025-11-25, Schema, `ToolAnnotations`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub struct Annotations {
    pub title: Option<String>,
    pub read_only_hint: Option<bool>,
    pub destructive_hint: Option<bool>,
    pub idempotent_hint: Option<bool>,
    pub open_world_hint: Option<bool>,
}

impl Annotations {
    /// Those that are set, each with its name in MCP and its value in JSON.
    pub fn set(&self) -> impl Iterator<Item = (&'static str, String)> {
        let title = self.title.as_deref().map(|title| ("title", vmcp_json::quote(title)));
        let hints = [
            ("readOnlyHint", self.read_only_hint),
            ("destructiveHint", self.destructive_hint),
            ("idempotentHint", self.idempotent_hint),
            ("openWorldHint", self.open_world_hint),
        ];
        title.into_iter().chain(hints.into_iter().filter_map(|(name, hint)| Some((name, hint?.to_string()))))
    }
}
