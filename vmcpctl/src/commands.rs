//! One function per verb.

use std::process::ExitCode;

use anyhow::Context;

use crate::demo;
use crate::manifests;
use crate::serve;
use crate::settings::{Demo, Serve, Validate};

/// The version on standard output.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(crate) fn version() -> anyhow::Result<ExitCode> {
    println!("vmcpctl {}", env!("CARGO_PKG_VERSION"));
    Ok(ExitCode::SUCCESS)
}

/// Everything that is wrong, or how much is right.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(crate) fn validate(validate: &Validate) -> anyhow::Result<ExitCode> {
    match manifests::load(&validate.manifests.config)? {
        Ok(desired) => {
            let workloads: usize = desired.groups.values().map(|group| group.workloads.len()).sum();
            let (servers, groups) = (desired.virtual_servers.len(), desired.groups.len());
            println!("good: virtual servers {servers}, groups {groups}, workloads {workloads}");
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => {
            faults.report();
            Ok(ExitCode::from(1))
        }
    }
}

/// Serves until the process is told to stop.
pub(crate) fn serve(serve: Serve) -> anyhow::Result<ExitCode> {
    let desired = match manifests::load(&serve.manifests.config)? {
        Ok(desired) => desired,
        Err(faults) => {
            faults.report();
            return Ok(ExitCode::from(1));
        }
    };
    runtime()?.block_on(serve::run(serve, desired))?;
    Ok(ExitCode::SUCCESS)
}

/// Serves one demo over standard input and output.
pub(crate) fn demo(demo: Demo) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    match demo {
        Demo::Clock => runtime.block_on(demo::serve(demo::Clock::new())),
        Demo::Notes { dir } => runtime.block_on(demo::serve(demo::Notes::open(dir)?)),
        Demo::Files { dir } => runtime.block_on(demo::serve(demo::Files::open(&dir)?)),
    }?;
    // Standard input is read by a thread that nothing can wake.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("could not start the runtime")
}
