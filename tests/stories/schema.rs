//! Every message that we author ourselves fits the official schema of its version.

use std::time::Duration;

use jsonschema::Validator;
use serde_json::{Value, json};
use vmcp_testkit::{RawBackend, Recorded, mcp_reply, modern};

use crate::{at, root, serve};

/// A definition of a version's schema.
fn definition(version: &str, name: &str) -> Validator {
    let text = fs_err::read_to_string(root().join(format!("tests/schema/{version}.json"))).unwrap();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    let key = if schema.get("$defs").is_some() { "$defs" } else { "definitions" };
    assert!(schema[key].get(name).is_some(), "{version} has no {name}");
    let document = schema.as_object_mut().unwrap();
    document.remove("anyOf");
    document.insert("$ref".to_owned(), json!(format!("#/{key}/{name}")));
    jsonschema::validator_for(&schema).unwrap()
}

fn check(version: &str, name: &str, message: &Value) {
    let faults: Vec<String> =
        definition(version, name).iter_errors(message).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{version} {name}: {faults:?}\n{message}");
}

#[tokio::test]
async fn messages_that_we_author_fit_the_schema_of_their_version() {
    let tool = r#"{"name":"echo","description":"e","inputSchema":{"type":"object"}}"#;
    let backend = RawBackend::start(move |recorded: &Recorded| {
        mcp_reply(recorded, true, tool).unwrap_or_else(|| recorded.result("{}"))
    })
    .await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let client = served.client();

    for (method, name) in [
        ("server/discover", "DiscoverResult"),
        ("tools/list", "ListToolsResult"),
        ("resources/list", "ListResourcesResult"),
        ("resources/templates/list", "ListResourceTemplatesResult"),
        ("prompts/list", "ListPromptsResult"),
    ] {
        let message = client.modern(method, "").await.json();
        check("2026-07-28", name, &message["result"]);
        check("2026-07-28", "JSONRPCResultResponse", &message);
    }
    let unknown = client.modern("tools/call", r#""name":"nobody""#).await.json();
    check("2026-07-28", "JSONRPCErrorResponse", &unknown);
    let reference = r#""ref":{"type":"ref/prompt","name":"raw_ask"},"argument":{"name":"a","value":""}"#;
    let completion = client.modern("completion/complete", reference).await.json();
    check("2026-07-28", "CompleteResult", &completion["result"]);

    let (headers, body) = modern(
        "subscriptions/listen",
        r#""notifications":{"toolsListChanged":true,"promptsListChanged":false}"#,
    );
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut events = client.listen(&headers, Some(body)).await;
    let first: Value = serde_json::from_str(&events.next().await.unwrap()).unwrap();
    check("2026-07-28", "SubscriptionsAcknowledgedNotification", &first);

    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params":
            {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        let answer = client.post(&[], initialize.to_string()).await;
        assert_eq!(answer.json()["result"]["protocolVersion"], version);
        check(version, "InitializeResult", &answer.json()["result"]);
        let session = answer.header("mcp-session-id").unwrap();
        for (method, name) in [
            ("tools/list", "ListToolsResult"),
            ("prompts/list", "ListPromptsResult"),
            ("ping", "EmptyResult"),
        ] {
            let body = json!({"jsonrpc": "2.0", "id": "x", "method": method}).to_string();
            let message = client.post(&[("mcp-session-id", session.as_str())], body).await.json();
            check(version, name, &message["result"]);
        }
    }
    let future = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params":
        {"protocolVersion": "2026-07-28", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let answer = client.post(&[], future.to_string()).await.json();
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "a modern version is never agreed to here");
}
