//! One document: a virtual server, or with `kind: group` a group.

pub(crate) mod aggregation;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod authz;
pub(crate) mod client;
pub(crate) mod group;
mod header;
pub(crate) mod operational;
pub(crate) mod outgoing;
pub(crate) mod secret;
pub(crate) mod toolhive;
pub(crate) mod virtual_server;
pub(crate) mod workload;

use std::sync::Arc;

use vmcp_core::desired::{Group, VirtualServer};
use vmcp_core::sentence::shown;

use crate::decode::{Decoder, join, snake_case};
use crate::fault::Place;
use crate::tree::{Node, Value};

/// What a document says, and where its names stand.
#[derive(Debug)]
pub(crate) enum Document {
    VirtualServer {
        server: Box<VirtualServer>,
        places: Places,
        /// The group, where it is written inline.
        inline: Option<Group>,
    },
    Group {
        group: Group,
        name: Place,
    },
}

/// Where a virtual server's names stand, for faults that show only when all documents are known.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) name: Place,
    pub(crate) group: Place,
    /// The workloads that it names.
    pub(crate) workloads: Vec<Mention>,
}

/// A workload that is named where it is not described.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) workload: Box<str>,
    /// The way to what it stands in; the last step is made when somebody wants to read it, since there can be many.
    pub(crate) path: Arc<str>,
    pub(crate) step: Step,
    pub(crate) place: Place,
}

/// The last step of a way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// It is all there.
    None,
    /// The workload is the key.
    Key,
    /// So far in a list.
    Index(usize),
}

impl Mention {
    /// The whole way.
    pub(crate) fn path(&self) -> String {
        match self.step {
            Step::None => self.path.to_string(),
            Step::Key => join(&self.path, &shown(&self.workload)),
            Step::Index(index) => format!("{}[{index}]", self.path),
        }
    }
}

/// Reads a document. `None`: it says nothing that can be used, and its faults have been gathered.
pub(crate) fn document(decoder: &mut Decoder, node: &Node) -> Option<Document> {
    let Some(kind) = kind(node) else {
        // An inline group may be the one that is missing elsewhere.
        let server = virtual_server::virtual_server(decoder, node);
        decoder.has_lost_a_group |= server.is_none() && has_key(node, "backends");
        return server;
    };
    if says_group(node) {
        let group = group::group(decoder, node);
        decoder.has_lost_a_group |= group.is_none();
        return group;
    }
    let message = match &kind.value {
        Value::Scalar { text, .. } if !kind.is_nothing() => format!("unknown kind `{}`", shown(text)),
        _ => format!("expected a text, found {}", kind.noun()),
    };
    let help = "write `kind: group` for a group, and no `kind` for a virtual server";
    decoder.fault(&kind.place, "kind", message, Some(help.to_owned()));
    decoder.has_lost_a_group = true;
    None
}

/// Whether a document says that it describes a group.
pub(crate) fn says_group(node: &Node) -> bool {
    kind(node).is_some_and(|kind| matches!(&kind.value, Value::Scalar { text, .. } if &**text == "group"))
}

/// What a document says is its name.
pub(crate) fn named(node: &Node) -> Option<&str> {
    match &member(node, "name")?.value {
        Value::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

fn kind(node: &Node) -> Option<&Node> {
    member(node, "kind")
}

fn has_key(node: &Node, name: &str) -> bool {
    member(node, name).is_some()
}

fn member<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Value::Mapping(members) = &node.value else { return None };
    members.iter().find_map(|(key, value)| match &key.value {
        Value::Scalar { text, .. } if snake_case(text) == name => Some(value),
        _ => None,
    })
}
