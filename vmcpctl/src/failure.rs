//! What has exit codes of its own.

use std::process::ExitCode;

/// Nobody answers: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error(
    "could not reach the control plane at {server}: {why}\n\n  is it running? `vmcpctl context list` says where is asked, `--server URL` asks elsewhere"
)]
pub(crate) struct Unreachable {
    pub(crate) server: String,
    pub(crate) why: String,
}

/// What was asked for cannot be asked: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(pub(crate) String);

/// How an error ends the process.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(match () {
        () if error.is::<Unreachable>() => 3,
        () if error.is::<WrongUsage>() => 2,
        () => 1,
    })
}
