//! One server as a client's file has it.

use serde_json::Value;
use vmcp_core::name::Name;

use crate::document::workload::checked_url;
use crate::import::harmless;
use crate::import::secret::{self, Variables, Written};

/// One server, as it will be written.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: Name,
    pub(super) address: Address,
    /// Headers that it was to be sent, none of which can be written yet.
    pub(super) headers: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Address {
    Url(String),
    Command {
        program: String,
        arguments: Vec<Written>,
        environment: Vec<(String, Written)>,
        working_directory: Option<String>,
    },
}

/// Where clients write the address of a server that runs already; Gemini's `url` speaks SSE if there is a `httpUrl`, too.
const URLS: [&str; 4] = ["httpUrl", "serverUrl", "server_url", "url"];

/// Keys whose meaning would be lost without a word.
const NOT_TAKEN: [&str; 5] = ["envFile", "includeTools", "excludeTools", "disabledTools", "tools"];

/// `None`: it cannot be taken over, and that has been said.
pub(super) fn server(
    name: Name,
    value: &Value,
    variables: &mut Variables,
    say: &mut impl FnMut(&str),
) -> Option<Server> {
    if value["disabled"] == true || value["enabled"] == false {
        say("it is disabled, and left out");
        return None;
    }
    for key in NOT_TAKEN.iter().filter(|key| value.get(**key).is_some_and(|value| !value.is_null())) {
        say(&format!("its `{key}` is not taken over"));
    }
    let headers = value["headers"].as_object();
    if value
        .get("headers")
        .is_some_and(|headers| headers.as_object().is_none_or(|headers| !headers.is_empty()))
    {
        say("its headers are left out: sending headers to a workload is not built yet");
    }
    let headers = headers.into_iter().flatten().map(|(name, _)| name.clone());
    let headers: Vec<String> = headers.filter(|name| harmless::is_identifier(name)).collect();
    let url = URLS.iter().find_map(|key| value.get(key)?.as_str());
    let address = match (url, program(value)) {
        (Some(url), None) => remote(url, value, say)?,
        (None, Some(words)) => local(&name, words, value, variables, say)?,
        (Some(_), Some(_)) => {
            say("it has both a command and an address, and is left out");
            return None;
        }
        (None, None) => {
            say("it has neither a command nor an address, and is left out");
            return None;
        }
    };
    Some(Server { name, address, headers })
}

/// The program, and arguments that stand behind it in the same text or list. Zed once wrote it with its arguments in one mapping.
fn program(value: &Value) -> Option<Vec<String>> {
    let command = &value["command"];
    let words: Vec<String> = match command {
        Value::Array(words) => words.iter().filter_map(as_text).collect(),
        _ => {
            let text = command.as_str().or_else(|| command["path"].as_str())?;
            let is_path = text.starts_with(['/', '.', '~']) || text.contains('\\');
            if is_path {
                vec![text.to_owned()]
            } else {
                text.split_whitespace().map(ToOwned::to_owned).collect()
            }
        }
    };
    (!words.is_empty()).then_some(words)
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn remote(text: &str, value: &Value, say: &mut impl FnMut(&str)) -> Option<Address> {
    if text.contains("${") {
        say("its address has variables, which an address cannot have; it is left out");
        return None;
    }
    let kinds = ["type", "transport", "transportType"];
    let kind = kinds.iter().find_map(|key| value[*key].as_str()).unwrap_or_default();
    if kind.eq_ignore_ascii_case("sse") || (kind.is_empty() && text.trim_end_matches('/').ends_with("/sse")) {
        say("it speaks SSE, which is not built yet; it will not answer until it speaks streamable HTTP");
    }
    let text = text.split('#').next().unwrap_or_default();
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    // Not shown, since it may hold a secret.
    let Ok(url) = checked_url(text) else {
        say("its address is not one that a backend can be called at, or holds a password; it is left out");
        return None;
    };
    if url.path().split('/').any(harmless::is_odd_segment) {
        say("the path of its address may hold a secret, which an address cannot refer to; it is left out");
        return None;
    }
    if !query.is_empty() {
        say("the query of its address may hold a secret, and is left out");
    }
    Some(Address::Url(text.to_owned()))
}

fn local(
    name: &Name,
    mut words: Vec<String>,
    value: &Value,
    variables: &mut Variables,
    say: &mut impl FnMut(&str),
) -> Option<Address> {
    let part = |key: &str| value.get(key).or_else(|| value["command"].get(key)).unwrap_or(&Value::Null);
    let mut arguments = words.split_off(1);
    let program = words.pop()?;
    if program.contains(['=', '$']) || harmless::looks_random(&program) {
        say("its command is not the name of a program; it is left out");
        return None;
    }
    match part("args") {
        Value::Array(list) => {
            let texts: Vec<String> = list.iter().filter_map(as_text).collect();
            if texts.len() < list.len() {
                say("some of its `args` are no texts, and are left out");
            }
            arguments.extend(texts);
        }
        Value::Null => {}
        _ => say("its `args` are no list, and are left out"),
    }
    let arguments = secret::arguments(name, &arguments, variables, say);
    let environment = environment(name, part("env"), variables, say);
    let working_directory = working_directory(part("cwd"), say);
    Some(Address::Command { program, environment, arguments, working_directory })
}

fn environment(
    name: &Name,
    written: &Value,
    variables: &mut Variables,
    say: &mut impl FnMut(&str),
) -> Vec<(String, Written)> {
    if !written.is_null() && !written.is_object() {
        say("its `env` is no mapping, and is left out");
    }
    let environment = written.as_object().into_iter().flatten().filter_map(|(key, value)| {
        match as_text(value).filter(|_| secret::is_variable(key)) {
            Some(text) => Some((key.clone(), secret::variable(name, key, &text, variables, say))),
            None => {
                say("one of its variables has a name that shells do not take, or no text, and is left out");
                None
            }
        }
    });
    environment.collect()
}

fn working_directory(written: &Value, say: &mut impl FnMut(&str)) -> Option<String> {
    let folder = written.as_str()?;
    if folder.contains('$') {
        say("the variables in its `cwd` are the client's own; it is left out, write the folder");
        return None;
    }
    if folder.split('/').any(harmless::is_odd_segment) {
        say("its `cwd` may hold a secret, and is left out");
        return None;
    }
    Some(folder.to_owned())
}
