//! A reader over one folder. Nothing outside it can be reached, by whatever name.

use std::path::{Path, PathBuf};

use anyhow::Context;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    Implementation, ListResourcesResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, Json, RoleServer, ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Reads one folder.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    folder: PathBuf,
    tool_router: ToolRouter<Self>,
}

/// Files that are listed at most.
const LISTED: usize = 500;
/// Bytes that are read of one file at most.
const READ: u64 = 1024 * 1024;
const SCHEME: &str = "files:///";

#[derive(Debug, Deserialize, JsonSchema)]
struct ReadFile {
    /// Path in the folder, such as `guide/start.md`
    path: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Search {
    /// Text to look for, whatever its case
    text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Paths {
    /// Paths in the folder
    paths: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    /// Lines that have the text
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Line {
    /// Path in the folder
    path: String,
    /// From 1
    number: usize,
    /// The line
    text: String,
}

#[tool_router(router = tool_router)]
impl Files {
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let folder = fs_err::canonicalize(folder).context("could not open the folder")?;
        Ok(Self { folder, tool_router: Self::tool_router() })
    }

    #[tool(
        description = "The files in the folder",
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn list(&self) -> Result<Json<Paths>, String> {
        Ok(Json(Paths { paths: self.paths()? }))
    }

    #[tool(description = "The text of a file", annotations(read_only_hint = true, open_world_hint = false))]
    async fn read(&self, Parameters(read): Parameters<ReadFile>) -> Result<String, String> {
        self.text(&read.path)
    }

    #[tool(
        description = "Lines that have a text",
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn search(&self, Parameters(search): Parameters<Search>) -> Result<Json<Found>, String> {
        let wanted = search.text.to_lowercase();
        let mut lines = Vec::new();
        for path in self.paths()? {
            let Ok(text) = self.text(&path) else { continue };
            let found = text.lines().enumerate().filter(|(_, line)| line.to_lowercase().contains(&wanted));
            lines.extend(found.map(|(at, line)| Line {
                path: path.clone(),
                number: at + 1,
                text: line.to_owned(),
            }));
            lines.truncate(LISTED);
        }
        Ok(Json(Found { lines }))
    }

    /// Ordered by path.
    fn paths(&self) -> Result<Vec<String>, String> {
        let mut paths = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match fs_err::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if folder == self.folder => return Err(error.to_string()),
                // One that we may not read hides itself only.
                Err(_) => continue,
            };
            for entry in entries {
                let entry = entry.map_err(|error| error.to_string())?;
                // A link could lead outside.
                let kind = entry.file_type().map_err(|error| error.to_string())?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file()
                    && let Ok(path) = entry.path().strip_prefix(&self.folder)
                {
                    paths.push(path.to_string_lossy().into_owned());
                }
            }
        }
        paths.sort();
        paths.truncate(LISTED);
        Ok(paths)
    }

    fn text(&self, path: &str) -> Result<String, String> {
        let unknown = || format!("there is no file `{path}`");
        let whole = fs_err::canonicalize(self.folder.join(path)).map_err(|_| unknown())?;
        let is_inside = whole.starts_with(&self.folder) && whole.is_file();
        if !is_inside {
            return Err(unknown());
        }
        let size = fs_err::metadata(&whole).map_err(|error| error.to_string())?.len();
        if size > READ {
            return Err(format!("`{path}` has {size} bytes; {READ} are read at most"));
        }
        fs_err::read_to_string(&whole).map_err(|_| format!("`{path}` is not a text"))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Files {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_resources().build())
            .with_server_info(Implementation::new("vmcp-demo-files", env!("CARGO_PKG_VERSION")))
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let paths = self.paths().map_err(|error| ErrorData::internal_error(error, None))?;
        let resources = paths.into_iter().map(|path| Resource::new(format!("{SCHEME}{path}"), path));
        Ok(ListResourcesResult::with_all_items(resources.collect()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let text = request.uri.strip_prefix(SCHEME).and_then(|path| self.text(path).ok());
        let text =
            text.ok_or_else(|| ErrorData::resource_not_found(format!("no resource {}", request.uri), None))?;
        Ok(ReadResourceResult::new(vec![ResourceContents::text(text, request.uri)]).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let outside = tempfile::tempdir().unwrap();
        fs_err::write(outside.path().join("secret"), "secret").unwrap();
        let folder = outside.path().join("folder");
        fs_err::create_dir(&folder).unwrap();
        fs_err::write(folder.join("a.txt"), "hello").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("link")).unwrap();
        let files = Files::open(&folder).unwrap();
        assert_eq!(files.paths().unwrap(), ["a.txt"]);
        assert_eq!(files.text("a.txt").unwrap(), "hello");
        let secret = outside.path().join("secret");
        for path in ["../secret", "link", secret.to_str().unwrap(), "", "."] {
            assert!(files.text(path).is_err(), "{path}");
        }
    }
}
