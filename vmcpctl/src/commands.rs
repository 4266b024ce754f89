//! One function per verb.

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::client::{apply, get, status};
use crate::demo;
use crate::manifests;
use crate::serve;
use crate::settings::{Cli, Demo, Operate, Output, Serve, Validate};
use crate::terminal::print_line;
use crate::toolhive;
use crate::validate;

/// The version on standard output.
pub(crate) fn version() -> anyhow::Result<ExitCode> {
    print_line(&format!("vmcpctl {}", env!("CARGO_PKG_VERSION")))?;
    Ok(ExitCode::SUCCESS)
}

/// The JSON Schema on standard output.
pub(crate) fn schema() -> anyhow::Result<ExitCode> {
    print_line(&serde_json::to_string_pretty(&vmcp_manifest::schema())?)?;
    Ok(ExitCode::SUCCESS)
}

/// A shell's completions on standard output.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vmcpctl", &mut script);
    print_line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Everything that is wrong, or how much is right.
pub(crate) fn validate(validate: Validate) -> anyhow::Result<ExitCode> {
    let manifests = manifests::read(&validate.manifests.config)?;
    let loaded = if validate.secrets_elsewhere {
        manifests::loaded(manifests)
    } else {
        manifests::loaded_here(manifests)
    };
    match loaded {
        Err(faults) => {
            faults.report(validate.output)?;
            Ok(ExitCode::from(1))
        }
        Ok(loaded) if validate.connect => {
            runtime()?.block_on(validate::connect(&loaded.desired, validate.output))
        }
        Ok(loaded) => validate::count(&loaded.desired, validate.output),
    }
}

/// Serves until the process is told to stop.
pub(crate) fn serve(serve: Serve) -> anyhow::Result<ExitCode> {
    let loaded = match &serve.group {
        Some(group) => {
            if !serve.host.is_loopback() {
                anyhow::bail!(
                    "`--group` lets everybody in, so it serves this machine alone: write a manifest to listen on {}",
                    serve.host
                );
            }
            // Nobody means a group that is not there.
            toolhive::look(group)?;
            manifests::loaded(toolhive::manifest(group, None)?.into())
        }
        None => manifests::load(&serve.config)?,
    };
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(faults) => {
            faults.report(Output::Table)?;
            return Ok(ExitCode::from(1));
        }
    };
    runtime()?.block_on(serve::run(serve, loaded))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks a control plane.
pub(crate) fn operate(operate: Operate) -> anyhow::Result<ExitCode> {
    runtime()?.block_on(async {
        match operate {
            Operate::Apply(apply) => apply::apply(apply).await,
            Operate::Diff(diff) => apply::diff(diff).await,
            Operate::Delete(delete) => apply::delete(delete).await,
            Operate::Rollback(rollback) => apply::rollback(rollback).await,
            Operate::Get(get) => get::get(get).await,
            Operate::Describe(describe) => get::describe(describe).await,
            Operate::Status(show) => status::show(show).await,
            Operate::History(history) => get::history(history).await,
        }
    })
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
