//! The `mcpServers` file of a client becomes a manifest. Of variables and arguments only what is known to be harmless comes out; in
//! place of everything else stands the variable that is to hold it.

mod harmless;
mod secret;
mod server;
mod write;

use std::collections::{BTreeMap, HashMap, HashSet};

use jsonc_parser::ParseOptions;
use serde_json::{Map, Value};
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_core::sentence::shown;

use secret::Variables;
use server::Server;

/// A manifest, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The manifest.
    pub manifest: String,
    /// The variables that it refers to, each with the workloads that need it.
    pub variables: BTreeMap<String, Vec<Name>>,
    /// What could not be taken over, or was taken over otherwise.
    pub remarks: Vec<String>,
}

/// Why a file cannot become a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotImport {
    /// Larger than a manifest may be.
    #[error("it has more than {} bytes", limits::MANIFEST_BYTES)]
    TooLarge,
    /// More servers than anybody has.
    #[error("it has more than {} servers", limits::IMPORTED_SERVERS)]
    TooMany,
    /// Not JSON, comments and trailing commas allowed.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// No client writes its servers so.
    #[error("it has none of {}", KEYS.map(|key| format!("`{key}`")).join(", "))]
    NoServers,
}

/// Where clients write their servers: Claude, Cursor, Windsurf, Cline, Gemini and others; VS Code; Zed.
const KEYS: [&str; 3] = ["mcpServers", "servers", "context_servers"];

/// The manifest of a virtual server, called `name`, with a group of the same name that has the servers of a client's file,
/// which is called `file` in comments.
///
/// # Errors
/// [`CannotImport`]. A single server that cannot be taken over is left out and remarked upon.
pub fn import(name: &Name, file: &str, text: &str) -> Result<Imported, CannotImport> {
    if text.len() > limits::MANIFEST_BYTES {
        return Err(CannotImport::TooLarge);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let whole: Value = jsonc_parser::parse_to_serde_value(text, &ParseOptions::default())
        .map_err(|error| CannotImport::NotJson(error.to_string()))?;
    let found = servers(&whole).ok_or(CannotImport::NoServers)?;
    if found.len() > limits::IMPORTED_SERVERS {
        return Err(CannotImport::TooMany);
    }
    let mut variables = Variables::default();
    let mut remarks = Vec::new();
    if whole["projects"]
        .as_object()
        .is_some_and(|projects| projects.values().any(|one| one.get("mcpServers").is_some()))
    {
        remarks.push("servers of single `projects` are not taken over".to_owned());
    }
    let mut servers: Vec<Server> = Vec::with_capacity(found.len());
    let mut taken = Taken::default();
    for (written, value) in found {
        let name = taken.free_name(written);
        if name.as_str() != written {
            remarks.push(format!("`{}` is called `{name}`, which can stand in a path", shown(written)));
        }
        let mut say = |text: &str| remarks.push(format!("`{name}`: {text}"));
        servers.extend(server::server(name.clone(), value, &mut variables, &mut say));
    }
    let variables = variables.used;
    Ok(Imported { manifest: write::manifest(name, file, &servers, &variables), variables, remarks })
}

fn servers(whole: &Value) -> Option<&Map<String, Value>> {
    let places = KEYS.iter().filter_map(|key| whole.get(key)?.as_object());
    // VS Code once had them in its settings.
    let settings = whole.get("mcp").and_then(|mcp| mcp.get("servers")).and_then(Value::as_object);
    let mut places = places.chain(settings);
    let first = places.next()?;
    if first.is_empty() { places.find(|place| !place.is_empty()).or(Some(first)) } else { Some(first) }
}

/// Names that servers have.
#[derive(Default)]
struct Taken {
    names: HashSet<Name>,
    numbers: HashMap<String, usize>,
}

impl Taken {
    /// What a server is called, so that it can stand in a path and no other is called so.
    fn free_name(&mut self, written: &str) -> Name {
        let usual = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        let text: String = written.chars().map(usual).collect();
        let text: String = text.trim_matches(['.', '_', '-']).chars().take(50).collect();
        let base = if text.is_empty() { "server".to_owned() } else { text };
        let mut candidate = base.clone();
        loop {
            if let Ok(name) = candidate.parse::<Name>()
                && self.names.insert(name.clone())
            {
                return name;
            }
            let number = self.numbers.entry(base.clone()).or_insert(1);
            *number += 1;
            candidate = format!("{base}-{number}");
        }
    }
}

#[cfg(test)]
mod tests;
