//! What an operator wants: virtual servers, groups and their workloads, whole and consistent.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use http::Uri;

use crate::name::Name;
use crate::prefix::PrefixFormat;

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
    /// How conflicts of names are resolved.
    pub conflict_resolution: ConflictResolution,
}

/// How conflicts of names are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictResolution {
    /// Each workload's name goes before the names of its tools and prompts.
    Prefix(PrefixFormat),
}

/// A named set of MCP servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Named by virtual servers.
    pub name: Name,
    /// By name.
    pub workloads: BTreeMap<Name, Address>,
}

/// Where a workload is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Its MCP endpoint over streamable HTTP.
    Url(Uri),
    /// A program that speaks MCP over standard input and output.
    Command(Command),
}

/// How a program is started. What its variables hold is not printed, since people put keys there.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// Its path, or its name to be found in `PATH`.
    pub program: String,
    /// What it is given.
    pub arguments: Vec<String>,
    /// Set besides the few variables that every child gets.
    pub environment: BTreeMap<String, String>,
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
