//! A group: a named set of MCP servers, written out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use http::Uri;
use vmcp_core::desired::{Address, Command, Group};
use vmcp_core::name::Name;

use crate::decode::Key::{Built, Later};
use crate::decode::{Decoder, Fields, Key, brief, join};
use crate::document::Document;
use crate::tree::Node;

const KEYS: &[Key] = &[
    Built("kind"),
    Built("name"),
    Built("workloads"),
    Later("toolhive"),
    Later("kubernetes"),
    Later("docker"),
];

const WORKLOAD_KEYS: &[Key] = &[
    Built("name"),
    Built("url"),
    Built("command"),
    Built("args"),
    Built("env"),
    Built("working_directory"),
    Later("headers"),
    Later("ca_bundle"),
    Later("sessions"),
    Later("resource_uris"),
    Later("transport"),
];

pub(super) fn group(decoder: &mut Decoder, node: &Node) -> Option<Document> {
    let fields = decoder.mapping(node, "", KEYS)?;
    let name = fields.require(decoder, "name", "virtual servers name it in `group`");
    let name = name.and_then(|(node, path)| Some((decoder.text(node, &path)?, &node.place)));
    let mut workloads = BTreeMap::new();
    if let Some((node, path)) = fields.require(decoder, "workloads", "an empty group is `workloads: []`") {
        for (index, node) in decoder.list(node, &path).iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Some((name, address)) = workload(decoder, node, &path) else { continue };
            match workloads.entry(name) {
                Entry::Vacant(place) => drop(place.insert(address)),
                Entry::Occupied(taken) => {
                    let message = format!("a workload `{}` is there already", taken.key());
                    decoder.fault(&node.place, &path, message, None);
                }
            }
        }
    }
    let (name, place) = name?;
    Some(Document::Group { group: Group { name, workloads }, name: place.clone() })
}

fn workload(decoder: &mut Decoder, node: &Node, path: &str) -> Option<(Name, Address)> {
    let fields = decoder.mapping(node, path, WORKLOAD_KEYS)?;
    let name = fields.require(decoder, "name", "it goes before the names of its tools");
    let name = name.and_then(|(node, path)| decoder.text(node, &path));
    let address = match (fields.get("url"), fields.get("command")) {
        (Some((node, path)), None) => {
            for key in ["args", "env", "working_directory"] {
                if let Some((node, path)) = fields.get(key) {
                    decoder.fault(&node.place, &path, format!("`{key}` belongs to a `command`"), None);
                }
            }
            url(decoder, node, &path).map(Address::Url)
        }
        (None, Some((node, path))) => {
            let program = decoder.text(node, &path);
            command(decoder, &fields, program).map(Address::Command)
        }
        (Some(_), Some((node, path))) => {
            let message = "a workload has either `url` or `command`".to_owned();
            decoder.fault(&node.place, &path, message, Some("take one of them out".to_owned()));
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

fn url(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Uri> {
    let text: String = decoder.text(node, path)?;
    let url: Uri = text.parse().unwrap_or_default();
    let is_http =
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty());
    if !is_http {
        let help = "write it whole: `http://127.0.0.1:8080/mcp`".to_owned();
        decoder.fault(
            &node.place,
            path,
            format!("`{}` is not an http or https address", brief(&text)),
            Some(help),
        );
        return None;
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        let message = "an address must not carry a password".to_owned();
        decoder.fault(&node.place, path, message, None);
        return None;
    }
    // A port that is no port would silently be the scheme's own.
    let has_port = url.authority().is_some_and(|authority| {
        authority.as_str().rsplit_once(']').map_or(authority.as_str(), |(_, rest)| rest).contains(':')
    });
    if has_port && url.port_u16().is_none() {
        let help = "a port is a number from 0 to 65535".to_owned();
        decoder.fault(&node.place, path, format!("`{}` has no port that exists", brief(&text)), Some(help));
        return None;
    }
    Some(url)
}

fn command(decoder: &mut Decoder, fields: &Fields<'_>, program: Option<String>) -> Option<Command> {
    let program = program?;
    if program.is_empty() {
        decoder.fault(fields.place, "command", "`command` is empty".to_owned(), None);
        return None;
    }
    let mut command = Command { program, ..Command::default() };
    if let Some((node, path)) = fields.get("args") {
        for (index, node) in decoder.list(node, &path).iter().enumerate() {
            command.arguments.extend(decoder.text::<String>(node, &format!("{path}[{index}]")));
        }
    }
    if let Some((node, path)) = fields.get("env") {
        for (key, node) in decoder.free_mapping(node, &path) {
            let Some(name) = decoder.text::<String>(key, &path) else { continue };
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("`{}` cannot be the name of a variable", brief(&name));
                decoder.fault(&key.place, &path, message, None);
                continue;
            }
            let Some(value) = decoder.text::<String>(node, &join(&path, &name)) else { continue };
            if command.environment.insert(name.clone(), value).is_some() {
                decoder.fault(&key.place, &join(&path, &name), format!("`{name}` is written twice"), None);
            }
        }
    }
    if let Some((node, path)) = fields.get("working_directory") {
        command.working_directory = decoder.text(node, &path);
    }
    Some(command)
}
