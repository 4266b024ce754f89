//! What a manifest can say, for editors and for the reference: a JSON Schema and its rows. The types here are never read into;
//! a test holds them to the tables that the decoder reads by.

mod raw;
mod reference;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::decode::Key;
use crate::document::{virtual_server, workload};

pub use reference::{Row, Section, reference};

/// The JSON Schema (2020-12) of one document of a manifest. Both spellings of each key are in it.
pub fn schema() -> Value {
    let mut whole = definitions();
    for definition in whole.values_mut() {
        forbid_nothing(definition);
        take_plain_scalars(definition);
        add_synonyms(definition);
    }
    let either = |keys: &[&str]| keys.iter().map(|key| json!({"required": [key]})).collect::<Value>();
    let one_of = [("Workload", either(&["url", "urls", "command"])), ("Reference", either(&["env", "file"]))];
    for (name, alternatives) in one_of {
        if let Some(definition) = whole.get_mut(name).and_then(Value::as_object_mut) {
            definition.insert("oneOf".to_owned(), alternatives);
        }
    }
    if let Some(group) = whole.get_mut("Group").and_then(Value::as_object_mut) {
        let either = json!({"anyOf": either(&["workloads", "toolhive"])});
        match group.get_mut("allOf").and_then(Value::as_array_mut) {
            Some(all) => all.push(either),
            None => drop(group.insert("allOf".to_owned(), json!([either]))),
        }
    }
    if let Some(words) = whole.get_mut("Transport").and_then(|words| words["enum"].as_array_mut()) {
        words.extend(workload::TRANSPORT.keys.iter().filter_map(|key| match key {
            Key::Synonym(word, _) => Some(json!(word)),
            Key::Built(_) | Key::Later(_) => None,
        }));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vmcp manifest",
        "description": "One document of a manifest: a virtual server, or with `kind: group` a group.",
        "type": "object",
        "if": {"properties": {"kind": {"const": "group"}}, "required": ["kind"]},
        "then": {"$ref": "#/$defs/Group"},
        "else": {"$ref": "#/$defs/VirtualServer"},
        "$defs": whole,
    })
}

/// Every kind of mapping and every set of words, by name, with keys in snake_case only.
fn definitions() -> Map<String, Value> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    generator.subschema_for::<raw::VirtualServer>();
    generator.subschema_for::<raw::Group>();
    generator.take_definitions(false)
}

/// A key that is there holds something.
fn forbid_nothing(definition: &mut Value) {
    let properties = definition.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        for (key, nothing) in [("type", json!("null")), ("anyOf", json!({"type": "null"}))] {
            if let Some(choices) = property.get_mut(key).and_then(Value::as_array_mut) {
                choices.retain(|choice| *choice != nothing);
            }
        }
        property.retain(|_, value| !value.is_null());
    }
}

/// What looks like a number or a boolean is a text where a text is expected.
fn take_plain_scalars(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let is_text = members
                .get("type")
                .is_some_and(|kind| *kind == json!("string") || *kind == json!(["string"]));
            if is_text && !members.contains_key("enum") && !members.contains_key("const") {
                members.insert("type".to_owned(), json!(["string", "number", "boolean"]));
            }
            members.values_mut().for_each(take_plain_scalars);
        }
        Value::Array(items) => items.iter_mut().for_each(take_plain_scalars),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `prefixFormat` beside `prefix_format`, and what else the decoder takes for a key.
fn add_synonyms(definition: &mut Value) {
    let Some(properties) = definition.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let mut synonyms = Map::new();
    for (key, value) in properties.iter() {
        let others = virtual_server::VIRTUAL_SERVER.keys.iter().filter_map(|other| match other {
            Key::Synonym(other, meaning) if meaning == key => Some(*other),
            _ => None,
        });
        for other in others.chain([key.as_str()]) {
            for spelling in [other.to_owned(), camel_case(other)] {
                if !properties.contains_key(&spelling) {
                    synonyms.insert(spelling, value.clone());
                }
            }
        }
    }
    properties.extend(synonyms);
    // A required key may be there in either spelling.
    let required = definition.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let alternatives = required.iter().filter_map(Value::as_str).map(|key| {
        let mut spellings = vec![key.to_owned(), camel_case(key)];
        if key == "group" {
            spellings.extend(["group_ref".to_owned(), "groupRef".to_owned()]);
        }
        spellings.dedup();
        let any: Vec<Value> = spellings.iter().map(|key| json!({"required": [key]})).collect();
        json!({"anyOf": any})
    });
    let alternatives: Vec<Value> = alternatives.collect();
    if let Some(definition) = definition.as_object_mut().filter(|_| !alternatives.is_empty()) {
        definition.remove("required");
        definition.insert("allOf".to_owned(), Value::Array(alternatives));
    }
}

/// `prefix_format` is `prefixFormat`.
fn camel_case(key: &str) -> String {
    let mut words = key.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut whole, word| {
        let mut characters = word.chars();
        whole.extend(characters.next().map(|c| c.to_ascii_uppercase()));
        whole.push_str(characters.as_str());
        whole
    })
}

#[cfg(test)]
mod tests;
