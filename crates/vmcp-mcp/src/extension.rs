//! Names of extensions (MCP 2026-07-28, Extensions).

/// Calls that go on after they have been answered (SEP-2663).
pub const TASKS: &str = "io.modelcontextprotocol/tasks";
/// Tools with a page (MCP Apps).
pub const APPS: &str = "io.modelcontextprotocol/ui";
/// What a client that shows pages declares: the kind that there is.
pub const APPS_SETTINGS: &str = r#"{"mimeTypes":["text/html;profile=mcp-app"]}"#;
