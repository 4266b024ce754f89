//! A virtual server: the seed's file.

use vmcp_core::desired::{ConflictResolution, VirtualServer};
use vmcp_core::prefix::PrefixFormat;

use crate::decode::Key::{Built, Later};
use crate::decode::{Decoder, Fields, Key, brief, join};
use crate::document::{Document, Places};
use crate::fault::Place;
use crate::tree::Node;

const KEYS: &[Key] = &[
    Built("name"),
    Built("group"),
    Built("default"),
    Built("incoming_auth"),
    Built("outgoing_auth"),
    Built("aggregation"),
    Later("operational"),
    Later("composite_tools"),
    Later("telemetry"),
    Later("audit"),
    Later("public_url"),
    Later("allowed_hosts"),
    Later("backends"),
    Later("metadata"),
];

pub(super) fn virtual_server(decoder: &mut Decoder, node: &Node) -> Option<Document> {
    let fields = decoder.mapping(node, "", KEYS)?;
    let name = fields.require(decoder, "name", "it stands in the path: /<name>/mcp");
    let name = name.and_then(|(node, path)| Some((decoder.text(node, &path)?, &node.place)));
    let group = fields.require(decoder, "group", "name the group whose workloads are presented");
    let group = group.and_then(|(node, path)| Some((decoder.text(node, &path)?, &node.place)));
    let is_default = fields.get("default").and_then(|(node, path)| decoder.boolean(node, &path));
    incoming_auth(decoder, &fields);
    let workloads = fields.get("outgoing_auth").map(|(node, path)| outgoing_auth(decoder, node, &path));
    let format = fields.get("aggregation").and_then(|(node, path)| aggregation(decoder, node, &path));
    let (name, name_place) = name?;
    let (group, group_place) = group?;
    let conflict_resolution = ConflictResolution::Prefix(format.unwrap_or_default());
    let server = VirtualServer { name, group, is_default: is_default.unwrap_or(false), conflict_resolution };
    let places = Places {
        name: name_place.clone(),
        group: group_place.clone(),
        workloads: workloads.unwrap_or_default(),
    };
    Some(Document::VirtualServer { server, places })
}

/// Said and never assumed: letting everybody in is a decision.
fn incoming_auth(decoder: &mut Decoder, fields: &Fields<'_>) {
    let help = "write `incoming_auth: {type: anonymous}` to let everybody in who reaches the listener";
    let Some((node, path)) = fields.require(decoder, "incoming_auth", help) else { return };
    let keys = [Built("type"), Later("oidc"), Later("local"), Later("authz")];
    let Some(fields) = decoder.mapping(node, &path, &keys) else { return };
    if let Some((node, path)) = fields.require(decoder, "type", help) {
        decoder.word(node, &path, &[Built("anonymous"), Later("oidc"), Later("local")]);
    }
}

/// The workloads that it names.
fn outgoing_auth(decoder: &mut Decoder, node: &Node, path: &str) -> Vec<(String, Place)> {
    let keys = [Built("source"), Built("default"), Built("backends")];
    let mut workloads: Vec<(String, Place)> = Vec::new();
    let Some(fields) = decoder.mapping(node, path, &keys) else { return workloads };
    if let Some((node, path)) = fields.get("source") {
        decoder.word(node, &path, &[Built("inline"), Later("discovered"), Later("mixed")]);
    }
    if let Some((node, path)) = fields.get("default") {
        strategy(decoder, node, &path);
    }
    if let Some((node, path)) = fields.get("backends") {
        for (key, node) in decoder.free_mapping(node, &path) {
            let Some(name) = decoder.text::<String>(key, &path) else { continue };
            let here = join(&path, &name);
            strategy(decoder, node, &here);
            if workloads.iter().any(|(earlier, _)| *earlier == name) {
                decoder.fault(&key.place, &here, format!("`{}` is written twice", brief(&name)), None);
            } else {
                workloads.push((name, key.place.clone()));
            }
        }
    }
    workloads
}

fn strategy(decoder: &mut Decoder, node: &Node, path: &str) {
    let later = ["pass_through", "token_exchange", "service_account", "header_injection"];
    let mut keys = vec![Built("type")];
    keys.extend(later.map(Later));
    let Some(fields) = decoder.mapping(node, path, &keys) else { return };
    let mut words = vec![Built("unauthenticated")];
    words.extend(later.map(Later));
    if let Some((node, path)) = fields.require(decoder, "type", "write `type: unauthenticated`") {
        decoder.word(node, &path, &words);
    }
}

fn aggregation(decoder: &mut Decoder, node: &Node, path: &str) -> Option<PrefixFormat> {
    let later = ["tools", "exclude_all_tools", "default_tool_visibility", "max_name_length"];
    let mut keys = vec![Built("conflict_resolution"), Built("conflict_resolution_config")];
    keys.extend(later.map(Later));
    let fields = decoder.mapping(node, path, &keys)?;
    if let Some((node, path)) = fields.get("conflict_resolution") {
        decoder.word(node, &path, &[Built("prefix"), Later("priority"), Later("manual")]);
    }
    let (node, path) = fields.get("conflict_resolution_config")?;
    let fields = decoder.mapping(node, &path, &[Built("prefix_format"), Later("priority_order")])?;
    let (node, path) = fields.get("prefix_format")?;
    decoder.text(node, &path)
}
