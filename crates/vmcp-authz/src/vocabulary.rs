//! ToolHive's vocabulary: what entities and actions are called in policies.

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use vmcp_core::item::Kind;

/// Who asks: `Client::"<sub>"`.
pub(crate) const CLIENT: &str = "Client";
/// The server of an item: `Backend::"<name>"`.
pub(crate) const BACKEND: &str = "Backend";
/// The virtual server: `MCP::"<name>"`.
pub(crate) const MCP: &str = "MCP";
/// Of actions.
pub(crate) const ACTION: &str = "Action";
/// Of groups and roles, where nothing else is said.
pub(crate) const GROUP: &str = "THVGroup";

/// What is done with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// `call_tool`, or `tools/call`.
    CallTool,
    /// `read_resource`, or `resources/read`.
    ReadResource,
    /// `get_prompt`, or `prompts/get`.
    GetPrompt,
}

impl Act {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::CallTool, Self::ReadResource, Self::GetPrompt];

    /// What is done with items of a kind.
    pub fn on(kind: Kind) -> Self {
        match kind {
            Kind::Tool => Self::CallTool,
            Kind::Resource | Kind::Template => Self::ReadResource,
            Kind::Prompt => Self::GetPrompt,
        }
    }

    /// By either name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name || act.method() == name)
    }

    /// As ToolHive calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CallTool => "call_tool",
            Self::ReadResource => "read_resource",
            Self::GetPrompt => "get_prompt",
        }
    }

    /// As MCP calls it.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::CallTool => "tools/call",
            Self::ReadResource => "resources/read",
            Self::GetPrompt => "prompts/get",
        }
    }

    /// The type of what it is done with.
    pub(crate) fn on_type(self) -> &'static str {
        match self {
            Self::CallTool => "Tool",
            Self::ReadResource => "Resource",
            Self::GetPrompt => "Prompt",
        }
    }

    /// The `operation` and the `feature` that ToolHive writes on it.
    pub(crate) fn operation(self) -> (&'static str, &'static str) {
        match self {
            Self::CallTool => ("call", "tool"),
            Self::ReadResource => ("read", "resource"),
            Self::GetPrompt => ("get", "prompt"),
        }
    }
}

/// The names of types, as Cedar has them.
#[derive(Debug)]
pub(crate) struct Types {
    pub(crate) client: EntityTypeName,
    pub(crate) group: EntityTypeName,
    pub(crate) backend: EntityTypeName,
    pub(crate) mcp: EntityTypeName,
    action: EntityTypeName,
    items: [EntityTypeName; 3],
}

impl Types {
    /// `None`: Cedar takes no such name for groups.
    pub(crate) fn new(group: &str) -> Option<Self> {
        let name = |text: &str| text.parse::<EntityTypeName>().ok();
        let [tool, resource, prompt] = Act::ALL.map(|act| name(act.on_type()));
        Some(Self {
            client: name(CLIENT)?,
            group: name(group)?,
            backend: name(BACKEND)?,
            mcp: name(MCP)?,
            action: name(ACTION)?,
            items: [tool?, resource?, prompt?],
        })
    }

    pub(crate) fn item(&self, act: Act, id: &str) -> EntityUid {
        let place = Act::ALL.iter().position(|known| *known == act).unwrap_or_default();
        uid(&self.items[place], id)
    }

    pub(crate) fn action(&self, act: Act) -> EntityUid {
        uid(&self.action, act.name())
    }
}

/// `kind::"id"`.
pub(crate) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
