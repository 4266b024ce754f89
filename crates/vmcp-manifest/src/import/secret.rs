//! What of a client's file could be a secret: everything that is not known to be none. In doubt it is one: a variable too many is
//! set once, a secret in a manifest is copied for ever.

use std::collections::{BTreeMap, HashMap};

use vmcp_core::name::Name;

use crate::import::harmless::{
    is_flag, is_harmless, is_identifier, is_known_value, is_plain_value, is_secret_name,
};

/// A text as it will stand in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// As it was.
    Plain(String),
    /// In a variable, behind what is no secret.
    Reference { before: String, variable: String },
}

/// The variables that the manifest refers to. Not to be printed: it knows what they hold.
#[derive(Default)]
pub(super) struct Variables {
    /// By whom each is used.
    pub(super) used: BTreeMap<String, Vec<Name>>,
    /// What each is to hold, so that two values never share one; `None` if the file does not say.
    held: HashMap<String, Option<String>>,
    /// How many have been made of the same name.
    numbers: HashMap<String, usize>,
}

impl Variables {
    /// A variable for a value, called `wanted` unless that one is to hold another value already.
    fn claim(&mut self, workload: &Name, wanted: &str, value: Option<&str>) -> String {
        let mut variable = wanted.to_owned();
        if !self.is_free(&variable, value) {
            let own = upper(workload.as_str());
            let base = if wanted.starts_with(&own) { wanted.to_owned() } else { format!("{own}_{wanted}") };
            variable = base.clone();
            while !self.is_free(&variable, value) {
                let number = self.numbers.entry(base.clone()).or_insert(1);
                *number += 1;
                variable = format!("{base}_{number}");
            }
        }
        self.held.insert(variable.clone(), value.map(ToOwned::to_owned));
        let users = self.used.entry(variable.clone()).or_default();
        if users.last() != Some(workload) {
            users.push(workload.clone());
        }
        variable
    }

    fn is_free(&self, variable: &str, value: Option<&str>) -> bool {
        self.held.get(variable).is_none_or(|held| held.as_deref() == value)
    }

    fn refer(&mut self, workload: &Name, wanted: &str, before: &str, value: &str) -> Written {
        let variable = self.claim(workload, wanted, Some(value));
        Written::Reference { before: before.to_owned(), variable }
    }
}

/// The value of a variable of a server.
pub(super) fn variable(
    workload: &Name,
    name: &str,
    text: &str,
    variables: &mut Variables,
    say: &mut impl FnMut(&str),
) -> Written {
    if let Some(written) = substituted(workload, name, name, text, variables, say) {
        return written;
    }
    let is_plain = is_known_value(name, text) || (is_harmless(text) && !is_secret_name(name));
    if is_plain { Written::Plain(text.to_owned()) } else { variables.refer(workload, name, "", text) }
}

/// The arguments of a server.
pub(super) fn arguments(
    workload: &Name,
    arguments: &[String],
    variables: &mut Variables,
    say: &mut impl FnMut(&str),
) -> Vec<Written> {
    let mut flag: Option<&str> = None;
    let written = arguments.iter().map(|argument| {
        let behind = flag.take();
        if is_flag(argument) {
            flag = Some(argument);
        }
        one_argument(workload, behind, argument, variables, say)
    });
    written.collect()
}

/// An argument, behind the flag whose value it may be.
fn one_argument(
    workload: &Name,
    flag: Option<&str>,
    argument: &str,
    variables: &mut Variables,
    say: &mut impl FnMut(&str),
) -> Written {
    let own = |name: &str| format!("{}_{}", upper(workload.as_str()), upper(name));
    let name = flag.unwrap_or("argument");
    if let Some(written) = substituted(workload, name, &own(name), argument, variables, say) {
        return written;
    }
    if flag.is_none_or(|flag| !is_secret_name(flag)) && is_flag(argument) {
        return Written::Plain(argument.to_owned());
    }
    // `-e NAME` hands a variable on.
    let is_handed_on = flag.is_some_and(|flag| matches!(flag, "-e" | "--env")) && is_shouted(argument);
    if is_handed_on && is_identifier(argument) {
        return Written::Plain(argument.to_owned());
    }
    let is_header = flag.is_some_and(|flag| matches!(flag, "-H" | "--header" | "--headers"));
    if let Some((name, value)) = argument.split_once(':')
        && is_header
        && is_identifier(name)
    {
        let value = value.trim_start();
        let before = &argument[..argument.len() - value.len()];
        return variables.refer(workload, &own(name), before, value);
    }
    // `--flag=value` and `NAME=value`.
    if let Some((name, value)) = argument.split_once('=')
        && (is_flag(name) || is_identifier(name))
        && !is_header
    {
        let is_known = if is_flag(name) { is_plain_value(Some(name), value) } else { is_harmless(value) };
        let is_plain = is_known && !is_secret_name(name);
        if is_plain {
            return Written::Plain(argument.to_owned());
        }
        return variables.refer(workload, &own(name), &argument[..=name.len()], value);
    }
    let is_plain =
        !is_header && flag.is_none_or(|flag| !is_secret_name(flag)) && is_plain_value(flag, argument);
    if is_plain {
        Written::Plain(argument.to_owned())
    } else {
        variables.refer(workload, &own(name), "", argument)
    }
}

/// What clients put in place of `${VAR}`, `${env:VAR}`, `${VAR:-default}` and `${input:id}` becomes a reference, if nothing stands
/// behind it and nothing before it but what says what it is; else the whole text does.
fn substituted(
    workload: &Name,
    name: &str,
    own: &str,
    text: &str,
    variables: &mut Variables,
    say: &mut impl FnMut(&str),
) -> Option<Written> {
    if let Some(wanted) = text.strip_prefix('$').filter(|name| is_shouted(name)) {
        let variable = variables.claim(workload, wanted, None);
        return Some(Written::Reference { before: String::new(), variable });
    }
    let (before, rest) = text.split_once("${")?;
    let (inside, behind) = rest.split_once('}')?;
    if is_folder(inside) && before.is_empty() && is_harmless(&format!("/x{behind}")) && !is_secret_name(name)
    {
        say(&format!("`${{{inside}}}` is the client's own; write the folder in its place"));
        return Some(Written::Plain(text.to_owned()));
    }
    let wanted = match inside.split_once(':') {
        Some(("env", name)) => name.to_owned(),
        Some(("input", id)) => upper(id),
        Some((name, default)) if default.starts_with('-') && is_variable(name) => {
            say(&format!("the default of `${{{name}}}` is not taken over"));
            name.to_owned()
        }
        Some(_) => String::new(),
        None => inside.to_owned(),
    };
    if is_variable(&wanted) && behind.is_empty() && says_what_it_is(before) {
        let variable = variables.claim(workload, &wanted, None);
        return Some(Written::Reference { before: before.to_owned(), variable });
    }
    let variable = variables.claim(workload, &upper(own), Some(text));
    say(&format!("variables within a text cannot be written: `{variable}` is to hold the whole of it"));
    Some(Written::Reference { before: String::new(), variable })
}

/// What may stand before a secret: nothing, a scheme of authorization, or the name of a flag, a variable or a header.
fn says_what_it_is(before: &str) -> bool {
    let name = before.trim_end_matches(' ').strip_suffix(['=', ':']);
    matches!(before, "" | "Bearer " | "Basic " | "Token " | "token ")
        || name.is_some_and(|name| is_flag(name) || is_identifier(name))
        || before.strip_suffix("Bearer ").is_some_and(|before| !before.is_empty() && says_what_it_is(before))
}

/// What shells let a variable be called.
pub(super) fn is_variable(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A variable's name as people write it.
fn is_shouted(name: &str) -> bool {
    is_variable(name) && !name.chars().any(|c| c.is_ascii_lowercase())
}

/// Variables that stand for places in the client.
fn is_folder(name: &str) -> bool {
    matches!(name, "workspaceFolder" | "userHome" | "cwd" | "PWD" | "HOME")
}

/// As a variable is called.
fn upper(name: &str) -> String {
    let usual = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let text: String = name.chars().map(usual).collect();
    let text = text.trim_matches('_');
    if text.starts_with(|c: char| c.is_ascii_digit()) { format!("_{text}") } else { text.to_owned() }
}
