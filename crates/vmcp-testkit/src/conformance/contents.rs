//! What tools, prompts and resources hold, word for word as the scenarios say.

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, GetPromptResult, JsonObject, ReadResourceResult};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One red pixel, PNG.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// A sound of no length, WAV.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

/// The tools that only answer.
pub(crate) fn tool(name: &str) -> Option<Result<CallToolResult, ErrorData>> {
    let resource = |uri: &str, kind: &str, text: &str| json!({"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": text}});
    let image = json!({"type": "image", "data": PNG, "mimeType": "image/png"});
    let content = match name {
        "test_simple_text" => json!([text("This is a simple text response for testing.")]),
        "test_image_content" => json!([image]),
        "test_audio_content" => json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]),
        "test_embedded_resource" => json!([resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content."
        )]),
        "test_multiple_content_types" => json!([
            text("Multiple content types test:"),
            image,
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#)
        ]),
        "test_error_handling" => {
            let content = [text("This tool intentionally returns an error for testing")];
            return Some(result(json!({"isError": true, "content": content})));
        }
        "json_schema_2020_12_tool" | "test_custom_header" | "test_changing_tool" => json!([text("Done.")]),
        _ => return None,
    };
    Some(result(json!({"content": content})))
}

pub(crate) fn say(words: &str) -> Result<CallToolResult, ErrorData> {
    result(json!({"content": [text(words)]}))
}

pub(crate) fn prompt(
    name: &str,
    arguments: Option<&JsonObject>,
) -> Option<Result<GetPromptResult, ErrorData>> {
    let argument = |name: &str| {
        arguments.and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let user = |content: Value| json!({"role": "user", "content": content});
    let messages = match name {
        "test_simple_prompt" | "test_changing_prompt" => {
            json!([user(text("This is a simple prompt for testing."))])
        }
        "test_prompt_with_arguments" => {
            let words =
                format!("Prompt with arguments: arg1='{}', arg2='{}'", argument("arg1"), argument("arg2"));
            json!([user(text(&words))])
        }
        "test_prompt_with_embedded_resource" => json!([
            user(json!({"type": "resource", "resource": {
                "uri": argument("resourceUri"),
                "mimeType": "text/plain",
                "text": "Embedded resource content for testing."
            }})),
            user(text("Please process the embedded resource above."))
        ]),
        "test_prompt_with_image" => json!([
            user(json!({"type": "image", "data": PNG, "mimeType": "image/png"})),
            user(text("Please analyze the image above."))
        ]),
        _ => return None,
    };
    Some(result(json!({"messages": messages})))
}

/// What a URI holds.
pub(crate) fn resource(uri: &str, updates: usize) -> Result<ReadResourceResult, ErrorData> {
    let held = match uri {
        "test://static-text" => {
            json!({"mimeType": "text/plain", "text": "This is the content of the static text resource."})
        }
        "test://static-binary" => json!({"mimeType": "image/png", "blob": PNG}),
        "test://watched-resource" => {
            json!({"mimeType": "text/plain", "text": format!("Changed {updates} times")})
        }
        uri => match uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data")) {
            Some(id) => {
                let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
                json!({"mimeType": "application/json", "text": data.to_string()})
            }
            None => {
                return Err(ErrorData::resource_not_found("Resource not found", Some(json!({"uri": uri}))));
            }
        },
    };
    let mut held = held;
    held["uri"] = uri.into();
    result(json!({"contents": [held]}))
}

pub(crate) fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// A whole result. rmcp takes the marks of modern results away from legacy clients.
pub(crate) fn result<T: DeserializeOwned>(mut value: Value) -> Result<T, ErrorData> {
    value["resultType"] = "complete".into();
    read(value)
}

/// A value of rmcp's, out of what is written here.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}
