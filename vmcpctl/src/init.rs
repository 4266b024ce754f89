//! `init`: a client's file becomes a manifest.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};
use fs_err::os::unix::fs::OpenOptionsExt;
use vmcp_core::limits;
use vmcp_manifest::Imported;

use crate::settings::{GREEN, Init, YELLOW};

/// Writes the manifest, and says what was not taken over and which variables must be set.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(crate) fn run(init: &Init) -> anyhow::Result<ExitCode> {
    let file = init.from.display();
    if fs_err::metadata(&init.from)?.len() > limits::MANIFEST_BYTES as u64 {
        bail!("`{file}` is too large for a client's file");
    }
    let text = fs_err::read_to_string(&init.from)?;
    let name = init.from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let imported = vmcp_manifest::import(&init.name, &name, &text)
        .with_context(|| format!("`{file}` cannot be read as a client's file"))?;
    for remark in &imported.remarks {
        anstream::eprintln!("{YELLOW}note{YELLOW:#}: {remark}");
    }
    match &init.output {
        None => print!("{}", imported.manifest),
        Some(output) => {
            let mut options = fs_err::OpenOptions::new();
            options.write(true).create_new(true);
            // It names every server of a person.
            options.mode(0o600);
            options.open(output)?.write_all(imported.manifest.as_bytes())?;
            anstream::eprintln!("{GREEN}written{GREEN:#}: {}", output.display());
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
