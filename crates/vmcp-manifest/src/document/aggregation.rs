//! `aggregation`: how names are made, what is hidden, what is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vmcp_core::aggregation::{Aggregation, Annotations, ConflictResolution, Filter, Override, ToolRules};
use vmcp_core::name::Name;
use vmcp_core::sentence::shown;
use vmcp_core::tool_name::ToolName;

use crate::decode::Key::{Built, Later};
use crate::decode::{Decoder, Fields, Table, join};
use crate::document::{Mention, Step};
use crate::tree::Node;

pub(crate) const AGGREGATION: Table = Table {
    name: "Aggregation",
    keys: &[
        Built("conflict_resolution"),
        Built("conflict_resolution_config"),
        Built("tools"),
        Built("exclude_all_tools"),
        Built("default_tool_visibility"),
        Built("max_name_length"),
    ],
};

pub(crate) const CONFLICT_RESOLUTION: Table =
    Table { name: "ConflictResolution", keys: &[Built("prefix"), Built("priority"), Built("manual")] };

pub(crate) const CONFIG: Table =
    Table { name: "ConflictResolutionConfig", keys: &[Built("prefix_format"), Built("priority_order")] };

pub(crate) const VISIBILITY: Table = Table { name: "ToolVisibility", keys: &[Built("allow"), Built("deny")] };

pub(crate) const TOOL_RULES: Table = Table {
    name: "ToolRules",
    keys: &[
        Built("workload"),
        Built("filter"),
        Built("overrides"),
        Built("exclude_all"),
        Later("tool_config_ref"),
    ],
};

pub(crate) const OVERRIDE: Table =
    Table { name: "Override", keys: &[Built("name"), Built("description"), Built("annotations")] };

pub(crate) const ANNOTATIONS: Table = Table {
    name: "Annotations",
    keys: &[
        Built("title"),
        Built("read_only_hint"),
        Built("destructive_hint"),
        Built("idempotent_hint"),
        Built("open_world_hint"),
    ],
};

/// What it says, and the workloads that it names.
pub(super) fn aggregation(decoder: &mut Decoder, node: &Node, path: &str) -> (Aggregation, Vec<Mention>) {
    let mut aggregation = Aggregation::default();
    let mut mentions = Vec::new();
    let Some(fields) = decoder.mapping(node, path, &AGGREGATION) else { return (aggregation, mentions) };
    let word = match fields.get("conflict_resolution") {
        Some((node, path)) => decoder.word(node, &path, &CONFLICT_RESOLUTION),
        None => Some("prefix"),
    };
    config(decoder, &fields, word, &mut aggregation, &mut mentions);
    if let Some((node, path)) = fields.get("tools") {
        for (index, node) in decoder.list(node, &path).iter().enumerate() {
            tool_rules(decoder, node, &format!("{path}[{index}]"), &mut aggregation, &mut mentions);
        }
    }
    if let Some((node, path)) = fields.get("exclude_all_tools") {
        let is_so = decoder.boolean(node, &path) == Some(true);
        aggregation.exclude_all_tools = is_so.then(|| decoder.line(&node.place));
    }
    if let Some((node, path)) = fields.get("default_tool_visibility") {
        let is_deny = decoder.word(node, &path, &VISIBILITY) == Some("deny");
        aggregation.deny_by_default = is_deny.then(|| decoder.line(&node.place));
        unlisted(decoder, node, &path, &aggregation);
    }
    if let Some((node, path)) = fields.get("max_name_length") {
        aggregation.max_name_length = decoder.text(node, &path);
    }
    (aggregation, mentions)
}

/// The strategy with what it needs.
fn config(
    decoder: &mut Decoder,
    fields: &Fields<'_>,
    word: Option<&str>,
    aggregation: &mut Aggregation,
    mentions: &mut Vec<Mention>,
) {
    let config = fields.get("conflict_resolution_config");
    let config = config.and_then(|(node, path)| decoder.mapping(node, &path, &CONFIG));
    if let Some((node, path)) = config.as_ref().and_then(|config| config.get("prefix_format")) {
        aggregation.prefix_format = decoder.text(node, &path).unwrap_or_default();
    }
    let order = config.as_ref().and_then(|config| config.get("priority_order"));
    match (word, order) {
        (Some("manual"), None) => aggregation.conflict_resolution = ConflictResolution::Manual,
        (Some("priority"), Some((node, path))) => {
            let order = priority_order(decoder, node, &path, mentions);
            aggregation.conflict_resolution = ConflictResolution::Priority(order);
        }
        (Some("priority"), None) => {
            let help =
                "write `conflict_resolution_config: {priority_order: [WORKLOAD, …]}`, the first one first";
            let message = "`priority` needs a `priority_order`".to_owned();
            let (node, path) = match fields.get("conflict_resolution") {
                Some(found) => found,
                None => return,
            };
            decoder.fault(&node.place, &path, message, Some(help.to_owned()));
        }
        (Some(other), Some((node, path))) => {
            let message = format!("`priority_order` belongs to `priority`, and this is `{other}`");
            decoder.fault(&node.place, &path, message, Some("take one of them out".to_owned()));
            if other == "manual" {
                aggregation.conflict_resolution = ConflictResolution::Manual;
            }
        }
        (None | Some(_), _) => {}
    }
}

fn priority_order(decoder: &mut Decoder, node: &Node, path: &str, mentions: &mut Vec<Mention>) -> Vec<Name> {
    let mut order: Vec<Name> = Vec::new();
    let mut seen = BTreeSet::new();
    let base: Arc<str> = path.into();
    let nodes = decoder.list(node, path);
    if nodes.is_empty() {
        let message = "a `priority_order` names at least one workload".to_owned();
        decoder.fault(&node.place, path, message, None);
    }
    for (index, node) in nodes.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(name) = decoder.text::<Name>(node, &path) else { continue };
        if !seen.insert(name.clone()) {
            let message = format!("`{name}` stands in the order twice");
            decoder.fault(&node.place, &path, message, Some("take one of them out".to_owned()));
            continue;
        }
        let step = Step::Index(index);
        mentions.push(Mention {
            workload: name.as_str().into(),
            path: base.clone(),
            step,
            place: node.place,
        });
        order.push(name);
    }
    order
}

/// With `deny`, a workload in `priority_order` that has no rules would win names and show none of them.
fn unlisted(decoder: &mut Decoder, node: &Node, path: &str, aggregation: &Aggregation) {
    let ConflictResolution::Priority(order) = &aggregation.conflict_resolution else { return };
    if aggregation.deny_by_default.is_none() {
        return;
    }
    for name in order.iter().filter(|name| !aggregation.tools.contains_key(*name)) {
        let message = format!("`{name}` stands in `priority_order`, and `deny` hides all its tools");
        let help = format!("add to `tools`: `- workload: {name}`");
        decoder.fault(&node.place, path, message, Some(help));
    }
}

fn tool_rules(
    decoder: &mut Decoder,
    node: &Node,
    path: &str,
    aggregation: &mut Aggregation,
    mentions: &mut Vec<Mention>,
) {
    let Some(fields) = decoder.mapping(node, path, &TOOL_RULES) else { return };
    let workload = fields.require(decoder, "workload", "name the workload whose tools these are");
    let workload = workload.and_then(|(node, path)| {
        let name: Name = decoder.text(node, &path)?;
        let (workload, path) = (name.as_str().into(), path.into());
        mentions.push(Mention { workload, path, step: Step::None, place: node.place });
        Some((name, node))
    });
    let filter = fields.get("filter").map(|(node, path)| filter(decoder, node, &path));
    let overrides = fields.get("overrides").map(|(node, path)| overrides(decoder, node, &path));
    let exclude_all = fields
        .get("exclude_all")
        .and_then(|(node, path)| (decoder.boolean(node, &path)?).then(|| decoder.line(&node.place)));
    let rules = ToolRules {
        line: decoder.line(&node.place),
        filter: filter.unwrap_or_default(),
        overrides: overrides.unwrap_or_default(),
        exclude_all,
    };
    let Some((workload, node)) = workload else { return };
    if aggregation.tools.insert(workload.clone(), rules).is_some() {
        let message = format!("there are rules for `{workload}` already");
        let help = "write all of them in one entry".to_owned();
        decoder.fault(&node.place, &join(path, "workload"), message, Some(help));
    }
}

fn filter(decoder: &mut Decoder, node: &Node, path: &str) -> Vec<Filter> {
    let nodes = decoder.list(node, path);
    if nodes.is_empty() {
        let message = "an empty `filter` would hide nothing".to_owned();
        let help = "take it out to list every tool, or write `exclude_all: true` to list none".to_owned();
        decoder.fault(&node.place, path, message, Some(help));
    }
    let filters = nodes.iter().enumerate().filter_map(|(index, node)| {
        let name = decoder.text(node, &format!("{path}[{index}]"))?;
        Some(Filter { name, line: decoder.line(&node.place) })
    });
    filters.collect()
}

fn overrides(decoder: &mut Decoder, node: &Node, path: &str) -> BTreeMap<String, Override> {
    let mut overrides = BTreeMap::new();
    let mut names: BTreeMap<ToolName, &str> = BTreeMap::new();
    for (key, node) in decoder.free_mapping(node, path) {
        let tool = key.text();
        let path = join(path, &shown(tool));
        let Some(fields) = decoder.mapping(node, &path, &OVERRIDE) else { continue };
        let name = fields.get("name").and_then(|(node, path)| decoder.text::<ToolName>(node, &path));
        let description = fields.get("description").and_then(|(node, path)| decoder.text(node, &path));
        let annotations = fields.get("annotations").map(|(node, path)| annotations(decoder, node, &path));
        if ["name", "description", "annotations"].iter().all(|key| fields.get(key).is_none()) {
            let message = format!("this changes nothing of `{}`", shown(tool));
            let help = "write a `name`, a `description` or `annotations`".to_owned();
            decoder.fault(&node.place, &path, message, Some(help));
        }
        if let Some(name) = &name
            && let Some(other) = names.insert(name.clone(), tool)
        {
            let message = format!("`{}` and `{}` would both be called `{name}`", shown(other), shown(tool));
            decoder.fault(&key.place, &path, message, Some("give one of them another name".to_owned()));
        }
        let annotations = annotations.unwrap_or_default();
        let line = decoder.line(&key.place);
        overrides.insert(tool.to_owned(), Override { line, name, description, annotations });
    }
    overrides
}

fn annotations(decoder: &mut Decoder, node: &Node, path: &str) -> Annotations {
    let mut annotations = Annotations::default();
    let Some(fields) = decoder.mapping(node, path, &ANNOTATIONS) else { return annotations };
    if let Some((node, path)) = fields.get("title") {
        annotations.title = decoder.text(node, &path);
    }
    for (key, hint) in [
        ("read_only_hint", &mut annotations.read_only_hint),
        ("destructive_hint", &mut annotations.destructive_hint),
        ("idempotent_hint", &mut annotations.idempotent_hint),
        ("open_world_hint", &mut annotations.open_world_hint),
    ] {
        if let Some((node, path)) = fields.get(key) {
            *hint = decoder.boolean(node, &path);
        }
    }
    annotations
}
