//! What ToolHive keeps on disk, written as it writes it: beside, then renamed.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A home with ToolHive's folders in it.
#[derive(Debug)]
pub struct ToolHiveHome {
    folder: TempDir,
}

impl ToolHiveHome {
    /// Empty folders.
    ///
    /// # Panics
    /// They cannot be made.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let home = Self { folder };
        for folder in ["groups", "runconfigs"] {
            fs_err::create_dir_all(home.state().join(folder)).expect("a folder");
        }
        fs_err::create_dir_all(home.data().join("statuses")).expect("a folder");
        home
    }

    /// The folder with `groups` and `runconfigs`.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state/toolhive")
    }

    /// The folder with `statuses`.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data/toolhive")
    }

    /// A file of it, written whole.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, file: &Path, text: &str) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let beside = file.with_file_name(format!(".{name}.tmp-1"));
        fs_err::write(&beside, text).expect("a file");
        fs_err::rename(&beside, file).expect("renamed");
    }

    /// A group.
    pub fn group(&self, name: &str) {
        let text = format!("{{\n  \"name\": \"{name}\",\n  \"registered_clients\": []\n}}");
        self.write(&self.state().join(format!("groups/{name}.json")), &text);
    }

    /// A workload with its status.
    pub fn workload(&self, name: &str, group: &str, port: u16, status: &str) {
        self.run_config(name, group, &format!(r#""transport": "streamable-http", "port": {port}"#));
        self.status(name, status);
    }

    /// What a workload is run with. `members` are JSON.
    pub fn run_config(&self, name: &str, group: &str, members: &str) {
        let text = format!(
            r#"{{
  "schema_version": "v0.1.0",
  "image": "example/{name}:1",
  "name": "{name}",
  "container_name": "{name}",
  "base_name": "{name}",
  "host": "127.0.0.1",
  "group": "{group}",
  "container_labels": {{"toolhive": "true", "toolhive-name": "{name}", "team": "search"}},
  {members}
}}"#
        );
        self.write(&self.run_config_file(name), &text);
    }

    /// Where that stands.
    pub fn run_config_file(&self, name: &str) -> PathBuf {
        self.state().join(format!("runconfigs/{name}.json"))
    }

    /// How a workload is.
    pub fn status(&self, name: &str, status: &str) {
        let text = format!(
            "{{\n  \"status\": \"{status}\",\n  \"created_at\": \"2026-01-01T00:00:00Z\",\n  \"updated_at\": \"2026-01-01T00:00:00Z\",\n  \"process_id\": 1\n}}"
        );
        self.write(&self.data().join(format!("statuses/{name}.json")), &text);
    }

    /// Takes a workload away.
    ///
    /// # Panics
    /// It is not there.
    pub fn remove(&self, name: &str) {
        fs_err::remove_file(self.run_config_file(name)).expect("removed");
        fs_err::remove_file(self.data().join(format!("statuses/{name}.json"))).expect("removed");
    }
}

impl Default for ToolHiveHome {
    fn default() -> Self {
        Self::new()
    }
}
