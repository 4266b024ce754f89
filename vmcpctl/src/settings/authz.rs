//! What is said to those who want to know what policies say.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vmcp_core::name::Name;

use super::{Manifests, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Authz {
    /// Say whether somebody may do something, and by which policies
    Explain(Explain),
    /// Hold policies to a file of cases; the answer is no if one comes out otherwise
    Test(Test),
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) manifests: Manifests,
    /// Whose policies [default: those of the only virtual server that has some]
    #[arg(long, value_name = "NAME")]
    pub(crate) virtual_server: Option<Name>,
    /// Who: the subject of a token
    #[arg(long, value_name = "SUB")]
    pub(crate) principal: String,
    /// What else the token says: a text or JSON, such as `groups=["eng"]`; of `a,b` a list is made where groups are read
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub(crate) claims: Vec<String>,
    /// What is done
    #[arg(long, value_enum, default_value_t = Action::CallTool)]
    pub(crate) action: Action,
    /// With what: an exposed name, or a URI
    #[arg(long, value_name = "NAME")]
    pub(crate) item: String,
    /// Whose it is [default: what the prefix says, or with --connect the catalog]
    #[arg(long, value_name = "NAME")]
    pub(crate) backend: Option<Name>,
    /// The backend's own name for it [default: what stands behind the prefix]
    #[arg(long, value_name = "NAME")]
    pub(crate) original_name: Option<String>,
    /// What a tool says of itself, such as `readOnlyHint=true`
    #[arg(long = "hint", value_name = "NAME=BOOL")]
    pub(crate) hints: Vec<String>,
    /// What it is called with: a text or JSON
    #[arg(long = "argument", value_name = "NAME=VALUE")]
    pub(crate) arguments: Vec<String>,
    /// Ask the backends what they offer, and look the item up there
    #[arg(long)]
    pub(crate) connect: bool,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Output::Table, env = "VMCP_OUTPUT")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) manifests: Manifests,
    /// A YAML list of cases: `principal`, `claims`, `action`, `item`, `arguments`, `expect: allow` or `deny`; and where it takes more,
    /// `virtual_server`, `backend`, `original_name`, `hints`, `policies`
    pub(crate) cases: PathBuf,
    /// How to show it
    #[arg(short, long, value_enum, default_value_t = Output::Table, env = "VMCP_OUTPUT")]
    pub(crate) output: Output,
}

/// What is done with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Action {
    #[value(alias = "tools/call")]
    CallTool,
    #[value(alias = "resources/read")]
    ReadResource,
    #[value(alias = "prompts/get")]
    GetPrompt,
}

impl Action {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::CallTool => "call_tool",
            Self::ReadResource => "read_resource",
            Self::GetPrompt => "get_prompt",
        }
    }
}
