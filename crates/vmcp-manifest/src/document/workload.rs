//! One workload: a server that runs already, or a program to start.

use std::collections::HashSet;
use std::path::PathBuf;

use http::Uri;
use vmcp_core::desired::{Address, Command, Endpoints, Found, Inventories, Sessions, Transport};
use vmcp_core::name::Name;
use vmcp_core::sentence::shown;

use crate::decode::Key::{Built, Later, Synonym};
use crate::decode::{Decoder, Fields, Hosting, Table, join};
use crate::document::{header, secret};
use crate::tree::Node;

pub(crate) const WORKLOAD: Table = Table {
    name: "Workload",
    keys: &[
        Built("name"),
        Built("url"),
        Built("urls"),
        Built("transport"),
        Built("sessions"),
        Built("headers"),
        Built("ca_bundle"),
        Built("command"),
        Built("args"),
        Built("env"),
        Built("working_directory"),
        Later("type"),
        Later("metadata"),
        Later("resource_uris"),
        Built("inventory"),
    ],
};

/// A workload as ToolHive writes it inline.
pub(crate) const BACKEND: Table = Table {
    name: "InlineBackend",
    keys: &[
        Built("name"),
        Built("url"),
        Built("transport"),
        Built("ca_bundle_path"),
        Later("type"),
        Later("metadata"),
    ],
};

pub(crate) const TRANSPORT: Table = Table {
    name: "Transport",
    keys: &[Built("streamable-http"), Synonym("streamable", "streamable-http"), Built("sse")],
};

pub(crate) const SESSIONS: Table =
    Table { name: "Sessions", keys: &[Built("auto"), Built("sticky"), Built("shared")] };

pub(crate) const INVENTORY: Table =
    Table { name: "InventoryOf", keys: &[Built("shared"), Built("per_principal")] };

pub(super) fn workload(
    decoder: &mut Decoder,
    node: &Node,
    path: &str,
    table: &Table,
) -> Option<(Name, Address)> {
    let fields = decoder.mapping(node, path, table)?;
    let name = fields.require(decoder, "name", "it goes before the names of its tools");
    let name = name.and_then(|(node, path)| decoder.text(node, &path));
    // Everything is read before anything is decided, so that every fault is found.
    let urls = urls(decoder, &fields);
    let mut transport = Transport::default();
    if let Some((node, path)) = fields.get("transport")
        && decoder.word(node, &path, &TRANSPORT) == Some("sse")
    {
        transport = Transport::Sse;
    }
    let sessions = fields.get("sessions").and_then(|(node, path)| decoder.word(node, &path, &SESSIONS));
    let sessions = match sessions {
        Some("sticky") => Sessions::Sticky,
        Some("shared") => Sessions::Shared,
        _ => Sessions::Auto,
    };
    let inventory = fields.get("inventory").and_then(|(node, path)| decoder.word(node, &path, &INVENTORY));
    let inventory = match inventory {
        Some("per_principal") => Inventories::PerPrincipal,
        _ => Inventories::Shared,
    };
    let headers = fields.get("headers").map(|(node, path)| header::headers(decoder, node, &path));
    let bundle = fields.get("ca_bundle").or_else(|| fields.get("ca_bundle_path"));
    let ca_bundle = bundle.and_then(|(node, path)| self::bundle(decoder, node, &path));
    let program = fields.get("command").map(|(node, path)| program(decoder, node, &path));
    let command = command(decoder, &fields);
    let address = match (urls, program) {
        (Some(urls), None) => {
            belong(decoder, &fields, &["args", "env", "working_directory"], "command");
            let headers = headers.unwrap_or_default();
            urls.map(|urls| {
                Address::Remote(Endpoints { urls, transport, sessions, inventory, headers, ca_bundle })
            })
        }
        (None, Some(program)) => {
            belong(decoder, &fields, &["transport", "sessions", "inventory", "headers", "ca_bundle"], "url");
            program.map(|program| Address::Command(Command { program, ..command }))
        }
        (Some(_), Some(_)) => {
            if let Some((node, path)) = fields.get("command") {
                let message = "a workload has either `url` or `command`".to_owned();
                decoder.fault(&node.place, &path, message, Some("take one of them out".to_owned()));
            }
            None
        }
        (None, None) => {
            let message = "a workload needs `url` or `command`".to_owned();
            let help = "`url: http://…` for a server that runs, `command: …` for one to start";
            decoder.fault(fields.place, path, message, Some(help.to_owned()));
            None
        }
    };
    Some((name?, address?))
}

fn program(decoder: &mut Decoder, node: &Node, path: &str) -> Option<String> {
    let program: String = decoder.text(node, path)?;
    if program.is_empty() {
        decoder.fault(&node.place, path, "`command` is empty".to_owned(), None);
        return None;
    }
    if decoder.hosting == Hosting::Nowhere {
        let message = "a control plane of its own starts no programs".to_owned();
        let help = "start the server yourself and give its `url`, or serve the manifest with `vmcpctl serve`, which starts programs";
        decoder.fault(&node.place, path, message, Some(help.to_owned()));
    }
    Some(program)
}

/// Where it is: at one address, or at any of several. `None`: it does not say; within: it says what cannot be used.
#[expect(clippy::option_option, reason = "absent and unusable are two things")]
fn urls(decoder: &mut Decoder, fields: &Fields<'_>) -> Option<Option<Vec<Uri>>> {
    let one = fields.get("url").map(|(node, path)| url(decoder, node, &path));
    let several = fields.get("urls").map(|(node, path)| {
        let nodes = decoder.list(node, &path);
        let read = nodes.iter().enumerate().map(|(at, node)| url(decoder, node, &format!("{path}[{at}]")));
        let read: Vec<Option<Uri>> = read.collect();
        let urls: Option<Vec<Uri>> = read.into_iter().collect();
        let urls = urls?;
        let is_distinct = urls.iter().collect::<HashSet<_>>().len() == urls.len();
        if urls.is_empty() || !is_distinct {
            let message = if is_distinct { "`urls` is empty" } else { "an address stands in `urls` twice" };
            decoder.fault(&node.place, &path, message.to_owned(), None);
            return None;
        }
        Some(urls)
    });
    match (one, several) {
        (Some(_), Some(_)) => {
            let message = "a workload has either `url` or `urls`".to_owned();
            decoder.fault(fields.place, "", message, Some("write all of them in `urls`".to_owned()));
            Some(None)
        }
        (Some(one), None) => Some(one.map(|url| vec![url])),
        (None, several) => several,
    }
}

/// Certificates of authorities.
pub(super) fn bundle(decoder: &mut Decoder, node: &Node, path: &str) -> Option<PathBuf> {
    let file = absolute(decoder, node, path)?;
    decoder.refers(node, path, &Found::File(file.clone()));
    Some(file)
}

/// A file that whoever calls the backend reads, wherever that was started.
pub(super) fn absolute(decoder: &mut Decoder, node: &Node, path: &str) -> Option<PathBuf> {
    let file: PathBuf = decoder.text(node, path)?;
    if !file.is_absolute() {
        let message = format!("`{}` is not an absolute path", shown(&file.to_string_lossy()));
        decoder.fault(&node.place, path, message, None);
        return None;
    }
    Some(file)
}

/// Keys that mean nothing without another one.
fn belong(decoder: &mut Decoder, fields: &Fields<'_>, keys: &[&str], to: &str) {
    for key in keys {
        if let Some((node, path)) = fields.get(key) {
            decoder.fault(&node.place, &path, format!("`{key}` belongs to a `{to}`"), None);
        }
    }
}

/// An address, or the fault of what is none.
pub(super) fn url(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Uri> {
    let text: String = decoder.text(node, path)?;
    match checked_url(&text) {
        Ok(url) => Some(url),
        Err((message, help)) => {
            decoder.fault(&node.place, path, message, help.map(ToOwned::to_owned));
            None
        }
    }
}

/// An address that a backend can be called at; else why not, and what to do.
pub(crate) fn checked_url(text: &str) -> Result<Uri, (String, Option<&'static str>)> {
    let url: Uri = text.parse().unwrap_or_default();
    let is_http =
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty());
    if !is_http {
        let message = format!("`{}` is not an http or https address", without_query(text));
        return Err((message, Some("write it whole: `http://127.0.0.1:8080/mcp`")));
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(("an address must not carry a password".to_owned(), None));
    }
    if url.query().is_some_and(|query| !query.is_empty() && query.bytes().all(|byte| byte == b'*')) {
        let message = "the query of this address was left out where it was shown".to_owned();
        return Err((message, Some("write what stands behind the `?`")));
    }
    // A port that is no port would silently be the scheme's own.
    let has_port = url.authority().is_some_and(|authority| {
        authority.as_str().rsplit_once(']').map_or(authority.as_str(), |(_, rest)| rest).contains(':')
    });
    if has_port && url.port_u16().is_none() {
        let message = format!("`{}` has no port that exists", without_query(text));
        return Err((message, Some("a port is a number from 0 to 65535")));
    }
    Ok(url)
}

/// As it may be shown: people put keys into queries.
fn without_query(text: &str) -> String {
    match text.split_once('?') {
        Some((before, _)) => shown(before) + "?***",
        None => shown(text),
    }
}

/// What belongs to a command, without its program.
fn command(decoder: &mut Decoder, fields: &Fields<'_>) -> Command {
    let mut command = Command::default();
    if let Some((node, path)) = fields.get("args") {
        for (index, node) in decoder.list(node, &path).iter().enumerate() {
            command.arguments.extend(secret::text(decoder, node, &format!("{path}[{index}]")));
        }
    }
    if let Some((node, path)) = fields.get("env") {
        for (key, node) in decoder.free_mapping(node, &path) {
            let name = key.text();
            let here = join(&path, &shown(name));
            if !secret::is_variable(name) {
                let message = format!("`{}` cannot be the name of a variable", shown(name));
                decoder.fault(&key.place, &path, message, None);
                continue;
            }
            if let Some(value) = secret::text(decoder, node, &here) {
                command.environment.insert(name.to_owned(), value);
            }
        }
    }
    if let Some((node, path)) = fields.get("working_directory") {
        command.working_directory = decoder.text(node, &path);
    }
    command
}
