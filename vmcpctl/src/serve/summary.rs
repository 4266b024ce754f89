//! What a person sees while it serves: the URL, the backends as they come up, and how to add it to clients.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use tokio::sync::watch;
use vmcp_control_plane::{BackendStatus, Counts, DiagnosticStatus, Status};
use vmcp_core::boundary::Incoming;
use vmcp_core::desired::Desired;
use vmcp_core::health::Health;
use vmcp_data_plane::Observed;
use vmcp_runtime::Drain;
use vmcp_stdio::ChildState;

use crate::serve::workloads::Children;
use crate::terminal::{cut, legible};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Columns that are enough for anybody.
const WIDTH: usize = 100;
/// Diagnostics below the backends.
const SHOWN: usize = 4;
const RED: Style = AnsiColor::Red.on_default();

/// Shows how things are, on standard error.
#[derive(Debug)]
pub(super) struct Summary {
    /// Each virtual server with its URL.
    servers: Vec<(String, String)>,
    admin: SocketAddr,
    is_open: bool,
    is_terminal: bool,
}

impl Summary {
    /// `scheme`: what clients speak, `http` or `https`.
    pub(super) fn new(
        desired: &Desired,
        (scheme, address): (&str, SocketAddr),
        admin: SocketAddr,
        is_terminal: bool,
    ) -> Self {
        let is_only = desired.virtual_servers.len() == 1;
        let servers = desired.virtual_servers.values().map(|server| {
            let path = if is_only || server.is_default {
                "/mcp".to_owned()
            } else {
                format!("/{}/mcp", server.name)
            };
            (server.name.to_string(), format!("{scheme}://{address}{path}"))
        });
        let mut all = desired.virtual_servers.values();
        let asks_nobody = all.any(|server| !matches!(server.incoming, Incoming::Oidc(_)));
        let is_open = asks_nobody && !address.ip().is_loopback();
        Self { servers: servers.collect(), admin, is_open, is_terminal }
    }

    /// Shows it again whenever something has changed.
    pub(super) async fn run(
        self,
        mut status: watch::Receiver<Arc<Status>>,
        mut observed: watch::Receiver<Observed>,
        children: Children,
        drain: Drain,
    ) {
        if self.is_open {
            anstream::eprintln!(
                "{YELLOW}warning{YELLOW:#}: everybody who reaches this address is let in where `incoming_auth` is not `oidc`"
            );
        }
        let mut shown = String::new();
        let mut told = BTreeMap::new();
        let mut told_diagnostics = HashSet::new();
        let mut last = None;
        loop {
            let now = status.borrow_and_update().clone();
            let is_ready = observed.borrow_and_update().revision > 0;
            if self.is_terminal {
                if shown.is_empty() {
                    anstream::eprint!("{}", self.introduction());
                }
                redraw(&mut shown, self.page(&now, is_ready, &children));
            } else if is_ready {
                self.tell_changes(&mut told, &now, &children);
                if last.is_none_or(|last: Arc<Status>| !Arc::ptr_eq(&last, &now)) {
                    Self::tell_diagnostics(&mut told_diagnostics, &now);
                }
                last = Some(now);
            }
            tokio::select! {
                () = drain.stopped() => return,
                Ok(()) = status.changed() => {}
                Ok(()) = observed.changed() => {}
                // What children do reaches us through neither.
                () = tokio::time::sleep(std::time::Duration::from_millis(250)) => {}
            }
        }
    }

    /// One line for each thing that is not as it was told last.
    fn tell_changes(&self, told: &mut BTreeMap<String, String>, status: &Status, children: &Children) {
        for (name, url) in &self.servers {
            if told.insert(format!("server {name}"), url.clone()).is_none() {
                anstream::eprintln!("serving `{name}` at {url}");
            }
        }
        let status_url = format!("http://{}/status", self.admin);
        if told.insert("status".to_owned(), status_url.clone()).is_none() {
            anstream::eprintln!("status at {status_url}");
        }
        for backend in &status.backends {
            let (_, state) = state(backend, children);
            let line = format!("backend `{}`: {state}", backend.name);
            if told.insert(format!("backend {}/{}", backend.group, backend.name), line.clone()).as_ref()
                != Some(&line)
            {
                anstream::eprintln!("{line}");
            }
        }
    }

    /// What there is to know that has not been told yet.
    fn tell_diagnostics(told: &mut HashSet<String>, status: &Status) {
        let known: HashSet<String> = worrying(status).map(key_of).collect();
        told.retain(|key| known.contains(key));
        for diagnostic in worrying(status) {
            if told.insert(key_of(diagnostic)) {
                anstream::eprintln!("{}: {}", diagnostic.severity, diagnostic.message);
                if let Some(help) = &diagnostic.help {
                    anstream::eprintln!("  help: {help}");
                }
            }
        }
    }

    /// What does not change, and may be wider than the terminal.
    fn introduction(&self) -> String {
        let mut page = String::new();
        let out = &mut page;
        line(out, &format!("\n{BOLD}vmcp {}{BOLD:#}\n", env!("CARGO_PKG_VERSION")));
        for (name, url) in &self.servers {
            line(out, &format!("  {BOLD}{url}{BOLD:#}  {DIM}{name}{DIM:#}"));
        }
        if let Some((name, url)) = self.servers.first() {
            line(out, &format!("\n{DIM}Add it to{DIM:#}"));
            line(out, &format!("  Claude Code  claude mcp add --transport http {name} {url}"));
            let cursor = format!("{{\"mcpServers\":{{\"{name}\":{{\"url\":\"{url}\"}}}}}}");
            line(out, &format!("  Cursor       {cursor}  {DIM}in ~/.cursor/mcp.json{DIM:#}"));
            let code = format!("{{\"name\":\"{name}\",\"type\":\"http\",\"url\":\"{url}\"}}");
            line(out, &format!("  VS Code      code --add-mcp '{code}'"));
        }
        line(out, &format!("\n{DIM}Status  http://{}/status   Stop  Ctrl-C{DIM:#}\n", self.admin));
        page
    }

    /// What changes; no line of it is wider than a narrow terminal.
    fn page(&self, status: &Status, is_ready: bool, children: &Children) -> String {
        let mut page = String::new();
        let out = &mut page;
        // What does not fit could not be written over again.
        let (columns, rows) = terminal_size::terminal_size_of(std::io::stderr())
            .map_or((80, 24), |(columns, rows)| (usize::from(columns.0), usize::from(rows.0)));
        let columns = columns.min(WIDTH);
        let width =
            status.backends.iter().map(|backend| backend.name.len()).max().unwrap_or_default().min(24);
        let shown = rows.saturating_sub(SHOWN + 6).max(3);
        for backend in status.backends.iter().take(shown) {
            let (style, state) = state(backend, children);
            let name = cut(&backend.name, width);
            let state = cut(&state, columns.saturating_sub(width + 8));
            line(out, &format!("  {style}●{style:#} {name:width$}  {state}"));
        }
        if let Some(more) = status.backends.len().checked_sub(shown + 1) {
            line(out, &format!("    and {} more: see /status", more + 1));
        }
        let worrying: Vec<&DiagnosticStatus> = worrying(status).collect();
        for diagnostic in worrying.iter().take(SHOWN) {
            let style = if diagnostic.severity == "error" { RED } else { YELLOW };
            let message = cut(&legible(&diagnostic.message), columns.saturating_sub(12));
            line(out, &format!("  {style}{}{style:#} {message}", diagnostic.severity));
        }
        if let Some(more) = worrying.len().checked_sub(SHOWN + 1) {
            line(out, &format!("  {YELLOW}and {} more: see /status{YELLOW:#}", more + 1));
        }
        line(out, if is_ready { "" } else { "  starting …" });
        page
    }
}

/// What is not a note.
fn worrying(status: &Status) -> impl Iterator<Item = &DiagnosticStatus> {
    status.diagnostics.iter().filter(|diagnostic| diagnostic.severity != "note")
}

fn key_of(diagnostic: &DiagnosticStatus) -> String {
    format!("{} {}", diagnostic.virtual_server, diagnostic.message)
}

/// In place of what was shown before.
fn redraw(shown: &mut String, page: String) {
    if *shown == page {
        return;
    }
    match shown.lines().count() {
        0 => anstream::eprint!("{page}"),
        lines => anstream::eprint!("\x1b[{lines}A\x1b[J{page}"),
    }
    *shown = page;
}

fn line(page: &mut String, text: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(page, "{text}");
}

/// How a backend is, in words that can go to a terminal, whatever the backend has said.
fn state(backend: &BackendStatus, children: &Children) -> (Style, String) {
    let (style, text) = describe_state(backend, children);
    (style, legible(&text))
}

fn describe_state(backend: &BackendStatus, children: &Children) -> (Style, String) {
    let child = children
        .iter()
        .find(|(id, _)| id.group.as_str() == backend.group && id.name.as_str() == backend.name);
    let child = child.map(|(_, child)| child.status());
    if let Some(child) = child.filter(|child| child.state != ChildState::Running) {
        let why = child.last_exit.map(|exit| format!(": {exit}")).unwrap_or_default();
        return match child.state {
            ChildState::Waiting => (RED, format!("down, will be started again{why}")),
            ChildState::Stopped => (DIM, "stopped".to_owned()),
            ChildState::Starting | ChildState::Running => (YELLOW, format!("starting{why}")),
        };
    }
    match (&backend.counts, &backend.last_error, backend.health) {
        (Some(counts), None, Health::Healthy) => (GREEN, describe(counts)),
        (Some(counts), None, Health::Degraded) => (YELLOW, format!("{}; degraded", describe(counts))),
        (_, Some(error), _) => (RED, format!("does not answer: {error}")),
        _ => (YELLOW, "is being asked".to_owned()),
    }
}

fn describe(counts: &Counts) -> String {
    let all = [
        (counts.tools, "tool"),
        (counts.resources, "resource"),
        (counts.resource_templates, "template"),
        (counts.prompts, "prompt"),
    ];
    let some = all.iter().filter(|(count, _)| *count > 0);
    let some: Vec<String> =
        some.map(|(count, noun)| format!("{count} {noun}{}", if *count == 1 { "" } else { "s" })).collect();
    if some.is_empty() { "up, offers nothing".to_owned() } else { some.join(", ") }
}
