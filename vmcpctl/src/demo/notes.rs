//! A notes store with tools, resources, a resource template, prompts and completion.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use rmcp::handler::server::router::prompt::PromptRouter;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CompleteRequestParams, CompleteResult, CompletionInfo, Implementation, ListResourceTemplatesResult,
    ListResourcesResult, PaginatedRequestParams, PromptMessage, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ResourceTemplate, Role,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{
    ErrorData, Json, RoleServer, ServerHandler, prompt, prompt_handler, prompt_router, tool, tool_handler,
    tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keeps notes by title.
#[derive(Debug, Clone)]
pub(crate) struct Notes {
    notes: Arc<Mutex<BTreeMap<String, String>>>,
    folder: Option<PathBuf>,
    tool_router: ToolRouter<Self>,
    prompt_router: PromptRouter<Self>,
}

const SCHEME: &str = "note://";
/// Notes that are kept at most.
const KEPT: usize = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
struct Write {
    /// Letters, digits, `-` and `_`
    title: String,
    /// What to note
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Title {
    /// Which note
    title: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Search {
    /// Text to look for, whatever its case
    text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Titles {
    /// In alphabetical order
    titles: Vec<String>,
}

#[tool_router(router = tool_router)]
impl Notes {
    /// With what the folder has, or in memory with one note that says hello.
    pub(crate) fn open(folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut notes = BTreeMap::new();
        match &folder {
            None => {
                notes.insert("welcome".to_owned(), "Notes are kept until this server stops.".to_owned());
            }
            Some(folder) => {
                fs_err::create_dir_all(folder).context("could not make the folder")?;
                for entry in fs_err::read_dir(folder)? {
                    let path = entry?.path();
                    let title = path.file_stem().and_then(|stem| stem.to_str()).map(ToOwned::to_owned);
                    if let Some(title) = title.filter(|_| path.extension().is_some_and(|end| end == "md")) {
                        notes.insert(title, fs_err::read_to_string(&path)?);
                    }
                }
            }
        }
        let notes = Arc::new(Mutex::new(notes));
        Ok(Self { notes, folder, tool_router: Self::tool_router(), prompt_router: Self::prompt_router() })
    }

    #[tool(
        description = "Keep a note; one of the same title is replaced",
        annotations(open_world_hint = false)
    )]
    async fn write(&self, Parameters(write): Parameters<Write>) -> Result<String, String> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if write.title.is_empty() || write.title.len() > 64 || !write.title.chars().all(is_good) {
            return Err("a title has 1 to 64 letters, digits, `-` and `_`".to_owned());
        }
        self.with(|notes| {
            if notes.len() >= KEPT && !notes.contains_key(&write.title) {
                return Err(format!("there are {KEPT} notes already"));
            }
            if let Some(folder) = &self.folder {
                let path = folder.join(format!("{}.md", write.title));
                fs_err::write(path, &write.text).map_err(|error| error.to_string())?;
            }
            notes.insert(write.title.clone(), write.text);
            Ok(format!("kept as {SCHEME}{}", write.title))
        })
    }

    #[tool(description = "Titles of all notes", annotations(read_only_hint = true, open_world_hint = false))]
    async fn list(&self) -> Json<Titles> {
        Json(Titles { titles: self.titles("") })
    }

    #[tool(
        description = "Titles of notes that have a text",
        annotations(read_only_hint = true, open_world_hint = false)
    )]
    async fn search(&self, Parameters(search): Parameters<Search>) -> Json<Titles> {
        let wanted = search.text.to_lowercase();
        let has = |text: &String| text.to_lowercase().contains(&wanted);
        let found = |notes: &mut BTreeMap<String, String>| {
            notes
                .iter()
                .filter(|(title, text)| has(title) || has(text))
                .map(|(title, _)| title.clone())
                .collect()
        };
        Json(Titles { titles: self.with(found) })
    }

    #[tool(description = "Throw a note away", annotations(destructive_hint = true, open_world_hint = false))]
    async fn delete(&self, Parameters(title): Parameters<Title>) -> Result<String, String> {
        self.with(|notes| {
            notes.remove(&title.title).ok_or_else(|| format!("there is no note `{}`", title.title))?;
            if let Some(folder) = &self.folder {
                let path = folder.join(format!("{}.md", title.title));
                fs_err::remove_file(path).map_err(|error| error.to_string())?;
            }
            Ok("gone".to_owned())
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        act(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn titles(&self, beginning: &str) -> Vec<String> {
        self.with(|notes| notes.keys().filter(|title| title.starts_with(beginning)).cloned().collect())
    }

    fn text(&self, title: &str) -> Option<String> {
        self.with(|notes| notes.get(title).cloned())
    }
}

#[prompt_router]
impl Notes {
    #[prompt(description = "Sum up a note")]
    async fn summarize(&self, Parameters(title): Parameters<Title>) -> Result<Vec<PromptMessage>, ErrorData> {
        let text = self.text(&title.title);
        let text = text.ok_or_else(|| ErrorData::invalid_params(format!("no note {}", title.title), None))?;
        Ok(vec![PromptMessage::new_text(Role::User, format!("Sum up this note in one sentence:\n\n{text}"))])
    }

    #[prompt(description = "Look over all notes")]
    async fn review(&self) -> Vec<PromptMessage> {
        let titles = self.titles("").join(", ");
        vec![PromptMessage::new_text(
            Role::User,
            format!("Which of my notes are out of date? They are: {titles}"),
        )]
    }
}

#[tool_handler(router = self.tool_router)]
#[prompt_handler(router = self.prompt_router)]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_prompts()
            .enable_completions()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("vmcp-demo-notes", env!("CARGO_PKG_VERSION")))
            .with_instructions("Every note is also the resource note://<title>.")
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let titles = self.titles("").into_iter();
        let resources = titles.map(|title| Resource::new(format!("{SCHEME}{title}"), title));
        Ok(ListResourcesResult::with_all_items(resources.collect()))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new(format!("{SCHEME}{{title}}"), "note");
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let text = request.uri.strip_prefix(SCHEME).and_then(|title| self.text(title));
        let text =
            text.ok_or_else(|| ErrorData::resource_not_found(format!("no resource {}", request.uri), None))?;
        Ok(ReadResourceResult::new(vec![ResourceContents::text(text, request.uri)]).into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let mut titles = self.titles(&request.argument.value);
        titles.truncate(CompletionInfo::MAX_VALUES);
        let completion =
            CompletionInfo::new(titles).map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(completion))
    }
}
