//! A change as people see it: what is different, line by line and item by item.

use std::collections::BTreeSet;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};
use vmcp_proto::v1;

use crate::settings::{DIM, YELLOW};
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
        if change.unshown_differs {
            line(&mut text, "  the query of an address, or the value of a header, differs, and is not shown");
        }
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
    if response.catalog.is_empty() && response.not_asked.is_empty() {
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

fn line(text: &mut String, words: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{words}");
}
