//! What is said on the command line or in `VMCP_…` variables.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use clap::builder::FalseyValueParser;

use crate::workloads::ToolHiveFolders;

/// The control plane of vmcp: asks backends what they offer and publishes catalogs to data planes
#[derive(Debug, Parser)]
#[command(name = "vmcp-control-plane", version, max_term_width = 100)]
pub(crate) struct Settings {
    /// Folder that keeps everything that outlives the process; made if it is not there
    #[arg(long, value_name = "DIR", env = "VMCP_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where vmcpctl asks (gRPC; on loopback only unless there is a certificate)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4490", env = "VMCP_API_LISTEN")]
    pub(crate) api_listen: SocketAddr,
    /// Where data planes follow (gRPC; on loopback only unless there is a certificate)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4491", env = "VMCP_PUBLISH_LISTEN")]
    pub(crate) publish_listen: SocketAddr,
    /// Certificate (PEM, with what leads to its authority) that operators and data planes see: with it gRPC is spoken over TLS, to those
    /// alone who show a certificate, too
    #[arg(long, value_name = "FILE", env = "VMCP_TLS_CERT", requires_all = ["tls_key", "tls_client_ca", "access"])]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, value_name = "FILE", env = "VMCP_TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Authorities (PEM) by which certificates of operators and data planes must be
    #[arg(long, value_name = "FILE", env = "VMCP_TLS_CLIENT_CA", requires = "tls_cert")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// List of revoked certificates (PEM); their connections end within seconds
    #[arg(long, value_name = "FILE", env = "VMCP_TLS_CRL", requires = "tls_cert")]
    pub(crate) tls_crl: Option<PathBuf>,
    /// File that says which certificates may do what
    #[arg(long, value_name = "FILE", env = "VMCP_ACCESS", requires = "tls_cert")]
    pub(crate) access: Option<PathBuf>,
    /// Where /livez, /readyz, /status and /metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4492", env = "VMCP_HTTP_LISTEN")]
    pub(crate) http_listen: SocketAddr,
    /// Number the next revision behind this one: once, when the data directory is new or an older copy, and replicas are not
    #[arg(long, value_name = "REVISION", env = "VMCP_CONTINUE_AFTER")]
    pub(crate) continue_after: Option<u64>,
    /// What to log, such as `info` or `warn,vmcp_mcp=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", env = "VMCP_LOG")]
    pub(crate) log: String,
    /// Log one JSON object a line
    #[arg(long, env = "VMCP_LOG_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) log_json: bool,
}

/// Where ToolHive keeps its files for whoever runs this process, by the rules that it goes by itself.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the environment")]
pub fn toolhive_folders() -> ToolHiveFolders {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let under = |variable: &str, linux: &str| {
        let usual = if cfg!(target_os = "macos") { "Library/Application Support" } else { linux };
        let folder = absolute(variable).or_else(|| Some(absolute("HOME")?.join(usual)))?;
        Some(folder.join("toolhive"))
    };
    ToolHiveFolders {
        state: under("XDG_STATE_HOME", ".local/state"),
        data: under("XDG_DATA_HOME", ".local/share"),
    }
}
