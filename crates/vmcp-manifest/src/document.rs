//! One document: a virtual server, or with `kind: group` a group.

mod group;
mod virtual_server;

use vmcp_core::desired::{Group, VirtualServer};

use crate::decode::Decoder;
use crate::fault::Place;
use crate::tree::{Node, Value};

/// What a document says, and where its name and its group's name stand.
#[derive(Debug)]
pub(crate) enum Document {
    VirtualServer { server: VirtualServer, name: Place, group: Place },
    Group { group: Group, name: Place },
}

/// Reads a document. `None`: it says nothing that can be used, and its faults have been gathered.
pub(crate) fn document(decoder: &mut Decoder, node: &Node) -> Option<Document> {
    match kind(node) {
        None => virtual_server::virtual_server(decoder, node),
        Some((_, "group")) => group::group(decoder, node),
        Some((place, other)) => {
            let message = format!("unknown kind `{other}`");
            let help = "write `kind: group` for a group, and no `kind` for a virtual server";
            decoder.fault(place, "kind", message, Some(help.to_owned()));
            None
        }
    }
}

fn kind(node: &Node) -> Option<(&Place, &str)> {
    let Value::Mapping(members) = &node.value else { return None };
    members.iter().find_map(|(key, value)| match (&key.value, &value.value) {
        (Value::Scalar { text: key, .. }, Value::Scalar { text, .. }) if key == "kind" => {
            Some((&value.place, text.as_str()))
        }
        _ => None,
    })
}
