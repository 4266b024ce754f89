//! `vmcpctl`: validates manifests and serves both planes in one process. A library, so that the stories in `tests/` can
//! run it as a process of their own.

mod authz;
mod certs;
mod client;
mod commands;
mod context;
mod demo;
mod failure;
mod init;
mod manifests;
mod serve;
mod settings;
mod table;
mod terminal;
mod toolhive;
mod validate;

use std::process::ExitCode;

use clap::Parser;

use settings::{Cli, Command};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Serve(serve) => commands::serve(serve),
        Command::Validate(validate) => commands::validate(validate),
        Command::Init(init) => init::run(&init),
        Command::Operate(operate) => commands::operate(operate),
        Command::Context(command) => context::run(command),
        Command::Authz(command) => authz::run(command),
        Command::Certs(command) => certs::run(command),
        Command::Schema => commands::schema(),
        Command::Completions { shell } => commands::completions(shell),
        Command::Version => commands::version(),
        Command::Demo(demo) => commands::demo(demo),
    };
    outcome.unwrap_or_else(|error| {
        anstream::eprintln!("{}error{}: {error:#}", settings::RED.render(), settings::RED.render_reset());
        failure::exit_code(&error)
    })
}
