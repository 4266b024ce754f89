//! All documents of all sources joined: names that meet, groups that nobody has written.

use std::collections::BTreeMap;

use vmcp_core::desired::{Desired, Group};
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_core::sentence::shown;

use crate::decode::{Decoder, Hosting, did_you_mean};
use crate::document::{Document, Places, document, toolhive};
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

/// What all sources together want, where programs are started.
///
/// # Errors
/// Every fault up to a bound, ordered by place.
pub fn read(sources: &[Source<'_>]) -> Result<Desired, Vec<Fault>> {
    read_for(Hosting::Here, sources)
}

/// What all sources together want. Where no programs are started, workloads that need one are faults.
///
/// # Errors
/// Every fault up to a bound, ordered by place.
pub fn read_for(hosting: Hosting, sources: &[Source<'_>]) -> Result<Desired, Vec<Fault>> {
    let files = sources.iter().map(|source| source.name.into()).collect();
    let texts = sources.iter().map(|source| source.text.into()).collect();
    let mut decoder = Decoder { files, texts, hosting, ..Decoder::default() };
    let mut documents = Vec::new();
    for (index, source) in (0..).zip(sources) {
        let (nodes, broken) = tree::parse(index, source.text);
        documents.extend(nodes.iter().filter_map(|node| document(&mut decoder, node)));
        decoder.has_lost_a_group |= !broken.is_empty();
        decoder.faults.extend(broken);
    }
    let desired = join(&mut decoder, documents);
    if decoder.faults.is_empty() {
        return Ok(desired);
    }
    decoder.faults.sort();
    decoder.faults.truncate(limits::MANIFEST_FAULTS);
    Err(decoder.faults)
}

fn join(decoder: &mut Decoder, documents: Vec<Document>) -> Desired {
    let mut desired = Desired::default();
    let mut servers: Vec<(Name, Places)> = Vec::new();
    for document in documents {
        match document {
            Document::VirtualServer { server, places, inline } => {
                if let Some(group) = inline {
                    add_group(decoder, &mut desired, group, &places.group, "group");
                }
                let key = server.name.clone();
                if desired.virtual_servers.insert(key.clone(), *server).is_some() {
                    let message = format!("a virtual server `{key}` is there already");
                    decoder.fault(&places.name, "name", message, None);
                }
                servers.push((key, places));
            }
            Document::Group { group, name } => add_group(decoder, &mut desired, group, &name, "name"),
        }
    }
    let written: Vec<Name> = desired.groups.keys().cloned().collect();
    for (name, places) in &servers {
        find_group(decoder, &mut desired, &written, name, places);
        check_mentions(decoder, &desired, name, places);
    }
    let is_default = |name: &Name| desired.virtual_servers.get(name).is_some_and(|server| server.is_default);
    let defaults: Vec<_> = servers.iter().filter(|(name, _)| is_default(name)).collect();
    if defaults.len() > 1 {
        for (name, places) in defaults {
            let message = format!("`{name}` is not the only virtual server with `default: true`");
            let help = "one of them can be served at /mcp".to_owned();
            decoder.fault(&places.name, "default", message, Some(help));
        }
    }
    desired
}

fn add_group(decoder: &mut Decoder, desired: &mut Desired, group: Group, place: &Place, path: &str) {
    let key = group.name.clone();
    if desired.groups.insert(key.clone(), group).is_some() {
        let help =
            "describe a group once, in a document of its own, and name it in each virtual server".to_owned();
        decoder.fault(place, path, format!("a group `{key}` is there already"), Some(help));
    }
}

/// A group that no document describes is ToolHive's, unless the document that does has faults of its own, or the name is nearly
/// that of a group that one describes.
fn find_group(decoder: &mut Decoder, desired: &mut Desired, written: &[Name], name: &Name, places: &Places) {
    let Some(wanted) = desired.virtual_servers.get(name).map(|server| server.group.clone()) else { return };
    if decoder.has_lost_a_group || desired.groups.contains_key(&wanted) {
        return;
    }
    if let Some(help) = did_you_mean(wanted.as_str(), written.iter().map(Name::as_str)) {
        let message = format!("no document describes the group `{wanted}`");
        let help = format!(
            "{help} ToolHive's group of that name needs a document: `kind: group`, `name: {wanted}`, `toolhive: {{}}`"
        );
        return decoder.fault(&places.group, "group", message, Some(help));
    }
    let toolhive = Some(toolhive::usual(&wanted));
    desired.groups.insert(wanted.clone(), Group { name: wanted, workloads: BTreeMap::new(), toolhive });
}

/// What a virtual server names must be there. Whom a provider will find nobody knows yet.
fn check_mentions(decoder: &mut Decoder, desired: &Desired, name: &Name, places: &Places) {
    let group = desired.virtual_servers.get(name).and_then(|server| desired.groups.get(&server.group));
    let Some(group) = group.filter(|group| group.toolhive.is_none()) else { return };
    let is_known = |name: &str| name.parse::<Name>().is_ok_and(|name| group.workloads.contains_key(&name));
    for mention in places.workloads.iter().filter(|mention| !is_known(&mention.workload)) {
        if decoder.is_full() {
            return;
        }
        let workload = shown(&mention.workload);
        let message = format!("the group `{}` has no workload `{workload}`", group.name);
        let help = did_you_mean(&mention.workload, group.workloads.keys().map(Name::as_str));
        decoder.fault(&mention.place, &mention.path(), message, help);
    }
}

#[cfg(test)]
mod tests;
