//! What is said to a control plane.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vmcp_core::name::Name;
use vmcp_runtime::{ConnectFiles, Shown};

use super::{Manifests, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Operate {
    /// Make manifests part of what a control plane serves
    Apply(Apply),
    /// Show what applying manifests would change: their lines, and the catalogs
    Diff(Diff),
    /// List virtual servers, groups, backends or replicas, or what one virtual server offers
    Get(Get),
    /// Show everything about one of them
    Describe(Describe),
    /// Take a virtual server or a group out
    Delete(Delete),
    /// Show how everything is
    Status(ShowStatus),
    /// List what was accepted
    History(History),
    /// Make everything what it was at a generation
    Rollback(Rollback),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Server {
    /// Control plane to ask [default: that of the context, or http://127.0.0.1:4490]
    #[arg(long, value_name = "URL", env = "VMCP_SERVER")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) shown: ServerFiles,
}

/// What TLS with a control plane goes by.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServerFiles {
    /// Authorities (PEM) by which its certificate must be
    #[arg(long, value_name = "FILE", env = "VMCP_SERVER_CA", requires_all = ["server_cert", "server_key"])]
    pub(crate) server_ca: Option<PathBuf>,
    /// Your certificate (PEM)
    #[arg(long, value_name = "FILE", env = "VMCP_SERVER_CERT", requires = "server_ca")]
    pub(crate) server_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", env = "VMCP_SERVER_KEY", requires = "server_ca")]
    pub(crate) server_key: Option<PathBuf>,
}

impl ServerFiles {
    /// All of them, or nothing: they come together.
    pub(crate) fn connect(&self) -> Option<ConnectFiles> {
        let shown = Shown { certificates: self.server_cert.clone()?, key: self.server_key.clone()? };
        Some(ConnectFiles { authorities: self.server_ca.clone()?, shown })
    }
}

/// How a change is made.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChangeOptions {
    /// Show what would change, and change nothing
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Wait until every replica that follows has answered; the answer is no if one of them rejects something
    #[arg(long)]
    pub(crate) wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "wait", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Change nothing unless the generation is this one
    #[arg(long, value_name = "GENERATION")]
    pub(crate) expect: Option<u64>,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Output::Table, env = "VMCP_OUTPUT")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) manifests: Manifests,
    /// Take out what is not in the manifests
    #[arg(long)]
    pub(crate) prune: bool,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) manifests: Manifests,
    /// As if what is not in the manifests were taken out
    #[arg(long)]
    pub(crate) prune: bool,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Output::Table, env = "VMCP_OUTPUT")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// What to list
    #[arg(value_enum)]
    pub(crate) subject: Subject,
    /// Only this one; for `catalog`, the virtual server
    pub(crate) name: Option<String>,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Output::Table, env = "VMCP_OUTPUT")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    #[value(alias = "virtual-server")]
    VirtualServers,
    #[value(alias = "group")]
    Groups,
    #[value(alias = "backend")]
    Backends,
    #[value(alias = "replica")]
    Replicas,
    /// What clients of a virtual server see
    Catalog,
}

#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// What it is
    #[arg(value_enum)]
    pub(crate) thing: Thing,
    /// Its name; a backend can be named with its group: `everyday/clock`
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// What can be described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thing {
    VirtualServer,
    Group,
    Backend,
    Replica,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// What it is
    #[arg(value_enum)]
    pub(crate) kind: DocumentKind,
    /// Its name
    pub(crate) name: Name,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// What can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentKind {
    VirtualServer,
    Group,
}

#[derive(Debug, Args)]
pub(crate) struct ShowStatus {
    /// Show it again whenever something changes
    #[arg(long)]
    pub(crate) watch: bool,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Output::Table, env = "VMCP_OUTPUT")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Output::Table, env = "VMCP_OUTPUT")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// What `vmcpctl history` calls it
    pub(crate) generation: u64,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List the contexts; the one in use is marked
    List,
    /// Remember a control plane under a name, and use it
    Set {
        /// What it is called
        name: Name,
        /// Its address
        #[arg(long, value_name = "URL")]
        server: String,
        #[command(flatten)]
        shown: ServerFiles,
    },
    /// Use another one
    Use {
        /// What it is called
        name: Name,
    },
    /// Forget one
    Delete {
        /// What it is called
        name: Name,
    },
}
