//! What the compiler does not see: which crate may know which, how files begin and are called, where versions stand.

mod files;
mod manifests;

use std::path::{Path, PathBuf};

use anyhow::bail;

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    /// Relative to the repository.
    file: PathBuf,
    what: String,
}

/// Holds the repository to every rule and prints each breach.
#[expect(clippy::print_stderr, reason = "this is what the command is for")]
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let breaches = breaches(root)?;
    for breach in &breaches {
        eprintln!("{}: {}", breach.file.display(), breach.what);
    }
    if breaches.is_empty() { Ok(()) } else { bail!("{} to tidy up", breaches.len()) }
}

fn breaches(root: &Path) -> anyhow::Result<Vec<Breach>> {
    let mut breaches = Vec::new();
    for folder in members(root)? {
        let manifest = folder.join("Cargo.toml");
        let text = fs_err::read_to_string(root.join(&manifest))?;
        breaches
            .extend(manifests::check(&text)?.into_iter().map(|what| Breach { file: manifest.clone(), what }));
        for file in rust_files(&root.join(&folder))? {
            let text = fs_err::read_to_string(&file)?;
            let file = file.strip_prefix(root)?.to_path_buf();
            breaches.extend(
                files::check(&file, &text).into_iter().map(|what| Breach { file: file.clone(), what }),
            );
        }
    }
    Ok(breaches)
}

/// Folders of the workspace's members, patterns expanded.
fn members(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let manifest: toml::Table = fs_err::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let patterns = manifest["workspace"]["members"].as_array().cloned().unwrap_or_default();
    let mut folders = Vec::new();
    for pattern in patterns.iter().filter_map(toml::Value::as_str) {
        match pattern.strip_suffix("/*") {
            None => folders.push(PathBuf::from(pattern)),
            Some(parent) => {
                for entry in fs_err::read_dir(root.join(parent))? {
                    let entry = entry?;
                    if entry.file_type()?.is_dir() {
                        folders.push(Path::new(parent).join(entry.file_name()));
                    }
                }
            }
        }
    }
    folders.sort();
    Ok(folders)
}

fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        assert_eq!(breaches(crate::root()).unwrap(), []);
    }

    #[test]
    fn breaches_are_found_in_members_wherever_they_lie() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write("Cargo.toml", "[workspace]\nmembers = [\"crates/*\", \"proto\"]\n");
        let good = "[package]\nname = \"vmcp-json\"\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n[lints]\nworkspace = true\n";
        write("crates/a/Cargo.toml", good);
        write("crates/a/src/lib.rs", "//! Good.\n");
        write("proto/Cargo.toml", good);
        assert_eq!(breaches(root.path()).unwrap(), []);
        write("crates/a/src/deep/util.rs", "//! Bad name.\n");
        write("proto/src/lib.rs", "fn bad() {}\n");
        let files: Vec<PathBuf> =
            breaches(root.path()).unwrap().into_iter().map(|breach| breach.file).collect();
        assert_eq!(files, [Path::new("crates/a/src/deep/util.rs"), Path::new("proto/src/lib.rs")]);
    }
}
