//! The verbs that show what there is.

use std::process::ExitCode;

use anstyle::Style;
use anyhow::bail;
use serde::Serialize;
use serde_json::json;
use vmcp_proto::v1;

use crate::client::{Client, status};
use crate::failure::WrongUsage;
use crate::settings::{DIM, Describe, Get, History, Output, Subject, Thing};
use crate::table::Table;
use crate::terminal::{legible, print_line, terminal_width};

/// Lists.
pub(crate) async fn get(get: Get) -> anyhow::Result<ExitCode> {
    let Get { subject, name, output, server } = get;
    let mut client = Client::connect(&server).await?;
    if subject == Subject::Catalog {
        let Some(name) = name else {
            return Err(WrongUsage("name the virtual server: `vmcpctl get catalog NAME`".to_owned()).into());
        };
        return catalog(&mut client, name, output).await;
    }
    if subject == Subject::Groups {
        return groups(&mut client, name, output).await;
    }
    let answer = client.control.get_status(v1::GetStatusRequest {}).await;
    let status = client.answered(answer)?;
    let is_wanted = |candidate: &str| name.as_deref().is_none_or(|name| name == candidate);
    let (table, data) = match subject {
        Subject::VirtualServers => {
            let servers: Vec<_> =
                status.virtual_servers.iter().filter(|server| is_wanted(&server.name)).collect();
            (status::virtual_servers(&servers), serde_json::to_value(&servers)?)
        }
        Subject::Backends => {
            let is_wanted = |backend: &&v1::BackendStatus| {
                is_wanted(&backend.name) || is_wanted(&format!("{}/{}", backend.group, backend.name))
            };
            let backends: Vec<_> = status.backends.iter().filter(is_wanted).collect();
            (status::backends(&backends), serde_json::to_value(&backends)?)
        }
        Subject::Replicas | Subject::Groups | Subject::Catalog => {
            let replicas: Vec<_> = status.replicas.iter().filter(|replica| is_wanted(&replica.id)).collect();
            (status::replicas(&replicas, &status), serde_json::to_value(&replicas)?)
        }
    };
    if let Some(name) = name.filter(|_| table.is_empty()) {
        bail!("there is no such thing called `{name}`");
    }
    show(output, &data, &table)
}

async fn groups(client: &mut Client, name: Option<String>, output: Output) -> anyhow::Result<ExitCode> {
    let request = v1::GetRequest { kind: "group".to_owned(), name: name.clone().unwrap_or_default() };
    let answer = client.control.get(request).await;
    let documents = client.answered(answer)?.documents;
    let answer = client.control.get_status(v1::GetStatusRequest {}).await;
    let status = client.answered(answer)?;
    let mut table = Table::new(&["NAME", "WORKLOADS", "PRESENTED BY", "WRITTEN IN"]);
    let mut data = Vec::new();
    for document in &documents {
        let workloads: Vec<&str> = status
            .backends
            .iter()
            .filter(|backend| backend.group == document.name)
            .map(|backend| backend.name.as_str())
            .collect();
        let servers: Vec<&str> = status
            .virtual_servers
            .iter()
            .filter(|server| server.group == document.name)
            .map(|server| server.name.as_str())
            .collect();
        let place = format!("{}:{}", document.file, document.line);
        data.push(json!({"name": document.name, "workloads": workloads, "virtual_servers": servers, "written_in": place}));
        table.row(
            Style::new(),
            vec![document.name.clone(), workloads.len().to_string(), servers.join(", "), place],
        );
    }
    if let Some(name) = name.filter(|_| table.is_empty()) {
        bail!("there is no group `{name}`");
    }
    show(output, &data, &table)
}

async fn catalog(client: &mut Client, virtual_server: String, output: Output) -> anyhow::Result<ExitCode> {
    let answer = client.control.get_catalog(v1::GetCatalogRequest { virtual_server }).await;
    let catalog = client.answered(answer)?;
    let mut table = Table::new(&["KIND", "NAME", "BACKEND", "CALLED THERE"]);
    for (kind, items) in [
        ("tool", &catalog.tools),
        ("resource", &catalog.resources),
        ("template", &catalog.resource_templates),
        ("prompt", &catalog.prompts),
    ] {
        for item in items {
            let own = if item.original_name == item.exposed_name {
                String::new()
            } else {
                item.original_name.clone()
            };
            table.row(
                Style::new(),
                vec![kind.to_owned(), item.exposed_name.clone(), item.backend.clone(), own],
            );
        }
    }
    let code = show(output, &catalog, &table)?;
    if output == Output::Table {
        status::tell_diagnostics(&catalog.diagnostics);
    }
    Ok(code)
}

/// Everything about one.
pub(crate) async fn describe(describe: Describe) -> anyhow::Result<ExitCode> {
    let Describe { thing, name, server } = describe;
    let mut client = Client::connect(&server).await?;
    let answer = client.control.get_status(v1::GetStatusRequest {}).await;
    let status = client.answered(answer)?;
    let found = match thing {
        Thing::VirtualServer => {
            serde_json::to_value(status.virtual_servers.iter().find(|server| server.name == name))?
        }
        Thing::Backend => {
            serde_json::to_value(status.backends.iter().find(|backend| {
                backend.name == name || format!("{}/{}", backend.group, backend.name) == name
            }))?
        }
        Thing::Replica => serde_json::to_value(status.replicas.iter().find(|replica| replica.id == name))?,
        Thing::Group => json!({"name": name}),
    };
    let mut text = String::new();
    let document = match thing {
        Thing::VirtualServer => Some("virtual_server"),
        Thing::Group => Some("group"),
        Thing::Backend | Thing::Replica => None,
    };
    let mut documents = Vec::new();
    if let Some(kind) = document {
        let request = v1::GetRequest { kind: kind.to_owned(), name: name.clone() };
        let answer = client.control.get(request).await;
        documents = client.answered(answer)?.documents;
    }
    if found.is_null() || (document.is_some() && documents.is_empty()) {
        bail!("there is none called `{name}`");
    }
    status::facts(&mut text, &found, 0);
    for document in documents {
        text += &format!("\n{DIM}# {}:{}{DIM:#}\n", legible(&document.file), document.line);
        for line in document.text.trim_end().lines() {
            text += &format!("{}\n", legible(line));
        }
    }
    print_line(text.trim_end())?;
    let about = status.diagnostics.iter().filter(|diagnostic| match thing {
        Thing::VirtualServer => diagnostic.virtual_server == name,
        Thing::Backend => {
            let own = name.rsplit('/').next().unwrap_or_default();
            diagnostic.backends.iter().any(|backend| backend == own)
        }
        Thing::Group | Thing::Replica => false,
    });
    status::tell_diagnostics(&about.cloned().collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

/// What was accepted, the newest first.
pub(crate) async fn history(history: History) -> anyhow::Result<ExitCode> {
    let History { limit, output, server } = history;
    let mut client = Client::connect(&server).await?;
    let answer = client.control.history(v1::HistoryRequest { limit }).await;
    let response = client.answered(answer)?;
    let mut table = Table::new(&["GENERATION", "WHEN", "WHAT", "CHANGES"]);
    for entry in &response.entries {
        let when = jiff::Timestamp::from_millisecond(i64::try_from(entry.accepted_ms).unwrap_or_default());
        let when = when.map(|when| format!("{when:.0}")).unwrap_or_default();
        table.row(
            Style::new(),
            vec![entry.generation.to_string(), when, entry.cause.clone(), entry.changes.join(", ")],
        );
    }
    show(output, &response.entries, &table)
}

fn show(output: Output, data: &impl Serialize, table: &Table) -> anyhow::Result<ExitCode> {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(data)?,
        Output::Table => table.render(terminal_width()),
    };
    print_line(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
