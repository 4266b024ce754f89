//! Which control plane is asked: names for addresses, in a file of the person's own.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::Style;
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use vmcp_runtime::plain_peer;

use crate::failure::WrongUsage;
use crate::settings::{self, ContextCommand};
use crate::table::Table;
use crate::terminal::{print_line, terminal_width};

/// Where is asked if nobody has said anything.
const DEFAULT: &str = "http://127.0.0.1:4490";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contexts {
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Server>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    server: String,
}

/// The address that is asked.
pub(crate) fn current() -> anyhow::Result<String> {
    let contexts = load()?;
    let chosen = contexts.current.as_ref().and_then(|name| contexts.contexts.get(name));
    Ok(chosen.map_or_else(|| DEFAULT.to_owned(), |context| context.server.clone()))
}

/// One of the verbs.
pub(crate) fn run(command: ContextCommand) -> anyhow::Result<ExitCode> {
    let mut contexts = load()?;
    match command {
        ContextCommand::List => return list(&contexts),
        ContextCommand::Set { name, server } => {
            plain_peer(&server).map_err(|error| WrongUsage(error.to_string()))?;
            contexts.contexts.insert(name.to_string(), Server { server });
            contexts.current = Some(name.to_string());
        }
        ContextCommand::Use { name } => {
            if !contexts.contexts.contains_key(name.as_str()) {
                bail!("there is no context `{name}`; `vmcpctl context set {name} --server URL` makes one");
            }
            contexts.current = Some(name.to_string());
        }
        ContextCommand::Delete { name } => {
            if contexts.contexts.remove(name.as_str()).is_none() {
                bail!("there is no context `{name}`");
            }
            contexts.current.take_if(|current| current == name.as_str());
        }
    }
    save(&contexts)?;
    Ok(ExitCode::SUCCESS)
}

fn list(contexts: &Contexts) -> anyhow::Result<ExitCode> {
    let mut table = Table::new(&["IN USE", "NAME", "SERVER"]);
    let mut row = |is_used: bool, name: &str, server: &str| {
        let mark = if is_used { "*" } else { "" };
        table.row(Style::new(), vec![mark.to_owned(), name.to_owned(), server.to_owned()]);
    };
    for (name, context) in &contexts.contexts {
        row(contexts.current.as_ref() == Some(name), name, &context.server);
    }
    if contexts.current.is_none() {
        row(true, "(default)", DEFAULT);
    }
    print_line(table.render(terminal_width()).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn file() -> anyhow::Result<PathBuf> {
    let folder =
        settings::preferences().context("there is no home to keep contexts in: set HOME, or use --server")?;
    Ok(folder.join("contexts.json"))
}

fn load() -> anyhow::Result<Contexts> {
    // Without a home there are no contexts, and the default is asked.
    let Ok(file) = file() else { return Ok(Contexts::default()) };
    match fs_err::read(&file) {
        Ok(text) => {
            serde_json::from_slice(&text).with_context(|| format!("could not read {}", file.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Contexts::default()),
        Err(error) => Err(error.into()),
    }
}

/// Whole or not at all.
fn save(contexts: &Contexts) -> anyhow::Result<()> {
    let file = file()?;
    if let Some(folder) = file.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let beside = file.with_extension("new");
    fs_err::write(&beside, serde_json::to_string_pretty(contexts)? + "\n")?;
    fs_err::rename(beside, file)?;
    Ok(())
}
