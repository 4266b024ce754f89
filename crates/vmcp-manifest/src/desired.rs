//! All documents of all sources joined: names that meet, groups that nobody has written.

use std::collections::BTreeMap;

use vmcp_core::desired::Desired;
use vmcp_core::name::Name;

use crate::decode::Decoder;
use crate::document::{Document, document};
use crate::fault::{Fault, Place};
use crate::tree;

/// A text to read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What it is called in messages.
    pub name: &'a str,
    /// What stands in it.
    pub text: &'a str,
}

/// What all sources together want.
///
/// # Errors
/// Every fault, ordered by place.
pub fn read(sources: &[Source<'_>]) -> Result<Desired, Vec<Fault>> {
    let mut decoder = Decoder::default();
    let mut documents = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let (nodes, broken) = tree::parse(index, source.text);
        documents.extend(nodes.iter().filter_map(|node| document(&mut decoder, node)));
        decoder.faults.extend(broken);
    }
    let desired = join(&mut decoder, documents);
    if decoder.faults.is_empty() {
        return Ok(desired);
    }
    decoder.faults.sort();
    Err(decoder.faults)
}

fn join(decoder: &mut Decoder, documents: Vec<Document>) -> Desired {
    let mut desired = Desired::default();
    let mut wanted_groups: Vec<(Name, Place)> = Vec::new();
    let mut defaults: BTreeMap<Name, Place> = BTreeMap::new();
    for document in documents {
        match document {
            Document::VirtualServer { server, name, group } => {
                if server.is_default {
                    defaults.insert(server.name.clone(), name.clone());
                }
                wanted_groups.push((server.group.clone(), group));
                let key = server.name.clone();
                if desired.virtual_servers.insert(key.clone(), server).is_some() {
                    decoder.fault(&name, "name", format!("a virtual server `{key}` is there already"), None);
                }
            }
            Document::Group { group, name } => {
                let key = group.name.clone();
                if desired.groups.insert(key.clone(), group).is_some() {
                    decoder.fault(&name, "name", format!("a group `{key}` is there already"), None);
                }
            }
        }
    }
    // Every name is reported where it is wrong, so documents with faults of their own do not hide it.
    let has_faults = !decoder.faults.is_empty();
    for (group, place) in wanted_groups {
        if !desired.groups.contains_key(&group) && !has_faults {
            let message =
                format!("no document describes the group `{group}`; groups of ToolHive are not built yet");
            let help = format!("add a document with `kind: group` and `name: {group}`");
            decoder.fault(&place, "group", message, Some(help));
        }
    }
    if defaults.len() > 1 {
        for (name, place) in &defaults {
            let message = format!("`{name}` is not the only virtual server with `default: true`");
            decoder.fault(place, "default", message, Some("one of them can be served at /mcp".to_owned()));
        }
    }
    desired
}

#[cfg(test)]
mod tests;
