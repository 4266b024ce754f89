//! A group: a named set of MCP servers, written out, found by a provider, or both.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use vmcp_core::desired::{Address, Group};
use vmcp_core::name::Name;

use crate::decode::Key::{Built, Later};
use crate::decode::{Decoder, Table};
use crate::document::{Document, toolhive, workload};
use crate::tree::Node;

pub(crate) const GROUP: Table = Table {
    name: "Group",
    keys: &[
        Built("kind"),
        Built("name"),
        Built("workloads"),
        Built("toolhive"),
        Later("kubernetes"),
        Later("docker"),
    ],
};

pub(super) fn group(decoder: &mut Decoder, node: &Node) -> Option<Document> {
    let fields = decoder.mapping(node, "", &GROUP)?;
    let name = fields.require(decoder, "name", "virtual servers name it in `group`");
    let name = name.and_then(|(node, path)| Some((decoder.text(node, &path)?, &node.place)));
    let found = fields.get("toolhive");
    let written = match found {
        Some(_) => fields.get("workloads"),
        None => fields.require(decoder, "workloads", "an empty group is `workloads: []`"),
    };
    let workloads = match written {
        Some((node, path)) => workloads(decoder, node, &path, &workload::WORKLOAD),
        None => BTreeMap::new(),
    };
    let named = name.as_ref().map(|(name, _)| name);
    let toolhive = found.map(|(node, path)| toolhive::toolhive(decoder, node, &path, named));
    let (name, place) = name?;
    // Without a provider that it wants, a group is not what it says.
    let toolhive = toolhive.map_or(Some(None), |usable| usable.map(Some))?;
    Some(Document::Group { group: Group { name, workloads, toolhive }, name: *place })
}

/// A list of workloads, each of which has the keys of `table`.
pub(super) fn workloads(
    decoder: &mut Decoder,
    node: &Node,
    path: &str,
    table: &Table,
) -> BTreeMap<Name, Address> {
    let mut workloads = BTreeMap::new();
    for (index, node) in decoder.list(node, path).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some((name, address)) = workload::workload(decoder, node, &path, table) else { continue };
        match workloads.entry(name) {
            Entry::Vacant(place) => drop(place.insert(address)),
            Entry::Occupied(taken) => {
                let message = format!("a workload `{}` is there already", taken.key());
                decoder.fault(&node.place, &path, message, None);
            }
        }
    }
    workloads
}
