//! What the server offers, as it is written in `definitions.json`, which says what the scenarios of the suite ask for.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rmcp::model::{ElicitationSchema, Prompt, Resource, ResourceTemplate, Tool};
use serde::Deserialize;

/// All of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Definitions {
    pub(crate) tools: Vec<Tool>,
    /// There or not.
    pub(crate) changing_tool: Tool,
    pub(crate) prompts: Vec<Prompt>,
    /// There or not.
    pub(crate) changing_prompt: Prompt,
    pub(crate) resources: Vec<Resource>,
    pub(crate) templates: Vec<ResourceTemplate>,
    /// What is asked for, by the tool that asks.
    pub(crate) elicitations: BTreeMap<String, ElicitationSchema>,
}

#[expect(clippy::expect_used, reason = "the file is part of the program")]
pub(crate) static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| {
    serde_json::from_str(include_str!("definitions.json")).expect("the definitions are JSON")
});
