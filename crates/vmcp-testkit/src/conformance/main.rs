//! `vmcp-conformance-server`: everything that the official conformance suite calls for, in both eras, on rmcp: a server that shares no
//! line with what it is to be compared with.

mod asking;
mod contents;
mod definitions;
mod fixture;
mod tasks;
mod telling;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;

use fixture::{Fixture, Shared};

/// Serves MCP at `/mcp` until it is killed.
#[derive(Debug, Parser)]
#[command(name = "vmcp-conformance-server")]
struct Arguments {
    /// Where it listens
    #[arg(long)]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen } = Arguments::parse();
    let shared = Arc::new(Shared::new());
    let service = StreamableHttpService::new(
        move || Ok(Fixture::new(shared.clone())),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default()
            .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*"]),
    );
    let router = axum::Router::new().route_service("/mcp", service);
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("could not listen on {listen}"))?;
    Ok(axum::serve(listener, router).await?)
}
