//! How everything is, as tables.

use std::fmt::Write;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::Style;
use serde_json::Value;
use vmcp_proto::v1;

use crate::client::Client;
use crate::settings::{DIM, Output, RED, ShowStatus, YELLOW};
use crate::table::Table;
use crate::terminal::{Lines, legible, print_line, terminal_width};

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().bold();

/// Once, or again whenever something has changed.
pub(crate) async fn show(show: ShowStatus) -> anyhow::Result<ExitCode> {
    let ShowStatus { watch, output, server } = show;
    let mut client = Client::connect(&server).await?;
    if !watch {
        let answer = client.control.get_status(v1::GetStatusRequest {}).await;
        print(&client.answered(answer)?, output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let watched = client.control.watch(v1::WatchRequest {}).await;
    let mut states = client.answered(watched)?;
    let is_terminal = std::io::stdout().is_terminal();
    let mut out = Lines::default();
    loop {
        match states.message().await {
            Ok(Some(state)) => {
                if is_terminal && output == Output::Table {
                    // The page from its beginning.
                    anstream::print!("\x1b[H\x1b[2J");
                }
                match output {
                    // One a line, for whoever reads them as they come.
                    Output::Json => out.line(&serde_json::to_string(&state)?)?,
                    Output::Table => {
                        out.line(page(&state).trim_end())?;
                        tell_diagnostics(&state.diagnostics);
                        out.line("")?;
                    }
                }
                if out.is_closed() {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            Ok(None) => return Err(client.stopped()),
            Err(status) => return Err(client.explain(&status)),
        }
    }
}

fn print(status: &v1::Status, output: Output) -> anyhow::Result<()> {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(status)?,
        Output::Table => page(status),
    };
    print_line(text.trim_end())?;
    if output == Output::Table {
        tell_diagnostics(&status.diagnostics);
    }
    Ok(())
}

fn page(status: &v1::Status) -> String {
    let width = terminal_width();
    let mut text = format!(
        "generation {}, revision {}, control plane {}\n",
        status.generation, status.revision, status.version
    );
    if let Some(error) = &status.error {
        line(&mut text, &format!("{RED}nothing new is published{RED:#}: {}", legible(error)));
    }
    let servers: Vec<_> = status.virtual_servers.iter().collect();
    let backends: Vec<_> = status.backends.iter().collect();
    let members: Vec<_> = status.replicas.iter().collect();
    for (title, table) in [
        ("virtual servers", virtual_servers(&servers)),
        ("backends", self::backends(&backends)),
        ("replicas", replicas(&members, status)),
    ] {
        line(&mut text, &format!("\n{BOLD}{title}{BOLD:#}"));
        match table.is_empty() {
            true => line(&mut text, &format!("{DIM}none{DIM:#}")),
            false => text += &table.render(width),
        }
    }
    for replica in status.replicas.iter().filter(|replica| replica.connected) {
        for rejected in &replica.rejected {
            let (part, reason) = (legible(&rejected.part), legible(&rejected.reason));
            line(&mut text, &format!("{RED}{} rejects {part}{RED:#}: {reason}", replica.id));
        }
        for held_back in &replica.held_back {
            let (server, revision) = (&held_back.virtual_server, held_back.revision);
            line(&mut text, &format!("{RED}{} holds `{server}` at revision {revision}{RED:#}", replica.id));
        }
        let troubles = [&replica.stuck, &replica.spill_error];
        for trouble in troubles.into_iter().flatten() {
            line(&mut text, &format!("{RED}{}{RED:#}: {}", replica.id, legible(trouble)));
        }
    }
    text
}

/// Virtual servers, and how much each offers.
pub(crate) fn virtual_servers(servers: &[&v1::VirtualServerStatus]) -> Table {
    let mut table = Table::new(&["NAME", "GROUP", "TOOLS", "RESOURCES", "TEMPLATES", "PROMPTS", "DEFAULT"]);
    for server in servers {
        let counts = [server.tools, server.resources, server.resource_templates, server.prompts];
        let mut cells = vec![server.name.clone(), server.group.clone()];
        cells.extend(counts.map(|count| count.to_string()));
        cells.push(if server.default { "yes" } else { "" }.to_owned());
        table.row(PLAIN, cells);
    }
    table
}

/// Backends, and how each is.
pub(crate) fn backends(backends: &[&v1::BackendStatus]) -> Table {
    let mut table = Table::new(&["NAME", "GROUP", "HEALTH", "TOOLS", "ERAS", "LAST ERROR"]);
    for backend in backends {
        let style = match backend.health.as_str() {
            "healthy" => PLAIN,
            "unhealthy" => RED,
            _ => YELLOW,
        };
        let health =
            if backend.stale { format!("{}, stale", backend.health) } else { backend.health.clone() };
        let tools = backend.counts.as_ref().map(|counts| counts.tools.to_string()).unwrap_or_default();
        let error = backend.last_error.clone().unwrap_or_default();
        table.row(
            style,
            vec![backend.name.clone(), backend.group.clone(), health, tools, backend.eras.join(", "), error],
        );
    }
    table
}

/// Replicas, and how far each is.
pub(crate) fn replicas(replicas: &[&v1::ReplicaStatus], status: &v1::Status) -> Table {
    let mut table =
        Table::new(&["NAME", "STATE", "REVISION", "GENERATION", "VERSION", "REQUESTS", "SENT", "SINCE"]);
    for replica in replicas {
        let is_troubled = !replica.rejected.is_empty() || replica.stuck.is_some();
        let (style, state) = match (replica.connected, is_troubled) {
            (false, _) => (YELLOW, "away"),
            (true, true) if replica.stuck.is_some() => (RED, "stuck"),
            (true, true) => (RED, "rejects"),
            (true, false) if replica.revision > status.revision => (YELLOW, "ahead"),
            (true, false) if replica.revision < status.revision => (YELLOW, "behind"),
            (true, false) => (PLAIN, "current"),
        };
        table.row(
            style,
            vec![
                replica.id.clone(),
                state.to_owned(),
                replica.revision.to_string(),
                replica.generation.to_string(),
                replica.software_version.clone(),
                replica.requests.to_string(),
                bytes(replica.bytes),
                span(Duration::from_millis(replica.since_ms)),
            ],
        );
    }
    table
}

/// What there is to know about catalogs, on standard error.
pub(crate) fn tell_diagnostics(diagnostics: &[v1::Diagnostic]) {
    for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.severity != "note") {
        let style = if diagnostic.severity == "error" { RED } else { YELLOW };
        let (server, message) = (legible(&diagnostic.virtual_server), legible(&diagnostic.message));
        let line = diagnostic.line.as_ref().map(|line| format!(" ({})", legible(line))).unwrap_or_default();
        anstream::eprintln!(
            "{style}{}{style:#}: virtual server `{server}`: {message}{line}",
            diagnostic.severity
        );
        if let Some(help) = &diagnostic.help {
            anstream::eprintln!("  help: {}", legible(help));
        }
    }
}

/// Names and values, one a line.
pub(crate) fn facts(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        match value {
            Value::Null => {}
            Value::Object(_) => {
                line(text, &format!("{indent}{name}:"));
                facts(text, value, depth + 1);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                line(text, &format!("{indent}{name}:"));
                items.iter().for_each(|item| facts(text, item, depth + 1));
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(plain).collect();
                line(text, &format!("{indent}{name}: {}", items.join(", ")));
            }
            _ => line(text, &format!("{indent}{name}: {}", plain(value))),
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), legible)
}

fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{} KiB", count / 1_024),
        _ => format!("{} MiB", count / 1_048_576),
    }
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

fn line(text: &mut String, words: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{words}");
}
