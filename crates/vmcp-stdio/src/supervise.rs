//! Keeps one workload's child running: starts it, waits for its end, and starts it again with growing pauses.

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use vmcp_core::desired::Command;
use vmcp_core::limits;
use vmcp_core::sentence::shown;
use vmcp_runtime::{Drain, jittered};

use crate::child::{self, Process, Started};
use crate::connection::Connection;
use crate::environment::Environment;
use crate::handshake::{Spoken, handshake};
use crate::stderr::Tail;

/// How a child is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChildStatus {
    /// What it is doing.
    pub state: ChildState,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// How often it has been started again.
    pub restarts: u64,
    /// How it last ended, or why it could not be started.
    pub last_exit: Option<String>,
    /// The last of what it wrote to standard error.
    pub stderr: String,
}

/// What a child is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildState {
    /// It has been started and has not answered yet.
    Starting,
    /// It answers.
    Running,
    /// It has ended and will be started again.
    Waiting,
    /// It has been stopped for good.
    Stopped,
}

/// A child that answers.
#[derive(Debug, Clone)]
pub(crate) struct Up {
    /// In which of its lives, counted from 1.
    pub(crate) life: u64,
    pub(crate) connection: Connection,
    pub(crate) spoken: Spoken,
}

/// What a supervisor tells.
#[derive(Debug)]
pub(crate) struct Tell {
    /// The child, while it answers.
    pub(crate) up: watch::Sender<Option<Up>>,
    /// How it is.
    pub(crate) status: watch::Sender<ChildStatus>,
    /// What it writes to standard error, over all its lives.
    pub(crate) stderr: Tail,
}

impl ChildStatus {
    pub(crate) fn new() -> Self {
        Self { state: ChildState::Starting, pid: None, restarts: 0, last_exit: None, stderr: String::new() }
    }
}

/// Runs until `drain` says to stop; then the child has ended too.
pub(crate) async fn run(command: Command, environment: Environment, tell: Tell, drain: Drain) {
    let mut wait = limits::RETRY_FIRST;
    for life in 1.. {
        let started_at = Instant::now();
        let ended = live(life, &command, &environment, &tell, &drain).await;
        tell.up.send_replace(None);
        if drain.is_stopped() {
            break;
        }
        tracing::warn!(program = command.program, ended, "a stdio child has ended");
        if started_at.elapsed() > limits::CHILD_START_TIME {
            wait = limits::RETRY_FIRST;
        }
        tell.status.send_modify(|status| {
            status.state = ChildState::Waiting;
            status.pid = None;
            status.last_exit = Some(ended);
        });
        tokio::select! {
            () = drain.stopped() => break,
            () = tokio::time::sleep(jittered(wait / 2, wait)) => {}
        }
        wait = (wait * 2).min(limits::RETRY_LONGEST);
        tell.status.send_modify(|status| {
            status.state = ChildState::Starting;
            status.restarts += 1;
        });
    }
    tell.status.send_modify(|status| {
        status.state = ChildState::Stopped;
        status.pid = None;
    });
}

/// One life of the child: how it ended.
async fn live(life: u64, command: &Command, environment: &Environment, tell: &Tell, drain: &Drain) -> String {
    let Started { mut process, stdin, stdout, stderr, secrets } = match child::start(command, environment) {
        Ok(started) => started,
        Err(error) => return format!("could not start `{}`: {error}", command.program),
    };
    tell.stderr.hide(secrets);
    let reading = tokio::spawn(tell.stderr.clone().fill(stderr));
    tell.status.send_modify(|status| status.pid = process.id());
    let connection = Connection::open(stdin, stdout);
    let ended = tokio::select! {
        ended = process.ended() => Some(ended),
        failed = greet(life, &connection, tell) => Some(failed),
        () = connection.ended() => Some(last_words(&mut process).await),
        () = drain.stopped() => None,
    };
    tell.up.send_replace(None);
    if ended.is_some() {
        connection.give_up();
    }
    // With the last clone its input is closed, which is how it is asked to end.
    drop(connection);
    process.stop().await;
    // What it wrote last is what explains its end.
    let _ = tokio::time::timeout(limits::CHILD_STOP_TIME, reading).await;
    // A child that refuses may say why at length.
    shown(&tell.stderr.without_secrets(&ended.unwrap_or_default()))
}

/// A child that closes its output is about to end, or is of no use any more.
async fn last_words(process: &mut Process) -> String {
    let ended = tokio::time::timeout(limits::CHILD_STOP_TIME, process.ended()).await;
    ended.unwrap_or_else(|_| "it closed its output, or wrote what cannot be read".to_owned())
}

/// Makes the child known when it answers; returns only if it does not.
async fn greet(life: u64, connection: &Connection, tell: &Tell) -> String {
    match handshake(connection).await {
        Ok(spoken) => {
            tell.status.send_modify(|status| status.state = ChildState::Running);
            tell.up.send_replace(Some(Up { life, connection: connection.clone(), spoken }));
            std::future::pending().await
        }
        Err(why) => why,
    }
}
