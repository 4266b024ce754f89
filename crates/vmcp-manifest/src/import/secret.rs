//! What of a client's file could be a secret. In doubt it is one: a variable too many is set once, a secret in a manifest is
//! copied for ever.

use std::collections::{BTreeMap, HashMap};

use vmcp_core::name::Name;

/// A text as it will stand in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// As it was.
    Plain(String),
    /// In a variable, behind what is no secret.
    Reference { before: String, variable: String },
}

/// The variables that the manifest refers to.
#[derive(Debug, Default)]
pub(super) struct Variables {
    /// By whom each is used.
    pub(super) used: BTreeMap<String, Vec<Name>>,
    /// What each is to hold, so that two values never share one; `None` if the file does not say.
    held: HashMap<String, Option<String>>,
}

impl Variables {
    /// A variable for a value, called `wanted` unless that one is to hold another value already.
    fn claim(&mut self, workload: &Name, wanted: &str, value: Option<&str>) -> String {
        let variable = if self.is_free(wanted, value) {
            wanted.to_owned()
        } else {
            let base = format!("{}_{wanted}", upper(workload.as_str()));
            let candidates =
                std::iter::once(base.clone()).chain((2..).map(|number| format!("{base}_{number}")));
            candidates.into_iter().find(|name| self.is_free(name, value)).unwrap_or(base)
        };
        self.held.insert(variable.clone(), value.map(ToOwned::to_owned));
        let users = self.used.entry(variable.clone()).or_default();
        if !users.contains(workload) {
            users.push(workload.clone());
        }
        variable
    }

    fn is_free(&self, variable: &str, value: Option<&str>) -> bool {
        self.held.get(variable).is_none_or(|held| held.as_deref() == value)
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
    if let Some(written) = substituted(workload, name, text, variables, say) {
        return written;
    }
    let is_known = matches!(name, "TZ" | "LANG" | "LC_ALL" | "NODE_ENV") && !looks_random(text);
    if is_known || (is_harmless(text) && !is_secret_name(name)) {
        return Written::Plain(text.to_owned());
    }
    Written::Reference { before: String::new(), variable: variables.claim(workload, name, Some(text)) }
}

/// The arguments of a server.
pub(super) fn arguments(
    workload: &Name,
    arguments: &[&str],
    variables: &mut Variables,
    say: &mut impl FnMut(&str),
) -> Vec<Written> {
    let mut written = Vec::with_capacity(arguments.len());
    // The name of the flag whose value the next argument is.
    let mut flag: Option<&str> = None;
    for argument in arguments {
        let name = flag.take().filter(|flag| is_secret_name(flag));
        let own = format!("{}_{}", upper(workload.as_str()), upper(name.unwrap_or("argument")));
        let one = substituted(workload, &own, argument, variables, say).unwrap_or_else(|| {
            match (name, split_secret(argument)) {
                (Some(_), _) => {
                    let variable = variables.claim(workload, &own, Some(argument));
                    Written::Reference { before: String::new(), variable }
                }
                (None, Some((before, name, secret))) => {
                    let own = format!("{}_{}", upper(workload.as_str()), upper(name));
                    let variable = variables.claim(workload, &own, Some(secret));
                    Written::Reference { before: before.to_owned(), variable }
                }
                (None, None) => Written::Plain((*argument).to_owned()),
            }
        });
        written.push(one);
        flag = argument.starts_with('-').then_some(argument).filter(|text| !text.contains('=')).copied();
    }
    written
}

/// What clients put in place of `${VAR}`, `${env:VAR}`, `${VAR:-default}` and `${input:id}` becomes a reference, if nothing
/// stands behind it.
fn substituted(
    workload: &Name,
    name: &str,
    text: &str,
    variables: &mut Variables,
    say: &mut impl FnMut(&str),
) -> Option<Written> {
    if let Some(wanted) = text.strip_prefix('$').filter(|name| is_variable(name)) {
        return Some(Written::Reference {
            before: String::new(),
            variable: variables.claim(workload, wanted, None),
        });
    }
    let (before, rest) = text.split_once("${")?;
    let (inside, behind) = rest.split_once('}')?;
    let wanted = match inside.split_once(':') {
        Some(("env", name)) => name.to_owned(),
        Some(("input", id)) => upper(id),
        Some((name, default)) if default.starts_with('-') => {
            say(&format!("the default of `${{{name}}}` is not taken over"));
            name.to_owned()
        }
        Some(_) => String::new(),
        None if is_folder(inside) => {
            say(&format!("`${{{inside}}}` is the client's own; write the folder in its place"));
            return Some(Written::Plain(text.to_owned())).filter(|_| is_harmless_around(before, behind));
        }
        None => inside.to_owned(),
    };
    if is_variable(&wanted) && behind.is_empty() && is_harmless_prefix(before) {
        let variable = variables.claim(workload, &wanted, None);
        return Some(Written::Reference { before: before.to_owned(), variable });
    }
    let variable = variables.claim(workload, &upper(name), Some(text));
    say(&format!("variables within a text cannot be written: `{variable}` is to hold the whole of it"));
    Some(Written::Reference { before: String::new(), variable })
}

/// What shells let a variable be called.
pub(super) fn is_variable(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Variables that stand for places in the client.
fn is_folder(name: &str) -> bool {
    matches!(
        name,
        "workspaceFolder" | "workspaceFolderBasename" | "userHome" | "pathSeparator" | "/" | "cwd" | "PWD"
    )
}

fn is_harmless_around(before: &str, behind: &str) -> bool {
    let is_path = |text: &str| !text.contains("${") && split_secret(text).is_none() && !looks_random(text);
    is_path(before) && is_path(behind)
}

/// What may stand before a secret: the name of what it is.
fn is_harmless_prefix(text: &str) -> bool {
    text.is_empty() || (text.ends_with(['=', ':', ' ']) && text.len() <= 64 && !looks_random(text))
}

/// An argument that holds a secret: what stands before it, what it is called, and the secret.
fn split_secret(argument: &str) -> Option<(&str, &str, &str)> {
    for separator in ['=', ':'] {
        if let Some((name, value)) = argument.split_once(separator)
            && !value.is_empty()
            && !value.starts_with("//")
            && is_secret_name(name)
        {
            let at = argument.len() - value.trim_start().len();
            return Some((&argument[..at], name, &argument[at..]));
        }
    }
    let is_url_with_secret = argument.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        authority.contains('@') || rest.split_once('?').is_some_and(|(_, query)| is_secret_query(query))
    });
    let (before, value) = match argument.split_once('=') {
        Some((name, value)) if argument.starts_with('-') => (&argument[..=name.len()], value),
        _ => ("", argument),
    };
    (is_url_with_secret || looks_random(value)).then_some((before, "argument", &argument[before.len()..]))
}

/// Whether a query of a URL holds a secret.
pub(super) fn is_secret_query(query: &str) -> bool {
    query.split('&').any(|pair| match pair.split_once('=') {
        Some((name, value)) => is_secret_name(name) || looks_random(value),
        None => looks_random(pair),
    })
}

/// What secrets are called.
fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 17] = [
        "KEY",
        "TOKEN",
        "SECRET",
        "PASS",
        "PWD",
        "AUTH",
        "CREDENTIAL",
        "COOKIE",
        "SESSION",
        "PRIVATE",
        "BEARER",
        "SIGNATURE",
        "CERT",
        "DSN",
        "WEBHOOK",
        "CONNECTION",
        "PAT",
    ];
    let words = upper(name);
    let is_part = |part: &&str| match part.len() {
        // Short ones are words of their own: not every path is a token.
        0..=3 => words.split('_').any(|word| word == *part || word.strip_suffix('S') == Some(part)),
        _ => words.contains(*part),
    };
    PARTS.iter().any(is_part) || words.ends_with("KEY") || words.ends_with("PASSWD")
}

/// Values that nobody would call a secret: switches, small numbers, levels, folders, addresses of this machine and others
/// without user and query.
fn is_harmless(value: &str) -> bool {
    const WORDS: [&str; 18] = [
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "debug",
        "info",
        "warn",
        "warning",
        "error",
        "trace",
        "production",
        "development",
        "test",
        "stdio",
        "http",
        "utf-8",
    ];
    let lower = value.to_ascii_lowercase();
    let is_small_number = value.len() <= 5 && value.chars().all(|c| c.is_ascii_digit());
    let is_folder = value.starts_with(['/', '~', '.']) && !value.split('/').any(looks_random);
    let is_address = lower.split_once("://").is_some_and(|(scheme, rest)| {
        matches!(scheme, "http" | "https")
            && !rest.contains(['@', '?', '#'])
            && !rest.split('/').any(looks_random)
    });
    value.is_empty() || is_small_number || WORDS.contains(&lower.as_str()) || is_folder || is_address
}

/// What no person would type: long, without a separator that people write, with digits and letters mixed; or with the
/// beginning of a well-known kind of token.
pub(super) fn looks_random(text: &str) -> bool {
    const BEGINNINGS: [&str; 12] = [
        "sk-",
        "sk_",
        "pk_",
        "ghp_",
        "gho_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "AKIA",
        "AIza",
        "eyJ",
    ];
    if BEGINNINGS.iter().any(|beginning| text.starts_with(beginning) && text.len() > beginning.len()) {
        return true;
    }
    let is_token = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '='));
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let letters = text.chars().filter(char::is_ascii_alphabetic).count();
    is_token && text.len() >= 16 && digits >= 3 && letters >= 3
}

/// As a variable is called.
fn upper(name: &str) -> String {
    let usual = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let text: String = name.chars().map(usual).collect();
    let text = text.trim_matches('_');
    if text.starts_with(|c: char| c.is_ascii_digit()) { format!("_{text}") } else { text.to_owned() }
}
