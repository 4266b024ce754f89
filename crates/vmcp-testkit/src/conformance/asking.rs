//! Tools of a modern server that need input: they ask in their result, and are called again with what they asked for.

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, ClientCapabilities, GetPromptResponse, InputRequest, InputRequests,
    InputRequiredResult, InputResponses, RequestStateCodec,
};
use serde_json::{Value, json};

use crate::contents::{read, result, say, text};

/// Seals what a client keeps for us. Known to everybody: what is tested is that it is looked at.
const KEY: &[u8] = b"nobody has to guess this one, since it guards nothing";

/// What the caller brings.
#[derive(Debug)]
pub(crate) struct Brought<'a> {
    pub(crate) responses: Option<&'a InputResponses>,
    pub(crate) state: Option<&'a str>,
    pub(crate) capabilities: Option<ClientCapabilities>,
}

/// What a tool asks for, and says in the end. `None`: it asks for nothing.
pub(crate) fn tool(name: &str, brought: &Brought<'_>) -> Option<Result<CallToolResponse, ErrorData>> {
    let round = match name.strip_prefix("test_input_required_result_")? {
        "elicitation" => once(brought, "user_name", &ask_name("What is your name?"), |answer| {
            Some(format!("Hello, {}!", accepted(answer)?["name"].as_str()?))
        }),
        "sampling" => {
            once(brought, "capital_question", &ask_model("What is the capital of France?", 100), |answer| {
                Some(format!("The model says: {}", answer["content"]["text"].as_str()?))
            })
        }
        "list_roots" => once(brought, "client_roots", &ask_roots(), |answer| {
            Some(format!("The client has {} roots", answer["roots"].as_array()?.len()))
        }),
        "request_state" | "tampered_state" => with_state(brought),
        "multiple_inputs" => three(brought),
        "multi_round" => two_rounds(brought),
        "capabilities" => declared(brought),
        _ => return None,
    };
    Some(round)
}

/// The prompt that needs a context.
pub(crate) fn prompt(brought: &Brought<'_>) -> Result<GetPromptResponse, ErrorData> {
    let given = answer(brought, "user_context").and_then(accepted);
    match given.and_then(|content| content["context"].as_str()) {
        Some(context) => {
            let words = format!("Use the following context: {context}");
            let messages = json!({"messages": [{"role": "user", "content": text(&words)}]});
            Ok(GetPromptResponse::Complete(result(messages)?))
        }
        None => {
            let asked = ask("What context should the prompt use?", &json!({"context": {"type": "string"}}));
            Ok(GetPromptResponse::InputRequired(required(&[("user_context", &asked)], None)?))
        }
    }
}

/// Asks for one thing until it is there.
fn once(
    brought: &Brought<'_>,
    key: &str,
    asked: &Value,
    said: impl Fn(&Value) -> Option<String>,
) -> Result<CallToolResponse, ErrorData> {
    match answer(brought, key).and_then(said) {
        Some(words) => Ok(say(&words)?.into()),
        None => Ok(required(&[(key, asked)], None)?.into()),
    }
}

fn with_state(brought: &Brought<'_>) -> Result<CallToolResponse, ErrorData> {
    if let Some(state) = brought.state {
        opened(state)?;
    }
    if brought.state.is_some() && answer(brought, "confirm").and_then(accepted).is_some() {
        return Ok(say("state-ok")?.into());
    }
    let asked = ask("Please confirm", &json!({"ok": {"type": "boolean"}}));
    Ok(required(&[("confirm", &asked)], Some("confirm"))?.into())
}

fn three(brought: &Brought<'_>) -> Result<CallToolResponse, ErrorData> {
    if let Some(state) = brought.state {
        opened(state)?;
    }
    let keys = ["user_name", "greeting", "client_roots"];
    if brought.state.is_some() && keys.iter().all(|key| answer(brought, key).is_some()) {
        return Ok(say("All three are there")?.into());
    }
    let asked = [
        (keys[0], &ask_name("What is your name?")),
        (keys[1], &ask_model("Generate a greeting", 50)),
        (keys[2], &ask_roots()),
    ];
    Ok(required(&asked, Some("three"))?.into())
}

fn two_rounds(brought: &Brought<'_>) -> Result<CallToolResponse, ErrorData> {
    let round = brought.state.map(opened).transpose()?;
    match round.as_deref() {
        Some("one") if answer(brought, "step1").is_some() => {
            let asked = ask("Step 2: What is your favorite color?", &json!({"color": {"type": "string"}}));
            Ok(required(&[("step2", &asked)], Some("two"))?.into())
        }
        Some("two") if answer(brought, "step2").is_some() => Ok(say("Both rounds are done")?.into()),
        _ => Ok(required(&[("step1", &ask_name("Step 1: What is your name?"))], Some("one"))?.into()),
    }
}

/// Asks for what the client can be asked for.
fn declared(brought: &Brought<'_>) -> Result<CallToolResponse, ErrorData> {
    if brought.responses.is_some_and(|responses| !responses.is_empty()) {
        return Ok(say("What can be had is there")?.into());
    }
    let capabilities = serde_json::to_value(&brought.capabilities).unwrap_or_default();
    let (user, model) = (ask_name("What is your name?"), ask_model("Say something", 50));
    let all = [("elicitation", ("user", &user)), ("sampling", ("model", &model))];
    let asked: Vec<_> = all
        .into_iter()
        .filter(|(capability, _)| !capabilities[capability].is_null())
        .map(|(_, it)| it)
        .collect();
    if asked.is_empty() {
        Ok(say("Nothing can be asked")?.into())
    } else {
        Ok(required(&asked, None)?.into())
    }
}

fn ask(message: &str, properties: &Value) -> Value {
    let names: Vec<&String> = properties.as_object().map(|all| all.keys().collect()).unwrap_or_default();
    let schema = json!({"type": "object", "properties": properties, "required": names});
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}})
}

pub(crate) fn ask_name(message: &str) -> Value {
    ask(message, &json!({"name": {"type": "string"}}))
}

/// What a tool asks that does something for a name.
pub(crate) fn ask_for_name() -> Result<CallToolResponse, ErrorData> {
    Ok(required(&[("user_name", &ask_name("What is your name?"))], None)?.into())
}

/// The name that was given.
pub(crate) fn name<'a>(brought: &Brought<'a>) -> Option<&'a str> {
    accepted(answer(brought, "user_name")?)?["name"].as_str()
}

pub(crate) fn ask_to_confirm(message: &str) -> Value {
    ask(message, &json!({"confirm": {"type": "boolean"}}))
}

fn ask_model(question: &str, tokens: u32) -> Value {
    let message = json!({"role": "user", "content": text(question)});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": tokens}})
}

fn ask_roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}

fn answer<'a>(brought: &Brought<'a>, key: &str) -> Option<&'a Value> {
    brought.responses?.get(key)
}

/// What a user has filled in.
fn accepted(answer: &Value) -> Option<&Value> {
    (answer["action"] == "accept").then(|| &answer["content"])
}

pub(crate) fn required(
    asked: &[(&str, &Value)],
    state: Option<&str>,
) -> Result<InputRequiredResult, ErrorData> {
    let mut requests = InputRequests::new();
    for (key, request) in asked {
        let request: InputRequest = read((*request).clone())?;
        requests.insert((*key).to_owned(), request);
    }
    let state = state.map(|state| Ok(codec()?.seal(state.as_bytes()))).transpose()?;
    Ok(InputRequiredResult::new(Some(requests), state))
}

fn codec() -> Result<RequestStateCodec, ErrorData> {
    RequestStateCodec::try_new(KEY).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn opened(state: &str) -> Result<String, ErrorData> {
    let altered = |_| ErrorData::invalid_params("requestState has been altered", None);
    let opened = codec()?.open(state).map_err(altered)?;
    Ok(String::from_utf8_lossy(&opened).into_owned())
}
