//! A change as people see it: what is different, line by line and item by item, and how far it has come.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};
use tokio::time::Instant;
use vmcp_proto::v1;

use crate::client::Client;
use crate::settings::{DIM, GREEN, Output, RED, YELLOW};
use crate::terminal::legible;

const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const BOLD: Style = Style::new().bold();
/// Lines around a change.
const CONTEXT: usize = 3;
/// Items of a catalog that are shown; `-o json` has them all.
const SHOWN: usize = 200;

/// What was changed, in a few lines.
pub(crate) fn summary(response: &v1::ChangeResponse) -> String {
    let mut text = String::new();
    for change in &response.changes {
        line(&mut text, &format!("{} {}", verb(change), subject(change)));
    }
    match response.changes.len() {
        0 => line(&mut text, &format!("nothing has changed: generation {}", response.generation)),
        _ => line(&mut text, &format!("generation {}", response.generation)),
    }
    text
}

/// What would change: the lines of documents, and the items of catalogs.
pub(crate) fn plan(response: &v1::ChangeResponse) -> String {
    let mut text = String::new();
    if response.changes.is_empty() {
        line(&mut text, &format!("nothing would change: generation {}", response.generation));
        return text;
    }
    for change in &response.changes {
        line(&mut text, &format!("{BOLD}{} {}{BOLD:#}", would(change), subject(change)));
        lines(&mut text, change.before.as_deref().unwrap_or(""), change.after.as_deref().unwrap_or(""));
    }
    catalogs(&mut text, response);
    if !response.not_asked.is_empty() {
        let names: Vec<String> =
            response.not_asked.iter().map(|name| format!("`{}`", legible(name))).collect();
        line(
            &mut text,
            &format!("\nnot asked yet, so that what they offer is not shown: {}", names.join(", ")),
        );
    }
    text
}

fn lines(text: &mut String, before: &str, after: &str) {
    let diff = TextDiff::from_lines(before, after);
    for group in diff.grouped_ops(CONTEXT) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ('-', REMOVED),
                ChangeTag::Insert => ('+', ADDED),
                ChangeTag::Equal => (' ', DIM),
            };
            // Indentation stays; what a terminal would obey does not.
            let words = legible(change.value().trim_end_matches(['\n', '\r']));
            line(text, &format!("  {style}{sign} {words}{style:#}"));
        }
    }
}

fn catalogs(text: &mut String, response: &v1::ChangeResponse) {
    let servers: BTreeSet<&str> =
        response.catalog.iter().map(|change| change.virtual_server.as_str()).collect();
    for server in servers {
        let changes: Vec<_> =
            response.catalog.iter().filter(|change| change.virtual_server == server).collect();
        line(text, &format!("\n{BOLD}clients of `{server}` would see{BOLD:#}"));
        for change in changes.iter().take(SHOWN) {
            let (style, words) = described(change);
            line(text, &format!("  {style}{}{style:#}", legible(&words)));
        }
        if let Some(more) = changes.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            line(text, &format!("  and {more} more changes: see `-o json`"));
        }
    }
    if response.catalog.is_empty() {
        line(text, "\nno catalog would change");
    }
}

fn described(change: &v1::CatalogChange) -> (Style, String) {
    let v1::CatalogChange { kind, exposed_name, backend, .. } = change;
    match (change.change.as_str(), &change.former_name) {
        ("added", _) => (ADDED, format!("+ {kind} {exposed_name}  of {backend}")),
        ("removed", _) => (REMOVED, format!("- {kind} {exposed_name}  of {backend}")),
        ("renamed", Some(former)) => {
            (YELLOW, format!("~ {kind} {former} is called {exposed_name}  of {backend}"))
        }
        (other, _) => (YELLOW, format!("~ {kind} {exposed_name} is {other}  of {backend}")),
    }
}

fn subject(change: &v1::DocumentChange) -> String {
    format!("{} `{}`", change.kind.replace('_', " "), change.name)
}

fn verb(change: &v1::DocumentChange) -> &'static str {
    match (&change.before, &change.after) {
        (None, _) => "created",
        (_, None) => "deleted",
        _ => "changed",
    }
}

fn would(change: &v1::DocumentChange) -> &'static str {
    match (&change.before, &change.after) {
        (None, _) => "would create",
        (_, None) => "would delete",
        _ => "would change",
    }
}

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
                let answer = client.control.get_status(v1::GetStatusRequest {}).await;
                Ok(Ok(Some(client.answered(answer)?)))
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
    for replica in &state.replicas {
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
    let away = state.replicas.iter().filter(|replica| !replica.connected).count();
    if away > 0 {
        anstream::eprintln!("{YELLOW}warning{YELLOW:#}: {away} replicas are away, and were not waited for");
    }
    let following = state.replicas.iter().filter(|replica| replica.connected).count();
    if output == Output::Table && is_good {
        let words = if following == 1 {
            "1 replica serves it".to_owned()
        } else {
            format!("{following} replicas serve it")
        };
        anstream::eprintln!("{GREEN}done{GREEN:#}: revision {}, {words}", state.settled_revision);
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

fn line(text: &mut String, words: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{words}");
}
