//! How a program begins and ends.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;

/// Runs what a program does, and says what went wrong: in the log, or where there is none yet on standard error.
#[expect(clippy::print_stderr, reason = "where no logs are written yet")]
pub fn run_program(program: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome =
        runtime.context("could not start the runtime").and_then(|runtime| runtime.block_on(program));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if tracing::dispatcher::has_been_set() {
                tracing::error!("{error:#}");
            } else {
                eprintln!("error: {error:#}");
            }
            ExitCode::from(1)
        }
    }
}

/// Listens at an address, which `flag` sets.
///
/// # Errors
/// It is taken, or not of this machine.
pub async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("could not listen on {address}; choose another with {flag}"))
}
