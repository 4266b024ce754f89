//! Generates the Rust code of `proto/` with neither protoc nor a build script; the result is committed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, bail};
use prost::Message;

const FILES: &[&str] = &["vmcp/v1/parts.proto", "vmcp/v1/publish.proto", "vmcp/v1/control.proto"];
/// What `vmcpctl` prints as JSON, field by field.
const PRINTED: &[&str] = &[
    "BackendStatus",
    "Catalog",
    "CatalogChange",
    "CatalogItem",
    "ChangeResponse",
    "Counts",
    "Diagnostic",
    "Document",
    "DocumentChange",
    "Fault",
    "GetResponse",
    "HeldBackServer",
    "HistoryEntry",
    "HistoryResponse",
    "Label",
    "Rejection",
    "ReplicaStatus",
    "Status",
    "VirtualServerStatus",
];
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
    fs_err::write(
        scratch.path().join("descriptors.bin"),
        without_comments(descriptors.clone()).encode_to_vec(),
    )?;
    let serialized = |builder: tonic_prost_build::Builder, name: &&str| {
        builder.message_attribute(format!(".vmcp.v1.{name}"), "#[derive(serde::Serialize)]")
    };
    PRINTED
        .iter()
        .fold(tonic_prost_build::configure(), serialized)
        .bytes(".")
        .build_transport(false)
        .out_dir(scratch.path())
        .compile_fds(descriptors)?;
    read(scratch.path())
}

fn without_comments(mut descriptors: prost_types::FileDescriptorSet) -> prost_types::FileDescriptorSet {
    descriptors.file.iter_mut().for_each(|file| file.source_code_info = None);
    descriptors
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
