//! What is said on the command line or in `VMCP_…` variables. The only file that reads the environment.

mod authz;
mod certs;
mod operate;

use std::net::IpAddr;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use clap::builder::FalseyValueParser;
use clap::builder::styling::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use vmcp_core::name::Name;
use vmcp_stdio::Environment;

pub(crate) use authz::{Action, Authz, Explain, Test};
pub(crate) use certs::{Certs, Folder, InitAuthority, Issue, OperatorRole};
pub(crate) use operate::{
    Apply, ChangeOptions, ContextCommand, Delete, Describe, Diff, DocumentKind, Get, History, Operate,
    Rollback, Server, ServerFiles, ShowStatus, Subject, Thing,
};

/// For what went wrong.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
/// For what to look at.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// For what went well.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();
/// For what matters less.
pub(crate) const DIM: Style = Style::new().dimmed();

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// One URL for all your MCP servers.
#[derive(Debug, Parser)]
#[command(name = "vmcpctl", styles = STYLES, disable_version_flag = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the virtual servers of manifests: control plane, data plane and stdio workloads in one process
    Serve(Serve),
    /// Check manifests and say everything that is wrong with them
    Validate(Validate),
    /// Write a manifest with the servers of a client (Claude, Cursor, VS Code, Windsurf, Zed and others), or of a ToolHive group
    Init(Init),
    #[command(flatten)]
    Operate(Operate),
    /// Say which control plane commands speak to
    #[command(subcommand)]
    Context(ContextCommand),
    /// Ask what policies say, and hold them to cases
    #[command(subcommand)]
    Authz(Authz),
    /// Make certificates for the control channel, for those who have no authority of their own
    #[command(subcommand)]
    Certs(Certs),
    /// Print the JSON Schema of manifests, for editors
    Schema,
    /// Print what makes a shell complete the commands of vmcpctl
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the version
    Version,
    /// Run one of three small MCP servers over standard input and output
    #[command(subcommand)]
    Demo(Demo),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Manifests {
    /// Manifest to read, or several
    #[arg(
        short = 'f',
        long = "config",
        value_name = "FILE",
        required = true,
        env = "VMCP_CONFIG",
        num_args = 1..
    )]
    pub(crate) config: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Manifest to read, or several
    #[arg(
        short = 'f',
        long = "config",
        value_name = "FILE",
        required_unless_present = "group",
        env = "VMCP_CONFIG",
        num_args = 1..
    )]
    pub(crate) config: Vec<PathBuf>,
    /// Serve a ToolHive group in place of manifests: to this machine alone and to everybody on it
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Address on which MCP clients come in
    #[arg(long, default_value = "127.0.0.1", env = "VMCP_HOST")]
    pub(crate) host: IpAddr,
    /// Port on which MCP clients come in; 0 takes a free one
    #[arg(long, default_value_t = 4483, env = "VMCP_PORT")]
    pub(crate) port: u16,
    /// Certificate (PEM) that MCP clients see: with it they are spoken to over TLS alone
    #[arg(long, value_name = "FILE", env = "VMCP_TLS_CERT", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, value_name = "FILE", env = "VMCP_TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Port of /livez, /readyz, /status and /metrics, on loopback; 0 takes a free one
    #[arg(long, default_value_t = 4484, env = "VMCP_ADMIN_PORT")]
    pub(crate) admin_port: u16,
    /// What to log, such as `info` or `warn,vmcp_mcp=debug` [default: info, or on a terminal error, with a live summary]
    #[arg(long, value_name = "FILTER", env = "VMCP_LOG")]
    pub(crate) log: Option<String>,
    /// Log one JSON object a line
    #[arg(long, env = "VMCP_LOG_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) log_json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) manifests: Manifests,
    /// Ask the backends, too, starting those that are programs, and show the catalog: every item, what it is called and why
    #[arg(long, env = "VMCP_CONNECT", value_parser = FalseyValueParser::new())]
    pub(crate) connect: bool,
    /// Do not look for the variables and files that the manifests refer to: they are those of another machine
    #[arg(long, env = "VMCP_SECRETS_ELSEWHERE", value_parser = FalseyValueParser::new())]
    pub(crate) secrets_elsewhere: bool,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Output::Table, env = "VMCP_OUTPUT")]
    pub(crate) output: Output,
}

/// How data are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The client's file, in which its servers stand under `mcpServers`, `servers` or `context_servers`
    #[arg(long, value_name = "FILE", env = "VMCP_FROM", required_unless_present = "group")]
    pub(crate) from: Option<PathBuf>,
    /// The ToolHive group that is presented, as it comes and goes
    #[arg(short, long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// What the virtual server and its group are called [default: `mine`, or as ToolHive calls the group]
    #[arg(long, env = "VMCP_NAME")]
    pub(crate) name: Option<Name>,
    /// Where the manifest is written; standard output without it. A file that is there already is left alone
    #[arg(short, long, value_name = "FILE", env = "VMCP_MANIFEST")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Demo {
    /// Time in any time zone
    Clock,
    /// A notes store with tools, resources, templates and prompts
    Notes {
        /// Folder that keeps the notes; in memory without it
        #[arg(long, value_name = "DIR", env = "VMCP_DEMO_NOTES_DIR")]
        dir: Option<PathBuf>,
    },
    /// A reader over one folder
    Files {
        /// The folder
        #[arg(long, value_name = "DIR", default_value = ".", env = "VMCP_DEMO_FILES_DIR")]
        dir: PathBuf,
    },
}

/// What children of this process inherit: what they need to find programs and a home, and this program's own folder to
/// look in, so that a workload can be one of its demo servers.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the environment")]
pub(crate) fn environment() -> Environment {
    let own_program = std::env::current_exe().ok();
    Environment::inherit(std::env::vars_os(), own_program.as_deref().and_then(|program| program.parent()))
}

/// Where what a person prefers is kept: `$XDG_CONFIG_HOME/vmcpctl`, else `~/.config/vmcpctl`.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the environment")]
pub(crate) fn preferences() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(folder.join("vmcpctl"))
}
