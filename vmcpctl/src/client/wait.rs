//! Waiting for the fleet: how far a generation has come, and what came of it.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;
use vmcp_proto::v1;

use crate::client::Client;
use crate::client::status::tell_diagnostics;
use crate::settings::{DIM, GREEN, Output, RED, YELLOW};
use crate::terminal::legible;

/// What to wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) generation: u64,
    pub(crate) seconds: u64,
}

/// Waits until every replica that follows serves the first revision of the generation in which every backend was asked. The answer is
/// no if one of them rejects a part, or if it takes too long.
pub(crate) async fn wait(mut client: Client, wait: Wait, output: Output) -> anyhow::Result<ExitCode> {
    let watched = client.control.watch(v1::WatchRequest {}).await;
    let mut states = client.answered(watched)?;
    let deadline = Instant::now() + Duration::from_secs(wait.seconds);
    let mut told = String::new();
    let mut last = String::from("nothing has been heard");
    loop {
        let until = deadline.min(Instant::now() + LOOK_AGAIN);
        let message = match tokio::time::timeout_at(until, states.message()).await {
            // Time alone changes who is still expected.
            Err(_) if Instant::now() < deadline => {
                let asked = client.control.get_status(v1::GetStatusRequest {});
                match tokio::time::timeout_at(deadline, asked).await {
                    Ok(answer) => Ok(Ok(Some(client.answered(answer)?))),
                    Err(late) => Err(late),
                }
            }
            message => message,
        };
        let state = match message {
            Ok(Ok(Some(state))) => state,
            Ok(Ok(None)) => return Err(client.stopped()),
            Ok(Err(status)) => return Err(client.explain(&status)),
            Err(_) => {
                clear(&told);
                anstream::eprintln!("{RED}error{RED:#}: not done after {} s: {last}", wait.seconds);
                return Ok(ExitCode::from(1));
            }
        };
        match progress(&state, wait.generation) {
            Progress::Waiting(why) => {
                tell(&mut told, &why);
                last = why;
            }
            Progress::Done => {
                clear(&told);
                return finish(&state, output);
            }
        }
    }
}

/// How often it is looked whether anything is still expected.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

enum Progress {
    Waiting(String),
    Done,
}

fn progress(state: &v1::Status, generation: u64) -> Progress {
    if let Some(error) = &state.error {
        return Progress::Waiting(format!("nothing is published: {}", legible(error)));
    }
    if state.settled_generation < generation {
        let waiting: Vec<&str> = state
            .backends
            .iter()
            .filter(|backend| backend.health == "unknown")
            .map(|backend| backend.name.as_str())
            .collect();
        return Progress::Waiting(match waiting.len() {
            0 => "compiling".to_owned(),
            1..=5 => format!("asking {}", waiting.join(", ")),
            more => format!("asking {more} backends"),
        });
    }
    // Those that were lost a moment ago come back, and may have gone because of this very revision.
    let is_expected = |replica: &&v1::ReplicaStatus| {
        replica.stuck.is_none() && (replica.connected || replica.since_ms < COMING_BACK_MS)
    };
    let expected: Vec<_> = state.replicas.iter().filter(is_expected).collect();
    let is_behind = |replica: &&&v1::ReplicaStatus| {
        !replica.connected || !replica.answered || replica.revision < state.settled_revision
    };
    let behind: Vec<&str> = expected.iter().filter(is_behind).map(|replica| replica.id.as_str()).collect();
    match behind.len() {
        0 if state.returning_ms > 0 => {
            Progress::Waiting("the control plane has just started; replicas are coming back".to_owned())
        }
        0 => Progress::Done,
        count => Progress::Waiting(format!(
            "{} of {} replicas have answered; waiting for {}",
            expected.len() - count,
            expected.len(),
            behind.join(", ")
        )),
    }
}

/// By then every replica is back that has lost its control plane, or another one.
const COMING_BACK_MS: u64 = 10_000;

fn finish(state: &v1::Status, output: Output) -> anyhow::Result<ExitCode> {
    let mut is_good = true;
    // What others have said who are gone is no answer to this.
    for replica in state.replicas.iter().filter(|replica| replica.connected) {
        for rejected in &replica.rejected {
            is_good = false;
            let (part, reason) = (legible(&rejected.part), legible(&rejected.reason));
            anstream::eprintln!("{RED}error{RED:#}: replica `{}` rejects {part}: {reason}", replica.id);
        }
        for held_back in &replica.held_back {
            let where_it_is = match held_back.revision {
                0 => "not served there".to_owned(),
                revision => format!("held there at revision {revision}"),
            };
            anstream::eprintln!("  virtual server `{}` is {where_it_is}", held_back.virtual_server);
        }
        if let Some(stuck) = &replica.stuck {
            is_good = false;
            anstream::eprintln!(
                "{RED}error{RED:#}: replica `{}` does not follow: {}",
                replica.id,
                legible(stuck)
            );
        }
    }
    for backend in &state.backends {
        if let Some(error) = &backend.last_error {
            let (name, error) = (legible(&backend.name), legible(error));
            anstream::eprintln!("{YELLOW}warning{YELLOW:#}: backend `{name}` did not answer: {error}");
        }
    }
    tell_diagnostics(&state.diagnostics);
    let away: Vec<&str> = state
        .replicas
        .iter()
        .filter(|replica| !replica.connected)
        .map(|replica| replica.id.as_str())
        .collect();
    if !away.is_empty() {
        anstream::eprintln!("{YELLOW}warning{YELLOW:#}: away, and not waited for: {}", away.join(", "));
    }
    let following = state.replicas.iter().filter(|replica| replica.connected).count();
    if output == Output::Table && is_good {
        let words = match following {
            0 => "and no replica follows yet".to_owned(),
            1 => "1 replica serves it".to_owned(),
            count => format!("{count} replicas serve it"),
        };
        let style = if following == 0 { YELLOW } else { GREEN };
        anstream::eprintln!("{style}done{style:#}: revision {}, {words}", state.settled_revision);
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// One line that is written over on a terminal; elsewhere each state once.
fn tell(told: &mut String, words: &str) {
    if told == words {
        return;
    }
    clear(told);
    if std::io::stderr().is_terminal() {
        anstream::eprint!("{DIM}{words} …{DIM:#}");
    } else {
        anstream::eprintln!("{words}");
    }
    words.clone_into(told);
}

fn clear(told: &str) {
    if !told.is_empty() && std::io::stderr().is_terminal() {
        anstream::eprint!("\r\x1b[2K");
    }
}
