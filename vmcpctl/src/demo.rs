//! Three small MCP servers, so that there is something to aggregate on a machine that has nothing else.

mod clock;
mod files;
mod notes;

use anyhow::Context;
use rmcp::{ServerHandler, ServiceExt, transport};

pub(crate) use clock::Clock;
pub(crate) use files::Files;
pub(crate) use notes::Notes;

/// Serves over standard input and output until the input ends.
pub(crate) async fn serve(server: impl ServerHandler) -> anyhow::Result<()> {
    let running = server.serve(transport::stdio()).await.context("could not begin to serve")?;
    running.waiting().await.context("could not go on serving")?;
    Ok(())
}
