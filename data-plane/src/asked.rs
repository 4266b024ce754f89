//! What a client asks: the question, its era, and what it means for a backend.

use std::borrow::Cow;

use vmcp_core::item::Kind;
use vmcp_json::{Object, Value};
use vmcp_mcp::{ProtocolVersion, Request, extension, method};

use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::session::Session;

/// A question that has been checked.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) ask: Ask,
    pub(crate) client: Client,
    pub(crate) principal: Principal,
}

/// Who asks, as far as the protocol says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Modern,
    Legacy {
        version: ProtocolVersion,
        /// Absent for clients that keep no session id.
        session: Option<Session>,
    },
}

impl Client {
    /// The session in which it asks.
    pub(crate) fn session(self) -> Option<Session> {
        match self {
            Self::Legacy { session, .. } => session,
            Self::Modern => None,
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Initialize,
    Ping,
    Discover,
    Listen,
    List(Kind),
    CallTool,
    GetPrompt,
    ReadResource,
    Complete,
    GetTask,
    UpdateTask,
    CancelTask,
    SetLevel,
    Subscribe,
    Unsubscribe,
}

/// What is asked of a backend, by exposed name.
#[derive(Debug)]
pub(crate) enum Action<'a> {
    CallTool(Cow<'a, str>),
    GetPrompt(Cow<'a, str>),
    ReadResource(Cow<'a, str>),
    CompletePrompt(Cow<'a, str>),
    CompleteTemplate(Cow<'a, str>),
    WatchResource(Cow<'a, str>),
    UseTask(Cow<'a, str>),
}

impl Action<'_> {
    /// The same for longer than the request.
    pub(crate) fn into_owned(self) -> Action<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::CallTool(name) => Action::CallTool(owned(name)),
            Self::GetPrompt(name) => Action::GetPrompt(owned(name)),
            Self::ReadResource(uri) => Action::ReadResource(owned(uri)),
            Self::CompletePrompt(name) => Action::CompletePrompt(owned(name)),
            Self::CompleteTemplate(uri) => Action::CompleteTemplate(owned(uri)),
            Self::WatchResource(uri) => Action::WatchResource(owned(uri)),
            Self::UseTask(id) => Action::UseTask(owned(id)),
        }
    }
}

impl Ask {
    pub(crate) fn of(name: &str, is_modern: bool) -> Option<Self> {
        Some(match (name, is_modern) {
            (method::TOOLS_CALL, _) => Self::CallTool,
            (method::TOOLS_LIST, _) => Self::List(Kind::Tool),
            (method::RESOURCES_LIST, _) => Self::List(Kind::Resource),
            (method::TEMPLATES_LIST, _) => Self::List(Kind::Template),
            (method::PROMPTS_LIST, _) => Self::List(Kind::Prompt),
            (method::RESOURCES_READ, _) => Self::ReadResource,
            (method::PROMPTS_GET, _) => Self::GetPrompt,
            (method::COMPLETE, _) => Self::Complete,
            (method::GET_TASK, true) => Self::GetTask,
            (method::UPDATE_TASK, true) => Self::UpdateTask,
            (method::CANCEL_TASK, true) => Self::CancelTask,
            (method::DISCOVER, true) => Self::Discover,
            (method::LISTEN, true) => Self::Listen,
            (method::INITIALIZE, false) => Self::Initialize,
            (method::PING, false) => Self::Ping,
            (method::SET_LEVEL, false) => Self::SetLevel,
            (method::SUBSCRIBE, false) => Self::Subscribe,
            (method::UNSUBSCRIBE, false) => Self::Unsubscribe,
            _ => return None,
        })
    }

    /// Whether it is about a task.
    pub(crate) fn is_about_task(self) -> bool {
        matches!(self, Self::GetTask | Self::UpdateTask | Self::CancelTask)
    }

    /// The parameter that `Mcp-Name` mirrors.
    pub(crate) fn mirrored(self) -> Option<&'static str> {
        match self {
            Self::CallTool | Self::GetPrompt => Some("name"),
            Self::ReadResource => Some("uri"),
            Self::GetTask | Self::UpdateTask | Self::CancelTask => Some("taskId"),
            _ => None,
        }
    }

    /// As it is written on the wire, for what goes to backends.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Initialize => method::INITIALIZE,
            Self::Ping => method::PING,
            Self::Discover => method::DISCOVER,
            Self::Listen => method::LISTEN,
            Self::List(Kind::Tool) => method::TOOLS_LIST,
            Self::List(Kind::Resource) => method::RESOURCES_LIST,
            Self::List(Kind::Template) => method::TEMPLATES_LIST,
            Self::List(Kind::Prompt) => method::PROMPTS_LIST,
            Self::CallTool => method::TOOLS_CALL,
            Self::GetPrompt => method::PROMPTS_GET,
            Self::ReadResource => method::RESOURCES_READ,
            Self::Complete => method::COMPLETE,
            Self::GetTask => method::GET_TASK,
            Self::UpdateTask => method::UPDATE_TASK,
            Self::CancelTask => method::CANCEL_TASK,
            Self::SetLevel => method::SET_LEVEL,
            Self::Subscribe => method::SUBSCRIBE,
            Self::Unsubscribe => method::UNSUBSCRIBE,
        }
    }
}

impl<'a> Asked<'a> {
    /// What is asked of a backend; `None` if no backend is needed.
    pub(crate) fn action(&self) -> Result<Option<Action<'a>>, Refusal> {
        let text = |name: &str| {
            let value = self.request.params.as_ref().and_then(|params| params.get(name));
            value
                .and_then(|value| value.as_str())
                .ok_or_else(|| Refusal::malformed_params(&format!("`params.{name}` must be a string")))
        };
        Ok(Some(match self.ask {
            Ask::CallTool => Action::CallTool(text("name")?),
            Ask::GetPrompt => Action::GetPrompt(text("name")?),
            Ask::ReadResource => Action::ReadResource(text("uri")?),
            Ask::GetTask | Ask::UpdateTask | Ask::CancelTask if !self.extends(extension::TASKS) => {
                return Err(Refusal::missing_extension(extension::TASKS));
            }
            Ask::GetTask | Ask::UpdateTask | Ask::CancelTask => Action::UseTask(text("taskId")?),
            Ask::Subscribe | Ask::Unsubscribe => Action::WatchResource(text("uri")?),
            Ask::Complete => {
                let reference = self.reference().ok_or_else(|| {
                    Refusal::malformed_params(
                        "`params.ref` must be a prompt's or a resource template's reference",
                    )
                })?;
                if let Some(name) = reference.get("name") {
                    Action::CompletePrompt(name.as_str().unwrap_or_default())
                } else {
                    Action::CompleteTemplate(
                        reference.get("uri").and_then(|uri| uri.as_str()).unwrap_or_default(),
                    )
                }
            }
            Ask::Initialize | Ask::Ping | Ask::Discover | Ask::Listen | Ask::List(_) | Ask::SetLevel => {
                return Ok(None);
            }
        }))
    }

    /// `params.ref` of a completion, with exactly one of its members.
    fn reference(&self) -> Option<Object<'a>> {
        let reference = self.request.params.as_ref()?.get("ref")?.as_object()?;
        let names_one = reference.member("name").is_some() != reference.member("uri").is_some();
        (names_one && reference.duplicate().is_none()).then_some(reference)
    }

    /// Whether a modern client has declared with this very request that it knows an extension.
    pub(crate) fn extends(&self, name: &str) -> bool {
        let declared = || {
            let meta = self.request.params.as_ref()?.get("_meta")?.as_object()?;
            let capabilities = meta.get("io.modelcontextprotocol/clientCapabilities")?.as_object()?;
            capabilities.get("extensions")?.as_object()?.member(name).map(drop)
        };
        declared().is_some()
    }

    /// The arguments of a call.
    pub(crate) fn arguments(&self) -> Option<Object<'a>> {
        self.arguments_value()?.as_object()
    }

    /// The same, whatever it is.
    pub(crate) fn arguments_value(&self) -> Option<Value<'a>> {
        self.request.params.as_ref()?.get("arguments")
    }

    /// The value that names the item, to be replaced by the backend's own name.
    pub(crate) fn name(&self) -> Option<Value<'a>> {
        match self.ask {
            Ask::Complete => self.reference()?.get("name"),
            ask => self.request.params.as_ref()?.get(ask.mirrored()?),
        }
    }
}
