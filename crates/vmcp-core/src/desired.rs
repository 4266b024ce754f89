//! What an operator wants: virtual servers, groups and their workloads, whole and consistent.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use http::Uri;

use crate::aggregation::Aggregation;
use crate::name::Name;

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
    /// How its catalog is made.
    pub aggregation: Aggregation,
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
