//! Generates the Rust code of `proto/` with neither protoc nor a build script; the result is committed.

use std::path::Path;

use anyhow::{Context, bail};

const FILES: &[&str] = &["vmcp/v1/parts.proto"];
const GENERATED: &str = "proto/src/generated";

/// Writes the code, or, with `check`, compares it with what is committed.
pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    let scratch = root.join("target/xtask-codegen");
    fs_err::create_dir_all(&scratch)?;
    let descriptors =
        protox::compile(FILES, [root.join("proto")]).context("could not compile the .proto files")?;
    prost_build::Config::new().bytes(["."]).out_dir(&scratch).compile_fds(descriptors)?;
    for entry in fs_err::read_dir(&scratch)? {
        let entry = entry?;
        let generated = fs_err::read(entry.path())?;
        let committed = root.join(GENERATED).join(entry.file_name());
        if !check {
            fs_err::write(&committed, generated)?;
        } else if fs_err::read(&committed).ok().as_deref() != Some(&generated) {
            bail!("{} is not what `cargo xtask codegen` writes: run it", committed.display());
        }
    }
    Ok(())
}
