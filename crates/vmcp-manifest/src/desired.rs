//! All documents of all sources joined: names that meet, groups that nobody has written.

use std::collections::BTreeMap;

use vmcp_core::aggregation::ConflictResolution;
use vmcp_core::boundary::{Client, Grant, Incoming, Strategy};
use vmcp_core::desired::{Address, Desired, Group, Inventories, VirtualServer};
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_core::sentence::shown;

use crate::decode::{Decoder, Hosting, Reference, did_you_mean};
use crate::document::{Document, Mention, Places, document, toolhive};
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
    let (mut decoder, desired) = decode(hosting, sources);
    if decoder.faults.is_empty() {
        return Ok(desired);
    }
    decoder.faults.sort();
    decoder.faults.truncate(limits::MANIFEST_FAULTS);
    Err(decoder.faults)
}

/// What they refer to that must be found outside, whether they are good or not, in the order in which it is written.
pub fn references(sources: &[Source<'_>]) -> Vec<Reference> {
    let (decoder, _) = decode(Hosting::Here, sources);
    let mut references = decoder.references;
    references.sort_by_key(|reference| reference.place);
    references.dedup();
    references
}

fn decode(hosting: Hosting, sources: &[Source<'_>]) -> (Decoder, Desired) {
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
    (decoder, desired)
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
        check_inventories(decoder, &desired, name, places);
        check_credentials(decoder, &mut desired, name, places);
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

/// Who comes first must be the same for everybody.
fn check_inventories(decoder: &mut Decoder, desired: &Desired, name: &Name, places: &Places) {
    let Some(server) = desired.virtual_servers.get(name) else { return };
    let Some(group) = desired.groups.get(&server.group) else { return };
    if !matches!(server.aggregation.conflict_resolution, ConflictResolution::Priority(_)) {
        return;
    }
    let theirs = group.workloads.iter().find(|(_, address)| {
        matches!(address, Address::Remote(endpoints) if endpoints.inventory == Inventories::PerPrincipal)
    });
    if let Some((workload, _)) = theirs {
        let message = format!(
            "`conflict_resolution: priority` does not go with `{workload}`, whose `inventory` is `per_principal`"
        );
        let help = "a name would be one backend's for some callers and another's for others: write `prefix` or `manual`";
        decoder.fault(&places.group, "aggregation.conflict_resolution", message, Some(help.to_owned()));
    }
}

/// What everybody is offered is asked for once, with a credential of ours, so there is one; and a program that a command starts is shown
/// nothing.
fn check_credentials(decoder: &mut Decoder, desired: &mut Desired, name: &Name, places: &Places) {
    let Some(server) = desired.virtual_servers.get(name) else { return };
    let Some(group) = desired.groups.get(&server.group) else { return };
    let is_command = |workload: &str| {
        let name = workload.parse::<Name>().ok();
        name.is_some_and(|name| matches!(group.workloads.get(&name), Some(Address::Command(_))))
    };
    let of_strategies = |mention: &&Mention| mention.path.ends_with("outgoing_auth.backends");
    for mention in places.workloads.iter().filter(of_strategies) {
        let strategy =
            mention.workload.parse().ok().and_then(|name: Name| server.outgoing.backends.get(&name));
        let is_nothing = strategy.is_none_or(|strategy| *strategy == Strategy::Unauthenticated);
        if is_command(&mention.workload) && !is_nothing {
            let message = format!("`{}` is a command, and is shown nothing", shown(&mention.workload));
            let help =
                "what it needs stands in its `env`; strategies are for workloads with a `url`".to_owned();
            decoder.fault(&mention.place, &mention.path(), message, Some(help));
        }
    }
    let others = desired.virtual_servers.values().filter(|other| other.group == server.group);
    // Said of the later ones.
    for other in others.take_while(|other| other.name != *name) {
        let named = server.outgoing.backends.keys().chain(other.outgoing.backends.keys());
        // Whom a provider will find nobody knows yet, but for those that are named.
        let mut all = group.workloads.keys().chain(named.filter(|_| group.toolhive.is_some()));
        let is_another = |workload: &&Name| {
            let is_asked_for_all = match group.workloads.get(*workload) {
                Some(Address::Remote(endpoints)) => endpoints.inventory != Inventories::PerPrincipal,
                Some(Address::Command(_)) => false,
                None => true,
            };
            let (mine, theirs) = (server.outgoing.of(workload), other.outgoing.of(workload));
            is_asked_for_all && asked_with(server, mine) != asked_with(other, theirs)
        };
        let by_default = group.toolhive.is_some()
            && asked_with(server, &server.outgoing.default) != asked_with(other, &other.outgoing.default);
        let workload = all.find(is_another).map(|workload| format!("`{workload}`"));
        if let Some(workload) = workload.or_else(|| by_default.then(|| "what is found".to_owned())) {
            let message = format!("the virtual server `{}` shows {workload} another credential", other.name);
            let help = "what a workload offers is asked for once, and with one credential, for all virtual servers of its group: present it in two groups, or write `inventory: per_principal`";
            decoder.fault(&places.group, "outgoing_auth", message, Some(help.to_owned()));
        }
    }
    let commands: Vec<Name> =
        group.workloads.keys().filter(|name| is_command(name.as_str())).cloned().collect();
    let Some(server) = desired.virtual_servers.get_mut(name) else { return };
    // The default is for those that can be shown something.
    if server.outgoing.default != Strategy::Unauthenticated {
        server.outgoing.backends.extend(commands.into_iter().map(|name| (name, Strategy::Unauthenticated)));
    }
}

/// A strategy; a token of whom, and who we are there, as far as it leaves that to the virtual server.
type AskedWith<'s> = (&'s Strategy, Option<&'s str>, Option<&'s Client>);

/// With what of ours it is asked what a workload offers that a virtual server shows this.
fn asked_with<'s>(server: &'s VirtualServer, strategy: &'s Strategy) -> Option<AskedWith<'s>> {
    let issuer = match &server.incoming {
        Incoming::Oidc(issuers) => issuers.first(),
        Incoming::Anonymous | Incoming::Local => None,
    };
    let of = |grant: &Grant| {
        let named = issuer.filter(|_| grant.token_url.is_none()).map(|issuer| issuer.issuer.as_str());
        let client = issuer.filter(|_| grant.client.is_none()).and_then(|issuer| issuer.client.as_ref());
        Some((strategy, named, client))
    };
    match strategy {
        // Nobody's but the caller's.
        Strategy::Unauthenticated | Strategy::PassThrough => None,
        Strategy::Header(..) => Some((strategy, None, None)),
        Strategy::ClientCredentials(grant) => of(grant),
        Strategy::TokenExchange(exchange) => of(&exchange.grant),
    }
}

#[cfg(test)]
mod tests;
