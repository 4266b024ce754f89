//! What an event is about, in ToolHive's words.

use vmcp_core::item::Kind;

use crate::asked::Ask;

/// The types of events that records have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventType {
    Initialize,
    SseConnection,
    ToolCall,
    ToolsList,
    ResourceRead,
    ResourcesList,
    PromptGet,
    PromptsList,
    Notification,
    Ping,
    Logging,
    Completion,
    RootsListChanged,
    Request,
    HttpRequest,
}

impl EventType {
    pub(crate) const fn of(ask: Ask) -> Self {
        match ask {
            Ask::Initialize => Self::Initialize,
            Ask::Ping => Self::Ping,
            Ask::List(Kind::Tool) => Self::ToolsList,
            Ask::List(Kind::Resource | Kind::Template) => Self::ResourcesList,
            Ask::List(Kind::Prompt) => Self::PromptsList,
            Ask::CallTool => Self::ToolCall,
            Ask::GetPrompt => Self::PromptGet,
            Ask::ReadResource => Self::ResourceRead,
            Ask::Complete => Self::Completion,
            Ask::SetLevel => Self::Logging,
            Ask::Listen => Self::SseConnection,
            Ask::Discover
            | Ask::GetTask
            | Ask::UpdateTask
            | Ask::CancelTask
            | Ask::Subscribe
            | Ask::Unsubscribe => Self::Request,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "mcp_initialize",
            Self::SseConnection => "sse_connection",
            Self::ToolCall => "mcp_tool_call",
            Self::ToolsList => "mcp_tools_list",
            Self::ResourceRead => "mcp_resource_read",
            Self::ResourcesList => "mcp_resources_list",
            Self::PromptGet => "mcp_prompt_get",
            Self::PromptsList => "mcp_prompts_list",
            Self::Notification => "mcp_notification",
            Self::Ping => "mcp_ping",
            Self::Logging => "mcp_logging",
            Self::Completion => "mcp_completion",
            Self::RootsListChanged => "mcp_roots_list_changed",
            Self::Request => "mcp_request",
            Self::HttpRequest => "http_request",
        }
    }

    /// What the event is done to.
    pub(super) const fn target(self) -> &'static str {
        match self {
            Self::ToolCall => "tool",
            Self::ResourceRead => "resource",
            Self::PromptGet => "prompt",
            Self::Completion => "completion",
            _ => "endpoint",
        }
    }
}
