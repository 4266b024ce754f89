//! The schema that policies are held to: our vocabulary, with the claims and arguments that they read, and the entities written out.

use std::collections::BTreeMap;

use cedar_policy::Schema;
use serde_json::{Map, Value, json};

use crate::entity::Given;
use crate::hints::Hints;
use crate::infer::Uses;
use crate::shape::{Shape, record};
use crate::vocabulary::{ACTION, Act, BACKEND, CLIENT, MCP};

/// Claims that everybody has.
const CERTAIN: [&str; 2] = ["claim_sub", "claim_iss"];

/// Our types and actions, and what was written out.
///
/// # Errors
/// Names that Cedar does not take.
pub(crate) fn schema(uses: &Uses, given: &Given, group: &str) -> Result<Schema, String> {
    let claims: BTreeMap<String, Shape> = named(uses, "claim_");
    let arguments: BTreeMap<String, Shape> = named(uses, "arg_");
    let mut types: BTreeMap<String, (Map<String, Value>, Vec<String>)> = BTreeMap::new();
    types.insert(CLIENT.into(), (attributes(&certain(record(&claims))), vec![group.into()]));
    types.insert(group.into(), (Map::new(), Vec::new()));
    types.insert(MCP.into(), (Map::new(), Vec::new()));
    types.insert(BACKEND.into(), (Map::new(), vec![MCP.into()]));
    for act in Act::ALL {
        let mut shape = attributes(&record(&arguments));
        let texts: &[&str] = match act {
            Act::ReadResource => &["name", "original_name", "backend", "operation", "feature", "uri"],
            Act::CallTool | Act::GetPrompt => &["name", "original_name", "backend", "operation", "feature"],
        };
        shape.extend(texts.iter().map(|name| ((*name).to_owned(), json!({"type": "String"}))));
        if act == Act::CallTool {
            let hint = || json!({"type": "Boolean", "required": false});
            shape.extend(Hints::NAMES.map(|name| (name.to_owned(), hint())));
        }
        types.insert(act.on_type().into(), (shape, vec![BACKEND.into(), MCP.into()]));
    }
    for (name, kind) in &given.kinds {
        let known = types.entry(name.clone()).or_default();
        for (name, shape) in attributes(&record(&kind.attributes)) {
            known.0.entry(name).or_insert(shape);
        }
        known.1.extend(kind.parents.iter().cloned());
        for parent in &kind.parents {
            types.entry(parent.clone()).or_default();
        }
    }
    let types =
        types.into_iter().filter(|(name, _)| name != ACTION).map(|(name, (attributes, mut parents))| {
            parents.sort();
            parents.dedup();
            let shape = json!({"type": "Record", "attributes": attributes});
            (name, json!({"shape": shape, "memberOfTypes": parents}))
        });
    let mut context = claims.clone();
    context.extend(arguments);
    let context = certain(record(&context));
    let actions = Act::ALL.into_iter().flat_map(|act| {
        let applies =
            json!({"principalTypes": [CLIENT], "resourceTypes": [act.on_type()], "context": context});
        [act.name(), act.method()].map(|name| (name.to_owned(), json!({"appliesTo": applies})))
    });
    let all = json!({"": {
        "entityTypes": types.collect::<Map<_, _>>(),
        "actions": actions.collect::<Map<_, _>>(),
    }});
    Schema::from_json_value(all).map_err(|error| error.to_string())
}

fn named(uses: &Uses, prefix: &str) -> BTreeMap<String, Shape> {
    let all = uses.shapes.iter().filter(|(name, _)| name.starts_with(prefix));
    all.map(|(name, shape)| (name.clone(), shape.clone())).collect()
}

/// What is certain need not be asked for with `has`.
fn certain(mut record: Value) -> Value {
    for name in CERTAIN {
        record["attributes"][name] = json!({"type": "String"});
    }
    record
}

fn attributes(record: &Value) -> Map<String, Value> {
    record["attributes"].as_object().cloned().unwrap_or_default()
}
