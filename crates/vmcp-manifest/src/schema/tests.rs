use std::collections::BTreeSet;

use super::*;
use crate::decode::Table;
use crate::document::{aggregation, auth, group, secret, virtual_server, workload};

/// Every table that the decoder reads by.
const TABLES: &[&Table] = &[
    &virtual_server::VIRTUAL_SERVER,
    &auth::INCOMING,
    &auth::INCOMING_TYPE,
    &auth::OUTGOING,
    &auth::OUTGOING_SOURCE,
    &auth::STRATEGY,
    &auth::STRATEGY_TYPE,
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
    &secret::REFERENCE,
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
    let named: BTreeSet<&str> = TABLES.iter().map(|table| table.name).chain(["TextOrReference"]).collect();
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
