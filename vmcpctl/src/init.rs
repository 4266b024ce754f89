//! `init`: a client's file becomes a manifest.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use fs_err::os::unix::fs::OpenOptionsExt;
use vmcp_manifest::Imported;

use crate::manifests::read_bounded;
use crate::settings::{GREEN, Init, YELLOW};
use crate::terminal::{legible, print_line};

/// Writes the manifest, and says what was not taken over and which variables must be set.
pub(crate) fn run(init: &Init) -> anyhow::Result<ExitCode> {
    let file = legible(&init.from.display().to_string());
    let text = read_bounded(&init.from).map_err(|error| anyhow!("{}", legible(&error.to_string())))?;
    let name = init.from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let imported = vmcp_manifest::import(&init.name, &name, &text)
        .with_context(|| format!("`{file}` cannot be read as a client's file"))?;
    for remark in &imported.remarks {
        anstream::eprintln!("{YELLOW}note{YELLOW:#}: {}", legible(remark));
    }
    match &init.output {
        None => print_line(imported.manifest.trim_end())?,
        Some(output) => {
            let mut options = fs_err::OpenOptions::new();
            options.write(true).create_new(true);
            // It names every server of a person.
            options.mode(0o600);
            options.open(output)?.write_all(imported.manifest.as_bytes())?;
            anstream::eprintln!("{GREEN}written{GREEN:#}: {}", legible(&output.display().to_string()));
        }
    }
    say_variables(&imported);
    Ok(ExitCode::SUCCESS)
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
