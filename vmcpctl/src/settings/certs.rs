//! What is said to the small authority that makes certificates for those who have none.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vmcp_core::name::Name;

#[derive(Debug, Subcommand)]
pub(crate) enum Certs {
    /// Make an authority: a folder with its key, its certificate, and a file that says who may do what
    Init(InitAuthority),
    /// Make a certificate for a control plane
    ControlPlane {
        #[command(flatten)]
        issue: Issue,
        /// Under which name or address it is reached, or several
        #[arg(long, value_name = "HOST", required = true, num_args = 1..)]
        host: Vec<String>,
    },
    /// Make a certificate for a replica, or for several that are one to the control plane
    Replica {
        #[command(flatten)]
        issue: Issue,
    },
    /// Make a certificate for an operator
    Operator {
        #[command(flatten)]
        issue: Issue,
        /// What they may do
        #[arg(long, value_enum)]
        role: OperatorRole,
    },
    /// Revoke every certificate of that name; control planes end its connections within seconds
    Revoke {
        #[command(flatten)]
        whom: Whom,
    },
    /// List the certificates that were made
    List {
        #[command(flatten)]
        folder: Folder,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// The authority's folder
    #[arg(long, value_name = "DIR", default_value = "certs", env = "VMCP_CERTS_DIR")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct InitAuthority {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// What SPIFFE ids begin with
    #[arg(long, value_name = "DOMAIN", default_value = "vmcp.local")]
    pub(crate) trust_domain: Name,
}

#[derive(Debug, Args)]
pub(crate) struct Whom {
    /// Whose it is; files are called so
    pub(crate) name: Name,
    #[command(flatten)]
    pub(crate) folder: Folder,
}

#[derive(Debug, Args)]
pub(crate) struct Issue {
    #[command(flatten)]
    pub(crate) whom: Whom,
    /// Days for which it is good
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=3650))]
    pub(crate) days: i64,
}

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OperatorRole {
    /// Look at everything
    Read,
    /// Apply manifests, too
    Write,
    /// Delete and roll back, too
    Admin,
}

impl OperatorRole {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}
