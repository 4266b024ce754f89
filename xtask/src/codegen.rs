//! Generates the Rust code of `proto/` with neither protoc nor a build script; the result is committed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, bail};

const FILES: &[&str] = &["vmcp/v1/parts.proto"];
const GENERATED: &str = "proto/src/generated";

/// Writes the code, or, with `check`, compares it with what is committed.
pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    let generated = generate(root)?;
    let folder = root.join(GENERATED);
    if !check {
        for (name, code) in &generated {
            fs_err::write(folder.join(name), code)?;
        }
        return Ok(());
    }
    if generated != read(&folder)? {
        bail!(
            "{GENERATED} is not what `cargo xtask codegen` writes: run it, and remove what it no longer writes"
        );
    }
    Ok(())
}

fn generate(root: &Path) -> anyhow::Result<BTreeMap<OsString, Vec<u8>>> {
    let scratch = tempfile::tempdir()?;
    let descriptors =
        protox::compile(FILES, [root.join("proto")]).context("could not compile the .proto files")?;
    prost_build::Config::new().bytes(["."]).out_dir(scratch.path()).compile_fds(descriptors)?;
    read(scratch.path())
}

fn read(folder: &Path) -> anyhow::Result<BTreeMap<OsString, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        files.insert(entry.file_name(), fs_err::read(entry.path())?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_code_is_what_is_generated() {
        run(crate::root(), true).unwrap();
    }
}
