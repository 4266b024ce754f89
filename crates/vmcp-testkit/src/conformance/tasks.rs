//! Tools of a modern server whose calls go on after they have been answered (SEP-2663).

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult,
    InputRequest,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};
use serde_json::{Value, json};

use crate::asking::{self, Brought};
use crate::contents::{read, result, say, text};

/// A call that may become a task. `None`: it never does.
pub(crate) fn tool(
    tasks: &TaskManager,
    request: &CallToolRequestParams,
    brought: &Brought<'_>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let begin: fn(Value, TaskContext) -> TaskFuture = match request.name.as_ref() {
        "slow_compute" => |arguments, task| Box::pin(compute(arguments, task)),
        "failing_job" => |_, _| Box::pin(async { Ok(failed()?) }),
        "protocol_error_job" => {
            |_, _| Box::pin(async { Err(TaskExit::Error(ErrorData::internal_error("The job broke", None))) })
        }
        "confirm_delete" => |_, task| Box::pin(confirm(task)),
        "multi_input" => |_, task| Box::pin(two_inputs(task)),
        "test_tool_with_task" => match asking::name(brought) {
            None => return Some(asking::ask_for_name()),
            Some(_) => |arguments, _| Box::pin(async move { Ok(greet(&arguments)?) }),
        },
        _ => return None,
    };
    let mut arguments = json!(request.arguments);
    if let Some(name) = asking::name(brought) {
        arguments = json!({"name": name});
    }
    let is_able = brought.capabilities.as_ref().is_some_and(ClientCapabilities::supports_tasks);
    Some(match (is_able, request.name.as_ref()) {
        (true, _) => {
            let task =
                tasks.spawn(TaskOptions::new().with_poll_interval_ms(100), |task| begin(arguments, task));
            Ok(CreateTaskResult::new(task).into())
        }
        (false, "slow_compute") => say("Computed at once").map(Into::into),
        (false, _) => {
            let required = ClientCapabilities::builder().enable_tasks().build();
            Err(ErrorData::missing_required_client_capability(required))
        }
    })
}

/// What never becomes one.
pub(crate) fn greet(arguments: &Value) -> Result<CallToolResult, ErrorData> {
    say(&format!("Hello, {}!", arguments["name"].as_str().unwrap_or("nobody")))
}

fn failed() -> Result<CallToolResult, ErrorData> {
    result(json!({"content": [text("The job failed")], "isError": true}))
}

async fn compute(arguments: Value, task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let time = Duration::from_secs_f64(arguments["seconds"].as_f64().unwrap_or_default());
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(say(&format!("Computed {}", arguments["label"]))?),
        () = task.cancelled() => Err(TaskExit::Cancelled),
    }
}

async fn confirm(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let answer = task.request_input("confirm", question("Delete it?")?).await?;
    let is_accepted = answer["action"] == "accept" && answer["content"]["confirm"] == true;
    Ok(say(if is_accepted { "Deleted" } else { "Kept" })?)
}

async fn two_inputs(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let (one, two) = (question("Who is the first?")?, question("Who is the second?")?);
    let answers = tokio::join!(task.request_input("first", one), task.request_input("second", two));
    let [one, two] = [answers.0?, answers.1?];
    Ok(say(&format!("{} and {}", one["content"]["name"], two["content"]["name"]))?)
}

fn question(message: &str) -> Result<InputRequest, ErrorData> {
    read(asking::ask_to_confirm(message))
}
