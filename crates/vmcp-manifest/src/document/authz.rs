//! What those who may come in may do: policies, compiled as they are read, so that what is wrong with them is said with everything else.

use vmcp_authz::{Policies, PolicyFault};
use vmcp_core::boundary::Authorization;
use vmcp_core::sentence::shown;

use crate::decode::Key::{Built, Later};
use crate::decode::{Decoder, Table};
use crate::fault::Place;
use crate::tree::{Node, Value};

pub(crate) const AUTHZ: Table = Table {
    name: "Authz",
    keys: &[
        Built("type"),
        Built("policies"),
        Built("entities_json"),
        Built("group_claim_name"),
        Built("role_claim_name"),
        Built("group_entity_type"),
        Later("primary_upstream_provider"),
        Later("config_map"),
        Later("inline"),
    ],
};

pub(crate) const AUTHZ_TYPE: Table =
    Table { name: "AuthzType", keys: &[Built("cedar"), Built("none"), Later("httpv1")] };

/// The policies of the virtual server `name`; `None`: there are none, and everything may be done.
pub(super) fn authorization(
    decoder: &mut Decoder,
    node: &Node,
    path: &str,
    name: &str,
) -> Option<Authorization> {
    let fields = decoder.mapping(node, path, &AUTHZ)?;
    let help = "write `type: cedar`, or `type: none` to let everybody do everything who may come in";
    let kind = fields.require(decoder, "type", help);
    let kind = kind.and_then(|(node, path)| decoder.word(node, &path, &AUTHZ_TYPE));
    let policies = fields.get("policies");
    if kind == Some("none") {
        if let Some((node, path)) = policies.filter(|(node, path)| !decoder.list(node, path).is_empty()) {
            let message = "`type: none` has no policies".to_owned();
            decoder.fault(&node.place, &path, message, Some("write `type: cedar`".to_owned()));
        }
        for name in ["entities_json", "group_claim_name", "role_claim_name", "group_entity_type"] {
            if let Some((node, path)) = fields.get(name) {
                let message = format!("`{name}` is of no use with `type: none`");
                decoder.fault(&node.place, &path, message, Some("write `type: cedar`".to_owned()));
            }
        }
        return None;
    }
    // What policies there are is looked at, whatever is meant.
    if kind.is_none() && policies.is_none() {
        return None;
    }
    let (list, list_path) = match policies {
        Some(found) if !decoder.list(found.0, &found.1).is_empty() => found,
        _ => {
            let message = "`type: cedar` needs `policies`: without any, everything is denied".to_owned();
            let help =
                "a policy is a text, such as `permit(principal, action, resource in Backend::\"notes\");`";
            decoder.fault(fields.place, path, message, Some(help.to_owned()));
            return None;
        }
    };
    let nodes = decoder.list(list, &list_path);
    let texts = nodes.iter().enumerate().map(|(at, node)| decoder.text(node, &format!("{list_path}[{at}]")));
    let policies: Option<Vec<String>> = texts.collect::<Vec<_>>().into_iter().collect();
    let entities = fields.get("entities_json");
    let mut text = |name: &str| {
        let (node, path) = fields.get(name)?;
        decoder.text::<String>(node, &path)
    };
    let authorization = Authorization {
        policies: policies?,
        entities: text("entities_json"),
        group_claim: text("group_claim_name"),
        role_claim: text("role_claim_name"),
        group_type: text("group_entity_type"),
        lines: Vec::new(),
    };
    let lines = nodes.iter().map(|node| decoder.line(&decoder.place_in(node, 0))).collect();
    let authorization = Authorization { lines, ..authorization };
    match Policies::compile(name, &authorization) {
        Ok(_) => kind.map(|_| authorization),
        Err(faults) => {
            for fault in faults {
                let (place, path) = match (fault.policy.and_then(|at| Some((at, nodes.get(at)?))), &entities)
                {
                    (Some((at, node)), _) => {
                        (decoder.place_in(node, fault.offset), format!("{list_path}[{at}]"))
                    }
                    (None, Some((node, path))) => (node.place, path.clone()),
                    (None, None) => (*fields.place, path.to_owned()),
                };
                let PolicyFault { message, help, .. } = fault;
                decoder.fault(&place, &path, shown(&message), help);
            }
            None
        }
    }
}

impl Decoder {
    /// Where something stands that is so many bytes behind the beginning of a text.
    fn place_in(&self, node: &Node, offset: usize) -> Place {
        let place = node.place;
        let Value::Scalar { text, .. } = &node.value else { return place };
        let written = self.texts.get(place.source as usize).and_then(|source| source.get(place.range()));
        let Some(written) = written else { return place };
        let before = text.get(..offset.min(text.len())).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count();
        // A block begins on the line behind its sign.
        let is_signed = written.starts_with(['|', '>']);
        let skipped = line + usize::from(is_signed);
        let start = match skipped {
            0 => 0,
            lines => match written.match_indices('\n').nth(lines - 1) {
                Some((at, _)) => at + 1,
                None => return place,
            },
        };
        let rest = written.get(start..).unwrap_or_default();
        let end = rest.find('\n').unwrap_or(rest.len());
        let blank = rest.len() - rest.trim_start_matches(' ').len();
        let (start, length) = (start + blank.min(end), end - blank.min(end));
        let moved = u32::try_from(start).unwrap_or_default();
        Place {
            line: place.line + u32::try_from(skipped).unwrap_or_default(),
            column: if skipped == 0 { place.column } else { u32::try_from(blank + 1).unwrap_or_default() },
            start: place.start + moved,
            end: place.start + moved + u32::try_from(length).unwrap_or_default(),
            ..place
        }
    }
}
