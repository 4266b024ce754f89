//! What is said on the command line or in `VMCP_…` variables.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use clap::builder::FalseyValueParser;
use vmcp_core::name::Name;

/// The data plane of vmcp: serves MCP clients from what a control plane publishes
#[derive(Debug, Parser)]
#[command(name = "vmcp-data-plane", version, max_term_width = 100)]
pub(crate) struct Settings {
    /// Control plane to follow, or several, of which one is followed at a time (gRPC; `https://` unless it is on this machine)
    #[arg(long, value_name = "URL", required = true, num_args = 1.., env = "VMCP_CONTROL_PLANE", value_delimiter = ',')]
    pub(crate) control_plane: Vec<String>,
    /// Authorities (PEM) by which the certificate of a control plane must be
    #[arg(long, value_name = "FILE", env = "VMCP_CONTROL_PLANE_CA", requires_all = ["control_plane_cert", "control_plane_key"])]
    pub(crate) control_plane_ca: Option<PathBuf>,
    /// Certificate (PEM) that a control plane sees
    #[arg(long, value_name = "FILE", env = "VMCP_CONTROL_PLANE_CERT", requires = "control_plane_ca")]
    pub(crate) control_plane_cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, value_name = "FILE", env = "VMCP_CONTROL_PLANE_KEY", requires = "control_plane_ca")]
    pub(crate) control_plane_key: Option<PathBuf>,
    /// Where MCP clients come in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4483", env = "VMCP_LISTEN")]
    pub(crate) listen: SocketAddr,
    /// Certificate (PEM) that MCP clients see: with it they are spoken to over TLS alone
    #[arg(long, value_name = "FILE", env = "VMCP_TLS_CERT", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, value_name = "FILE", env = "VMCP_TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where /livez, /readyz, /status and /metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4484", env = "VMCP_ADMIN_LISTEN")]
    pub(crate) admin_listen: SocketAddr,
    /// Folder that keeps what is served, so that a start needs no control plane; made if it is not there
    #[arg(long, value_name = "DIR", env = "VMCP_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// What this replica is called in the fleet [default: one that the state directory keeps, or a new one]
    #[arg(long, value_name = "NAME", env = "VMCP_REPLICA_ID")]
    pub(crate) replica_id: Option<Name>,
    /// Serve only this virtual server, or these
    #[arg(long, value_name = "NAME", num_args = 1.., env = "VMCP_VIRTUAL_SERVER", value_delimiter = ',')]
    pub(crate) virtual_server: Vec<Name>,
    /// File with a key a line, each of at least 32 random characters, the same for all replicas: the first seals session ids, so that a
    /// session that began on one goes on at the others, and all open them [default: a key of this process alone]
    #[arg(long, value_name = "FILE", env = "VMCP_SESSION_KEY_FILE")]
    pub(crate) session_key_file: Option<PathBuf>,
    /// Seconds in which it goes on to serve after it was told to stop and says that it is not ready, so that load balancers notice
    #[arg(long, value_name = "SECONDS", default_value_t = 5, env = "VMCP_STOP_DELAY")]
    pub(crate) stop_delay: u64,
    /// What to log, such as `info` or `warn,vmcp_mcp=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", env = "VMCP_LOG")]
    pub(crate) log: String,
    /// Log one JSON object a line
    #[arg(long, env = "VMCP_LOG_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) log_json: bool,
}
