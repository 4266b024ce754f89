//! Which control plane is asked: names for addresses, in a file of the person's own.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::Style;
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use vmcp_runtime::{ConnectFiles, grpc_peer};

use crate::failure::WrongUsage;
use crate::settings::{self, ContextCommand, ServerFiles};
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
    /// Where the files are that TLS goes by; what stands in them is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<Files>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

/// The address that is asked, and what is shown there; what was said beside it goes before.
pub(crate) fn current(shown: &ServerFiles) -> anyhow::Result<(String, Option<ConnectFiles>)> {
    let mut contexts = load()?;
    let chosen = contexts.current.take().and_then(|name| contexts.contexts.remove(&name));
    let Some(Server { server, files }) = chosen else { return Ok((DEFAULT.to_owned(), shown.connect())) };
    let kept = files.map(|Files { ca, cert, key }| ServerFiles {
        server_ca: Some(ca),
        server_cert: Some(cert),
        server_key: Some(key),
    });
    Ok((server, shown.connect().or_else(|| kept.and_then(|kept| kept.connect()))))
}

/// One of the verbs.
pub(crate) fn run(command: ContextCommand) -> anyhow::Result<ExitCode> {
    let mut contexts = load()?;
    match command {
        ContextCommand::List => return list(&contexts),
        ContextCommand::Set { name, server, shown } => {
            let connect = shown.connect();
            grpc_peer(&server, connect.is_some(), "server").map_err(|error| WrongUsage(error.to_string()))?;
            // They are used from other folders, too.
            let files = connect.map(|ConnectFiles { authorities, shown }| -> anyhow::Result<Files> {
                let whole = |file: PathBuf| fs_err::canonicalize(file);
                let (ca, cert) = (whole(authorities)?, whole(shown.certificates)?);
                Ok(Files { ca, cert, key: whole(shown.key)? })
            });
            let files = files.transpose()?;
            contexts.contexts.insert(name.to_string(), Server { server, files });
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
