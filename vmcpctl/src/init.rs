//! `init`: a client's file, or a ToolHive group, becomes a manifest.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use fs_err::os::unix::fs::OpenOptionsExt;
use vmcp_manifest::Imported;

use crate::manifests::read_bounded;
use crate::settings::{GREEN, Init, YELLOW};
use crate::terminal::{legible, print_line};
use crate::toolhive;

/// Writes the manifest, and says what was not taken over and which variables must be set.
pub(crate) fn run(init: &Init) -> anyhow::Result<ExitCode> {
    let Some(from) = init.from.as_ref().filter(|_| init.group.is_none()) else { return of_group(init) };
    let file = legible(&from.display().to_string());
    let text = read_bounded(from).map_err(|error| anyhow!("{}", legible(&error.to_string())))?;
    let file_name = from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = init.name.clone().map_or_else(|| "mine".parse(), Ok)?;
    let imported = vmcp_manifest::import(&name, &file_name, &text)
        .with_context(|| format!("`{file}` cannot be read as a client's file"))?;
    for remark in &imported.remarks {
        anstream::eprintln!("{YELLOW}note{YELLOW:#}: {}", legible(remark));
    }
    write(init, &imported.manifest)?;
    say_variables(&imported);
    Ok(ExitCode::SUCCESS)
}

/// The group is looked up when it is served, so that the manifest stays true; those who are in it now stand in a comment.
fn of_group(init: &Init) -> anyhow::Result<ExitCode> {
    let group = init.group.as_deref().unwrap_or_default();
    let [manifest] = toolhive::manifest(group, init.name.as_ref())?;
    let found = toolhive::look(group)?;
    for remark in &found.remarks {
        anstream::eprintln!("{YELLOW}note{YELLOW:#}: {}", legible(remark));
    }
    let mut text = format!(
        "# Everybody who reaches the listener is let in; the group is found by itself, as it comes and goes.\n{}",
        manifest.text
    );
    if !found.workloads.is_empty() {
        text.push_str("# In the group now:\n");
        for line in &found.workloads {
            text.push_str(&format!("#   {line}\n"));
        }
    }
    write(init, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn write(init: &Init, manifest: &str) -> anyhow::Result<()> {
    match &init.output {
        None => print_line(manifest.trim_end())?,
        Some(output) => {
            let mut options = fs_err::OpenOptions::new();
            options.write(true).create_new(true);
            // It names every server of a person.
            options.mode(0o600);
            options.open(output)?.write_all(manifest.as_bytes())?;
            anstream::eprintln!("{GREEN}written{GREEN:#}: {}", legible(&output.display().to_string()));
        }
    }
    Ok(())
}

fn say_variables(imported: &Imported) {
    if imported.variables.is_empty() {
        return;
    }
    anstream::eprintln!("\nset before it is served:");
    for (variable, users) in &imported.variables {
        let users: Vec<String> = users.iter().map(|user| format!("`{user}`")).collect();
        anstream::eprintln!("  {variable}  for {}", users.join(", "));
    }
}
