//! What ToolHive keeps on disk: groups and run configs in one folder, statuses in another. What is being written, damaged or
//! not there for a moment is what it was.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err::File;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use vmcp_core::desired::ToolHive;

use super::{Described, Seen, ToolHiveFolders};

/// A run config or a status: both take a few KiB.
const FILE_BYTES: u64 = 1024 * 1024;

/// How long a status that is being written is waited for.
const LOCKED_TIME: Duration = Duration::from_secs(1);

/// The files of one group.
#[derive(Debug)]
pub(in crate::workloads) struct Files {
    group: String,
    host: String,
    folders: ToolHiveFolders,
    configs: Folder<Described>,
    statuses: Folder<Status>,
}

#[derive(Debug, Clone, Deserialize)]
struct Status {
    #[serde(default)]
    status: String,
}

/// The last good contents of files, each with what told it from others.
#[derive(Debug)]
struct Folder<T> {
    files: HashMap<PathBuf, Known<T>>,
}

#[derive(Debug)]
struct Known<T> {
    stamp: Stamp,
    value: Option<T>,
    fault: Option<String>,
    locked_since: Option<Instant>,
}

/// A file that is replaced has another inode; one that is written has another length or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Stamp {
    inode: u64,
    length: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Files {
    pub(in crate::workloads) fn new(toolhive: &ToolHive, folders: ToolHiveFolders) -> Self {
        let (group, host) = (toolhive.group.clone(), toolhive.host.clone());
        let (configs, statuses) = (Folder { files: HashMap::new() }, Folder { files: HashMap::new() });
        Self { group, host, folders, configs, statuses }
    }

    /// What is there now. Blocks.
    ///
    /// # Errors
    /// Nothing can be said of the group: a folder cannot be read.
    pub(in crate::workloads) fn look(&mut self) -> Result<Seen, String> {
        let unknown = || {
            "nobody says where ToolHive keeps its files: set HOME, or write `state_dir` and `data_dir`"
                .to_owned()
        };
        let state = self.folders.state.clone().ok_or_else(unknown)?;
        let data = self.folders.data.clone().ok_or_else(unknown)?;
        let mut seen = Seen::default();
        let group = state.join("groups").join(format!("{}.json", self.group));
        match fs_err::metadata(&group) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound && state.join("runconfigs").is_dir() => {
                seen.faults.push(format!(
                    "ToolHive has no group `{}`: there is no {}",
                    self.group,
                    group.display()
                ));
            }
            Err(error) => return Err(format!("ToolHive's groups cannot be read: {error}")),
        }
        let runconfigs = state.join("runconfigs");
        let names =
            list(&runconfigs).map_err(|error| format!("ToolHive's workloads cannot be read: {error}"))?;
        self.configs.files.retain(|path, _| names.contains(path));
        let statuses = data.join("statuses");
        let can_read_statuses = fs_err::read_dir(&statuses);
        if let Err(error) = &can_read_statuses {
            seen.faults.push(format!("ToolHive's statuses cannot be read: {error}"));
        }
        for path in &names {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let (described, fault) = self.configs.read(path, None);
            if described.is_none() && fault.is_some() {
                // It may be of this group.
                seen.keep(&name);
            }
            seen.faults.extend(fault);
            let Some(described) = described.filter(|described| described.group() == self.group) else {
                continue;
            };
            let file = statuses.join(format!("{}.json", name.replace('/', "-")));
            let (status, fault) = match &can_read_statuses {
                Ok(_) => self.statuses.read(&file, Some(&file.with_extension("lock"))),
                Err(_) => (self.statuses.last(&file), None),
            };
            seen.faults.extend(fault);
            let status = status.map_or_else(|| "unknown".to_owned(), |status| status.status);
            seen.add(&name, &described, &status, &self.host);
        }
        Ok(seen)
    }
}

impl<T: Clone + DeserializeOwned> Folder<T> {
    /// What was last read of it.
    fn last(&self, path: &Path) -> Option<T> {
        self.files.get(path).and_then(|known| known.value.clone())
    }

    /// What stands in a file, or stood in it when it last could be read, and what is wrong with it now. Whoever holds `lock` is
    /// writing it.
    fn read(&mut self, path: &Path, lock: Option<&Path>) -> (Option<T>, Option<String>) {
        let stamp = match fs_err::metadata(path) {
            Ok(metadata) => Stamp {
                inode: metadata.ino(),
                length: metadata.len(),
                seconds: metadata.mtime(),
                nanoseconds: metadata.mtime_nsec(),
            },
            // It has gone since the folder was read, or was never there.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.files.remove(path);
                return (None, None);
            }
            Err(error) => return (self.last(path), Some(error.to_string())),
        };
        let known = self.files.entry(path.to_owned()).or_insert_with(|| Known {
            stamp: Stamp::default(),
            value: None,
            fault: None,
            locked_since: None,
        });
        if known.stamp == stamp {
            return (known.value.clone(), known.fault.clone());
        }
        if lock.is_some_and(is_locked) {
            let since = *known.locked_since.get_or_insert_with(Instant::now);
            if since.elapsed() < LOCKED_TIME {
                return (known.value.clone(), known.fault.clone());
            }
        }
        known.locked_since = None;
        match read(path) {
            Ok(value) => *known = Known { stamp, value: Some(value), fault: None, locked_since: None },
            Err(why) => {
                (known.stamp, known.fault) =
                    (stamp, Some(format!("{} cannot be read: {why}", path.display())));
            }
        }
        (known.value.clone(), known.fault.clone())
    }
}

/// Files that hold JSON; what is about to be renamed begins with a dot.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !is_hidden && path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES {
        return Err(format!("it is larger than {FILE_BYTES} bytes"));
    }
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// Whether somebody holds the lock to write.
fn is_locked(lock: &Path) -> bool {
    File::open(lock).is_ok_and(|file| file.file().try_lock_shared().is_err())
}

#[cfg(test)]
mod tests;
