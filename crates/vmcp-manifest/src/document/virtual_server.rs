//! A virtual server: the seed's file.

use std::collections::BTreeMap;

use vmcp_core::aggregation::Aggregation;
use vmcp_core::boundary::Outgoing;
use vmcp_core::desired::{Address, Group, VirtualServer};
use vmcp_core::name::Name;
use vmcp_core::operational::Operational;

use crate::decode::Key::{Built, Later, Synonym};
use crate::decode::{Decoder, Fields, Table};
use crate::document::{
    Document, Places, aggregation, audit, auth, group, header, operational, outgoing, workload,
};
use crate::tree::Node;

pub(crate) const VIRTUAL_SERVER: Table = Table {
    name: "VirtualServer",
    keys: &[
        Built("name"),
        Built("group"),
        Synonym("group_ref", "group"),
        Built("default"),
        Built("public_url"),
        Built("incoming_auth"),
        Built("outgoing_auth"),
        Built("aggregation"),
        Built("backends"),
        Built("operational"),
        Built("passthrough_headers"),
        Later("composite_tools"),
        Later("composite_tool_refs"),
        Later("telemetry"),
        Built("audit"),
        Built("allowed_hosts"),
        Later("rate_limiting"),
        Later("session_storage"),
        Later("token_cache"),
        Later("optimizer"),
        Later("code_mode"),
        Later("metadata"),
    ],
};

pub(super) fn virtual_server(decoder: &mut Decoder, node: &Node) -> Option<Document> {
    let fields = decoder.mapping(node, "", &VIRTUAL_SERVER)?;
    let name = fields.require(decoder, "name", "it stands in the path: /<name>/mcp");
    let name = name.map(|(node, path)| (decoder.text(node, &path), &node.place));
    let group = fields.require(decoder, "group", "name the group whose workloads are presented");
    let group = group.and_then(|(node, path)| Some((decoder.text(node, &path)?, &node.place)));
    let is_default = fields.get("default").and_then(|(node, path)| decoder.boolean(node, &path));
    let named = name.as_ref().and_then(|(name, _): &(Option<Name>, _)| name.as_ref().map(Name::as_str));
    let (incoming, authorization) = auth::incoming(decoder, &fields, named);
    let public_url = fields.get("public_url").and_then(|(node, path)| auth::public_url(decoder, node, &path));
    let allowed_hosts = match fields.get("allowed_hosts") {
        Some((node, path)) => auth::allowed_hosts(decoder, node, &path),
        None => Vec::new(),
    };
    let (outgoing, mut workloads) = match fields.get("outgoing_auth") {
        Some((node, path)) => outgoing::outgoing(decoder, node, &path, incoming.as_ref()),
        None => (Outgoing::default(), Vec::new()),
    };
    let aggregation = match fields.get("aggregation") {
        Some((node, path)) => {
            let (aggregation, mentions) = aggregation::aggregation(decoder, node, &path);
            workloads.extend(mentions);
            aggregation
        }
        None => Aggregation::default(),
    };
    let operational = match fields.get("operational") {
        Some((node, path)) => {
            let (operational, mentions) = operational::operational(decoder, node, &path);
            workloads.extend(mentions);
            operational
        }
        None => Operational::default(),
    };
    let passthrough_headers = match fields.get("passthrough_headers") {
        Some((node, path)) => header::passthrough(decoder, node, &path),
        None => Vec::new(),
    };
    let audit = match fields.get("audit") {
        Some((node, path)) => audit::audit(decoder, node, &path),
        None => None,
    };
    let backends = inline(decoder, &fields);
    let (name, name_place) = name?;
    let name: Name = name?;
    let (group, group_place) = group?;
    let inline = backends.map(|workloads| Group { name: Name::clone(&group), workloads, toolhive: None });
    let server = VirtualServer {
        name,
        group,
        is_default: is_default.unwrap_or(false),
        incoming: incoming?,
        authorization,
        outgoing,
        public_url,
        allowed_hosts,
        aggregation,
        operational,
        passthrough_headers,
        audit,
    };
    let places = Places { name: *name_place, group: *group_place, workloads };
    Some(Document::VirtualServer { server: Box::new(server), places, inline })
}

/// ToolHive's `backends`: the group written inline. Empty, it is as if it were not there, and the group is looked up.
fn inline(decoder: &mut Decoder, fields: &Fields<'_>) -> Option<BTreeMap<Name, Address>> {
    let (node, path) = fields.get("backends")?;
    let is_empty = decoder.list(node, &path).is_empty();
    (!is_empty).then(|| group::workloads(decoder, node, &path, &workload::BACKEND))
}
