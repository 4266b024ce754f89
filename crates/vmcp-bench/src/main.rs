//! `vmcp-bench run`: the same requests straight to a neutral backend, through nginx and through us, each a process of its
//! own, in one run; throughput, latency, CPU per request and memory, as Markdown and JSON; and what a large catalog takes to resolve.

mod asking;
mod backend;
mod boundaries;
mod catalog;
mod driver;
mod flood;
mod isolation;
mod process;
mod report;
mod scenario;
mod targets;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Measures what a request costs on its way.
#[derive(Debug, Parser)]
#[command(name = "vmcp-bench")]
enum Cli {
    /// Run every scenario and write report.md and report.json
    Run(Run),
    /// Resolve one large catalog in this process and print what it took
    Catalog {
        /// Which
        case: catalog::Case,
    },
    /// Be a neutral MCP server that answers at once
    Backend {
        /// Where it listens
        #[arg(long)]
        listen: SocketAddr,
        /// Tools that it lists
        #[arg(long, default_value_t = 50)]
        tools: usize,
    },
}

/// What is measured.
#[derive(Debug, clap::Args)]
struct Run {
    /// The vmcpctl to measure; the one beside this program if absent
    #[arg(long)]
    vmcpctl: Option<PathBuf>,
    /// Measure this part alone
    #[arg(long)]
    only: Option<Part>,
    /// Seconds for each row
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections, kept alive
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Requests a second of the open loop
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// Folder for the report
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Exit with 1 if a target of the report is missed
    #[arg(long)]
    enforce: bool,
}

/// A part of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Large catalogs
    Catalogs,
    /// Calls and lists, straight and through proxies
    Requests,
    /// What one backend that hangs costs the others
    Isolation,
    /// What tokens, policies and records cost
    Boundaries,
    /// What a flood of tokens under unknown keys costs those who have real ones
    Flood,
}

impl Run {
    fn measures(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    match Cli::parse() {
        Cli::Backend { listen, tools } => runtime.block_on(backend::serve(listen, tools)),
        Cli::Catalog { case } => catalog::one(case),
        Cli::Run(run) => runtime.block_on(scenario::run(&run)),
    }
}
