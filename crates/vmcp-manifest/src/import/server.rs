//! One server as a client's file has it.

use serde_json::Value;
use vmcp_core::name::Name;

use crate::document::workload::checked_url;
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

/// Where clients write the address of a server that runs already.
const URLS: [&str; 4] = ["url", "serverUrl", "httpUrl", "server_url"];

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
    let headers: Vec<String> =
        value["headers"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    if !headers.is_empty() {
        say("its headers are left out: sending headers to a workload is not built yet");
    }
    let url = URLS.iter().find_map(|key| value.get(key)?.as_str());
    let address = match (url, program(value)) {
        (Some(url), None) => remote(url, value, say)?,
        (None, Some(program)) => local(&name, program, value, variables, say),
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

/// The program; Zed once wrote it with its arguments in one mapping.
fn program(value: &Value) -> Option<&str> {
    let command = &value["command"];
    command.as_str().or_else(|| command["path"].as_str()).filter(|program| !program.is_empty())
}

fn remote(text: &str, value: &Value, say: &mut impl FnMut(&str)) -> Option<Address> {
    if text.contains("${") {
        say("its address has variables, which an address cannot have; it is left out");
        return None;
    }
    let kind = value["type"].as_str().or_else(|| value["transport"].as_str()).unwrap_or_default();
    if kind.eq_ignore_ascii_case("sse") || (kind.is_empty() && text.trim_end_matches('/').ends_with("/sse")) {
        say("it speaks SSE, which is not built yet; it will not answer until it speaks streamable HTTP");
    }
    let mut text = text.split('#').next().unwrap_or_default();
    // Not shown, since it may hold a secret.
    let Ok(url) = checked_url(text) else {
        say("its address is not one that a backend can be called at, or holds a password; it is left out");
        return None;
    };
    if url.path().split('/').any(secret::looks_random) {
        say("the path of its address looks like a secret, which an address cannot refer to; it is left out");
        return None;
    }
    if let Some((before, query)) = text.split_once('?')
        && secret::is_secret_query(query)
    {
        say("the query of its address holds a secret, and is left out");
        text = before;
    }
    Some(Address::Url(text.to_owned()))
}

fn local(
    name: &Name,
    program: &str,
    value: &Value,
    variables: &mut Variables,
    say: &mut impl FnMut(&str),
) -> Address {
    let part = |key: &str| value.get(key).or_else(|| value["command"].get(key)).unwrap_or(&Value::Null);
    let arguments: Vec<&str> =
        part("args").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let arguments = secret::arguments(name, &arguments, variables, say);
    let environment = part("env").as_object().into_iter().flatten().filter_map(|(key, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        if !secret::is_variable(key) {
            say("one of its variables has a name that shells do not take, and is left out");
            return None;
        }
        Some((key.clone(), secret::variable(name, key, &text, variables, say)))
    });
    let environment = environment.collect();
    let working_directory = part("cwd").as_str().map(ToOwned::to_owned);
    if working_directory.as_ref().is_some_and(|folder| folder.contains("${")) {
        say("the variables in its `cwd` are the client's own; write the folder in their place");
    }
    Address::Command { program: program.to_owned(), environment, arguments, working_directory }
}
