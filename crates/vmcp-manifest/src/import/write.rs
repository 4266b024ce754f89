//! The manifest as text that people go on writing in.

use std::collections::BTreeMap;
use std::fmt::Write;

use vmcp_core::name::Name;

use crate::import::secret::Written;
use crate::import::server::{Address, Server};

pub(super) fn manifest(
    name: &Name,
    file: &str,
    servers: &[Server],
    variables: &BTreeMap<String, Vec<Name>>,
) -> String {
    let mut text = String::new();
    let out = &mut text;
    line(out, &format!("# The servers of {}.", one_line(file)));
    if !variables.is_empty() {
        line(out, "#");
        line(out, "# Secrets stand in variables, which must be set where vmcpctl is started:");
        for (variable, users) in variables {
            let users: Vec<&str> = users.iter().map(Name::as_str).collect();
            line(out, &format!("#   {}  for {}", one_line(variable), users.join(", ")));
        }
    }
    line(out, "");
    line(out, &format!("name: {}", scalar(name.as_str())));
    line(out, &format!("group: {}", scalar(name.as_str())));
    line(out, "incoming_auth:");
    line(out, "  type: anonymous # whoever reaches the listener");
    line(out, "aggregation:");
    line(out, "  conflict_resolution: prefix # each server's name goes before the names of its tools");
    line(out, "---");
    line(out, "kind: group");
    line(out, &format!("name: {}", scalar(name.as_str())));
    if servers.is_empty() {
        line(out, "workloads: []");
        return text;
    }
    line(out, "workloads:");
    servers.iter().for_each(|server| workload(out, server));
    text
}

fn workload(out: &mut String, server: &Server) {
    line(out, &format!("  - name: {}", scalar(server.name.as_str())));
    match &server.address {
        Address::Url(url) => line(out, &format!("    url: {}", scalar(url))),
        Address::Command { program, arguments, environment, working_directory } => {
            line(out, &format!("    command: {}", scalar(program)));
            if !arguments.is_empty() {
                let arguments: Vec<String> = arguments.iter().map(written).collect();
                line(out, &format!("    args: [{}]", arguments.join(", ")));
            }
            if !environment.is_empty() {
                line(out, "    env:");
                for (name, value) in environment {
                    line(out, &format!("      {}: {}", scalar(name), written(value)));
                }
            }
            if let Some(folder) = working_directory {
                line(out, &format!("    working_directory: {}", scalar(folder)));
            }
        }
    }
    for header in &server.headers {
        line(out, &format!("    # not built yet: the header {}", one_line(header)));
    }
}

fn written(value: &Written) -> String {
    match value {
        Written::Plain(text) => scalar(text),
        Written::Reference { before, variable } if before.is_empty() => {
            format!("{{env: {}}}", scalar(variable))
        }
        Written::Reference { before, variable } => {
            format!("{{env: {}, prefix: {}}}", scalar(variable), scalar(before))
        }
    }
}

/// A scalar that is read as the text it is: plain where that cannot be mistaken, else in double quotes (YAML 1.2.2,
/// sections 7.3.1 and 5.7).
fn scalar(text: &str) -> String {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-'));
    let means_something = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    ) || text.parse::<f64>().is_ok();
    if begins && is_plain && !means_something {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            ' ' | '!'..='~' => quoted.push(character),
            other if other.is_alphanumeric() => quoted.push(other),
            // Writing to a `String` cannot fail.
            other => drop(write!(quoted, "\\U{:08x}", u32::from(other))),
        }
    }
    quoted.push('"');
    quoted
}

/// What can stand in a comment.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() { c } else { ' ' })
        .take(200)
        .collect()
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
