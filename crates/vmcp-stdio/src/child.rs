//! One process: started in a group of its own, and stopped with all that it has started.

use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use vmcp_core::desired::{Command, Text};
use vmcp_core::limits;

use crate::environment::Environment;
use crate::stderr::Secrets;

/// A running process with its three streams.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) stdin: ChildStdin,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
    /// What it was given that must not be told.
    pub(crate) secrets: Secrets,
}

/// A process and its group. Dropping it kills both.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Option<Pid>,
}

/// Starts a command.
pub(crate) fn start(command: &Command, environment: &Environment) -> std::io::Result<Started> {
    let mut starting = tokio::process::Command::new(&command.program);
    starting.env_clear().envs(environment.variables());
    let mut secrets = Secrets::default();
    let mut resolve = |text: &Text| {
        let whole = environment.resolve(text)?;
        if let Text::Secret { before, .. } = text {
            let secret = whole.to_string_lossy();
            secrets.0.push(secret.strip_prefix(before.as_str()).unwrap_or(&secret).to_owned());
        }
        Ok::<_, std::io::Error>(whole)
    };
    for argument in &command.arguments {
        starting.arg(resolve(argument)?);
    }
    for (name, value) in &command.environment {
        starting.env(name, resolve(value)?);
    }
    starting
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    // A program without a path is looked for in the child's own `PATH`.
    if let Some(folder) = &command.working_directory {
        starting.current_dir(folder);
    }
    let mut child = starting.spawn()?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let lost = || std::io::Error::other("a standard stream is missing");
    let stdin = child.stdin.take().ok_or_else(lost)?;
    let stdout = child.stdout.take().ok_or_else(lost)?;
    let stderr = child.stderr.take().ok_or_else(lost)?;
    Ok(Started { process: Process { child, group }, stdin, stdout, stderr, secrets })
}

impl Process {
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it has ended: how, in words.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => format!("could not be waited for: {error}"),
        }
    }

    /// After its input has been closed: waits, asks, and kills (MCP 2026-07-28, stdio, Shutdown).
    pub(crate) async fn stop(mut self) {
        for signal in [None, Some(Signal::SIGTERM)] {
            if let Some(signal) = signal {
                self.signal(signal);
            }
            if tokio::time::timeout(limits::CHILD_STOP_TIME, self.child.wait()).await.is_ok() {
                break;
            }
        }
        self.signal(Signal::SIGKILL);
        // It has been killed; all that is left is to collect it.
        let _ = self.child.wait().await;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // The group is gone already if nobody is left in it.
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
