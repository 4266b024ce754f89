//! Tools that say something on the way to their answer, or ask the client something: requests of a legacy server, notifications of both.
#![expect(deprecated, reason = "legacy clients know sampling and logging")]

use std::time::Duration;

use rmcp::model::{
    CallToolResult, CreateMessageRequestParams, ElicitRequestParams, JsonObject, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam, SamplingMessage,
};
use rmcp::service::{RequestContext, ServiceError};
use rmcp::{ErrorData, RoleServer};
use serde_json::Value;

use crate::contents::say;
use crate::definitions::DEFINITIONS;

const STEP: Duration = Duration::from_millis(50);

/// Three messages, for whoever wants to hear them.
pub(crate) async fn log(
    context: &RequestContext<RoleServer>,
    level: Option<LoggingLevel>,
) -> Result<CallToolResult, ErrorData> {
    let wants = level.is_some_and(|level| matches!(level, LoggingLevel::Debug | LoggingLevel::Info));
    for words in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        if wants {
            let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, words.into());
            context.peer.notify_logging_message(message).await.map_err(|error| broken(&error))?;
        }
        tokio::time::sleep(STEP).await;
    }
    say("Tool with logging executed successfully")
}

/// Nothing, half and all of it, for whoever has given a token.
pub(crate) async fn progress(context: &RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    for done in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let progress = ProgressNotificationParam::new(token, done).with_total(100.0);
            context.peer.notify_progress(progress).await.map_err(|error| broken(&error))?;
        }
        tokio::time::sleep(STEP).await;
    }
    say("Tool with progress executed successfully")
}

/// What the client's model says.
pub(crate) async fn sample(
    context: &RequestContext<RoleServer>,
    arguments: Option<&JsonObject>,
) -> Result<CallToolResult, ErrorData> {
    if context.client_capabilities().is_none_or(|capabilities| capabilities.sampling.is_none()) {
        return Err(ErrorData::invalid_request("The client cannot be asked for samples", None));
    }
    let prompt = argument(arguments, "prompt");
    let asked = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(prompt)], 100);
    let answer = context.peer.create_message(asked).await.map_err(|error| broken(&error))?;
    let answer = serde_json::to_value(&answer).unwrap_or_default();
    say(&format!("LLM response: {}", words(&answer["content"])))
}

/// What the client's user says.
pub(crate) async fn elicit(
    context: &RequestContext<RoleServer>,
    tool: &str,
    arguments: Option<&JsonObject>,
) -> Result<CallToolResult, ErrorData> {
    if context.client_capabilities().is_none_or(|capabilities| capabilities.elicitation.is_none()) {
        return Err(ErrorData::invalid_request("The client cannot be asked for input", None));
    }
    let Some(requested_schema) = DEFINITIONS.elicitations.get(tool).cloned() else {
        return Err(ErrorData::internal_error("this tool asks for nothing", None));
    };
    let message = match argument(arguments, "message") {
        message if message.is_empty() => "Please answer".to_owned(),
        message => message,
    };
    let asked = ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema };
    let answer = context.peer.create_elicitation(asked).await.map_err(|error| broken(&error))?;
    let answer = serde_json::to_value(&answer).unwrap_or_default();
    let action = answer["action"].as_str().unwrap_or_default();
    let content = &answer["content"];
    if tool == "test_elicitation" {
        return say(&format!("User response: action: {action}, content: {content}"));
    }
    say(&format!("Elicitation completed: action={action}, content={content}"))
}

/// The text of what a model says: one block, or the first of several.
fn words(content: &Value) -> String {
    let block = if content.is_array() { &content[0] } else { content };
    block["text"].as_str().unwrap_or_default().to_owned()
}

fn argument(arguments: Option<&JsonObject>, name: &str) -> String {
    arguments.and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn broken(error: &ServiceError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
