use std::collections::BTreeSet;

use super::*;
use crate::decode::Table;
use crate::document::{
    aggregation, audit, auth, authz, client, group, operational, outgoing, secret, toolhive, virtual_server,
    workload,
};
use crate::tree::{Node, Value as Tree};

/// Every table that the decoder reads by.
const TABLES: &[&Table] = &[
    &virtual_server::VIRTUAL_SERVER,
    &auth::INCOMING,
    &auth::INCOMING_TYPE,
    &auth::OIDC,
    &authz::AUTHZ,
    &authz::AUTHZ_TYPE,
    &client::AUTH_METHOD,
    &client::KEY_ALGORITHM,
    &outgoing::OUTGOING,
    &outgoing::OUTGOING_SOURCE,
    &outgoing::STRATEGY,
    &outgoing::STRATEGY_TYPE,
    &outgoing::TOKEN_EXCHANGE,
    &outgoing::SERVICE_ACCOUNT,
    &outgoing::HEADER_INJECTION,
    &aggregation::AGGREGATION,
    &aggregation::CONFLICT_RESOLUTION,
    &aggregation::CONFIG,
    &aggregation::VISIBILITY,
    &aggregation::TOOL_RULES,
    &aggregation::OVERRIDE,
    &aggregation::ANNOTATIONS,
    &group::GROUP,
    &workload::WORKLOAD,
    &workload::BACKEND,
    &workload::TRANSPORT,
    &workload::SESSIONS,
    &workload::INVENTORY,
    &secret::REFERENCE,
    &toolhive::TOOLHIVE,
    &audit::AUDIT,
    &audit::EVENT_TYPE,
    &audit::OVERFLOW,
    &operational::OPERATIONAL,
    &operational::TIMEOUTS,
    &operational::BOUNDS,
    &operational::FAILURE_HANDLING,
    &operational::PARTIAL_FAILURE_MODE,
    &operational::CIRCUIT_BREAKER,
];

#[test]
fn decoder_and_schema_know_the_same_keys_and_words() {
    let definitions = definitions();
    for table in TABLES {
        let definition = definitions.get(table.name).unwrap_or_else(|| panic!("no `{}`", table.name));
        let known: BTreeSet<&str> = match definition["properties"].as_object() {
            Some(properties) => properties.keys().map(String::as_str).collect(),
            None => definition["enum"].as_array().unwrap().iter().filter_map(Value::as_str).collect(),
        };
        let built = table.keys.iter().filter(|key| matches!(key, Key::Built(_))).map(|key| key.name());
        assert_eq!(built.collect::<BTreeSet<_>>(), known, "{}", table.name);
    }
    let named: BTreeSet<&str> = TABLES
        .iter()
        .map(|table| table.name)
        .chain(["TextOrReference", "TimeOrBounds", "OneOrSeveral"])
        .collect();
    assert_eq!(definitions.keys().map(String::as_str).collect::<BTreeSet<_>>(), named);
}

#[test]
fn every_key_is_explained() {
    for section in reference() {
        assert!(!section.description.is_empty(), "{}", section.name);
        for row in section.rows {
            assert!(!row.description.is_empty() && !row.value.is_empty(), "{}: {row:?}", section.name);
        }
    }
}

#[test]
fn what_the_reference_says_of_a_key_is_what_the_decoder_does() {
    let aggregation = reference().into_iter().find(|section| section.name == "Aggregation").unwrap();
    let row = |key: &str| aggregation.rows.iter().find(|row| row.key == key).unwrap();
    assert_eq!(row("conflict_resolution").value, "`prefix`, `priority`, `manual`");
    assert_eq!(row("conflict_resolution").default, "prefix");
    assert_eq!(row("tools").value, "list of ToolRules");
    assert_eq!(row("exclude_all_tools").default, "false");
}

#[test]
fn camel_case_is_the_other_way_round() {
    for key in ["name", "prefix_format", "read_only_hint", "ca_bundle_path"] {
        assert_eq!(crate::decode::snake_case(&camel_case(key)), key);
    }
}

/// A tree as an editor's validator sees it.
fn as_json(node: &Node) -> Value {
    match &node.value {
        _ if node.is_nothing() => Value::Null,
        Tree::Scalar { text, is_plain: true } => {
            serde_json::from_str::<Value>(text).ok().filter(|v| !v.is_string()).unwrap_or_else(|| json!(text))
        }
        Tree::Scalar { text, .. } => json!(text),
        Tree::Sequence(items) => items.iter().map(as_json).collect(),
        Tree::Mapping(members) => {
            let key = |node: &Node| {
                as_json(node).as_str().map_or_else(|| as_json(node).to_string(), ToOwned::to_owned)
            };
            members
                .iter()
                .map(|(name, value)| (key(name), as_json(value)))
                .collect::<Map<String, Value>>()
                .into()
        }
    }
}

#[test]
fn what_the_decoder_accepts_the_schema_accepts() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let root = format!("{}/../..", env!("CARGO_MANIFEST_DIR"));
    let mut documents = 0;
    for folder in fs_err::read_dir(format!("{root}/examples")).unwrap() {
        let file = folder.unwrap().path().join("vmcp.yaml");
        let text = fs_err::read_to_string(&file).unwrap();
        for document in crate::tree::parse(0, &text).0 {
            let value = as_json(&document);
            let faults: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(faults.is_empty(), "{}: {faults:?}", file.display());
            documents += 1;
        }
    }
    assert!(documents >= 10);
    let odd = "name: 2024
groupRef: true
incoming_auth: {type: anonymous}
aggregation: {tools: [{workload: 7, filter: [1, true], overrides: {x: {description: 5}}}]}
---
kind: group
name: true
workloads: [{name: 7, command: 7, args: [1], env: {A: true}}, {name: b, url: 'http://h/', transport: streamable}]
";
    assert!(crate::read(&[crate::Source { name: "f", text: odd }]).is_ok());
    for document in crate::tree::parse(0, odd).0 {
        let value = as_json(&document);
        let faults: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
    for refused in [
        "name: a\ngroup: g\nincoming_auth: {type: anonymous}\naggregation:\n",
        "Name: a\ngroup: g\nincoming_auth: {type: anonymous}\n",
    ] {
        assert!(
            crate::tree::parse(0, refused).0.iter().any(|document| !validator.is_valid(&as_json(document)))
        );
        assert!(crate::read(&[crate::Source { name: "f", text: refused }]).is_err());
    }
    for refused in ["twelve-faults", "toolhive-snake"] {
        let text = fs_err::read_to_string(format!("{root}/tests/manifests/{refused}.yaml")).unwrap();
        assert!(
            crate::tree::parse(0, &text).0.iter().any(|document| !validator.is_valid(&as_json(document)))
        );
    }
}
