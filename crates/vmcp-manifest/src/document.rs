//! One document: a virtual server, or with `kind: group` a group.

mod group;
mod virtual_server;

use vmcp_core::desired::{Group, VirtualServer};

use crate::decode::{Decoder, brief, snake_case};
use crate::fault::Place;
use crate::tree::{Node, Value};

/// What a document says, and where its names stand.
#[derive(Debug)]
pub(crate) enum Document {
    VirtualServer { server: VirtualServer, places: Places },
    Group { group: Group, name: Place },
}

/// Where a virtual server's names stand, for faults that show only when all documents are known.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) name: Place,
    pub(crate) group: Place,
    /// The workloads that `outgoing_auth.backends` names.
    pub(crate) workloads: Vec<(String, Place)>,
}

/// Reads a document. `None`: it says nothing that can be used, and its faults have been gathered.
pub(crate) fn document(decoder: &mut Decoder, node: &Node) -> Option<Document> {
    let Some(kind) = kind(node) else { return virtual_server::virtual_server(decoder, node) };
    if matches!(&kind.value, Value::Scalar { text, .. } if text == "group") {
        let group = group::group(decoder, node);
        decoder.has_lost_a_group |= group.is_none();
        return group;
    }
    let message = match &kind.value {
        Value::Scalar { text, .. } if !kind.is_nothing() => format!("unknown kind `{}`", brief(text)),
        _ => format!("expected a text, found {}", kind.noun()),
    };
    let help = "write `kind: group` for a group, and no `kind` for a virtual server";
    decoder.fault(&kind.place, "kind", message, Some(help.to_owned()));
    decoder.has_lost_a_group = true;
    None
}

fn kind(node: &Node) -> Option<&Node> {
    let Value::Mapping(members) = &node.value else { return None };
    members.iter().find_map(|(key, value)| match &key.value {
        Value::Scalar { text, .. } if snake_case(text) == "kind" => Some(value),
        _ => None,
    })
}
