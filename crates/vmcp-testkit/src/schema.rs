//! What a client hears is held to the official schema of its version, as far as vmcp is its author.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Value, json};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

static SCHEMAS: LazyLock<HashMap<&'static str, Value>> = LazyLock::new(|| {
    let read = |text: &str| serde_json::from_str(text).expect("a schema");
    HashMap::from([
        ("2024-11-05", read(include_str!("../../../tests/schema/2024-11-05.json"))),
        ("2025-03-26", read(include_str!("../../../tests/schema/2025-03-26.json"))),
        ("2025-06-18", read(include_str!("../../../tests/schema/2025-06-18.json"))),
        (LEGACY, read(include_str!("../../../tests/schema/2025-11-25.json"))),
        (MODERN, read(include_str!("../../../tests/schema/2026-07-28.json"))),
    ])
});

/// By version and name.
static VALIDATORS: LazyLock<Mutex<HashMap<(String, String), Validator>>> = LazyLock::new(Mutex::default);

/// Looks at one message that came back to a request.
///
/// # Panics
/// It does not fit.
pub(crate) fn check(asked: &Value, is_modern: bool, message: &Value) {
    let method = asked["method"].as_str().unwrap_or_default();
    let version = match method {
        _ if is_modern => MODERN,
        "initialize" => message["result"]["protocolVersion"].as_str().unwrap_or(LEGACY),
        _ => LEGACY,
    };
    if message.get("error").is_some() && message.get("id").is_some() {
        let name = if version >= LEGACY { "JSONRPCErrorResponse" } else { "JSONRPCError" };
        hold(version, name, message);
    }
    if let (Some(name), Some(result)) = (authored(method), message.get("result")) {
        hold(version, name, &without_items(result));
    }
    if let Some(name) = message["method"].as_str().and_then(notification) {
        hold(version, name, message);
    }
}

/// Results of which we are the author.
fn authored(method: &str) -> Option<&'static str> {
    Some(match method {
        "initialize" => "InitializeResult",
        "server/discover" => "DiscoverResult",
        "tools/list" => "ListToolsResult",
        "prompts/list" => "ListPromptsResult",
        "resources/list" => "ListResourcesResult",
        "resources/templates/list" => "ListResourceTemplatesResult",
        "ping" | "logging/setLevel" => "EmptyResult",
        _ => return None,
    })
}

/// Notifications of which we are the author.
fn notification(method: &str) -> Option<&'static str> {
    Some(match method {
        "notifications/tools/list_changed" => "ToolListChangedNotification",
        "notifications/prompts/list_changed" => "PromptListChangedNotification",
        "notifications/resources/list_changed" => "ResourceListChangedNotification",
        "notifications/subscriptions/acknowledged" => "SubscriptionsAcknowledgedNotification",
        _ => return None,
    })
}

/// Items are their backends', who may write what they like.
fn without_items(result: &Value) -> Value {
    let mut result = result.clone();
    for list in ["tools", "prompts", "resources", "resourceTemplates"] {
        if let Some(items) = result.get_mut(list).filter(|items| items.is_array()) {
            *items = json!([]);
        }
    }
    result
}

fn hold(version: &str, name: &str, value: &Value) {
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (version.to_owned(), name.to_owned());
    let validator = validators.entry(key).or_insert_with(|| definition(version, name));
    let faults: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    drop(validators);
    assert!(faults.is_empty(), "{version} {name}: {faults:?}\n{value}");
}

/// A definition of a version's schema.
fn definition(version: &str, name: &str) -> Validator {
    let mut schema = SCHEMAS.get(version).unwrap_or_else(|| panic!("no schema of {version}")).clone();
    let key = if schema.get("$defs").is_some() { "$defs" } else { "definitions" };
    assert!(schema[key].get(name).is_some(), "{version} has no {name}");
    let document = schema.as_object_mut().expect("an object");
    document.remove("anyOf");
    document.insert("$ref".to_owned(), json!(format!("#/{key}/{name}")));
    jsonschema::validator_for(&schema).expect("a schema")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "ListToolsResult")]
    fn a_list_without_its_scope_does_not_pass() {
        let result = json!({"tools": [], "resultType": "complete", "ttlMs": 0});
        check(&json!({"method": "tools/list"}), true, &json!({"id": 1, "result": result}));
    }
}
