//! Method names.

/// Legacy: begins a session.
pub const INITIALIZE: &str = "initialize";
/// Legacy: ends the handshake.
pub const INITIALIZED: &str = "notifications/initialized";
/// Modern: what the server is and has.
pub const DISCOVER: &str = "server/discover";
/// Legacy: is anybody there.
pub const PING: &str = "ping";
/// Lists tools.
pub const TOOLS_LIST: &str = "tools/list";
/// Calls a tool.
pub const TOOLS_CALL: &str = "tools/call";
/// Lists resources.
pub const RESOURCES_LIST: &str = "resources/list";
/// Lists resource templates.
pub const TEMPLATES_LIST: &str = "resources/templates/list";
/// Reads a resource.
pub const RESOURCES_READ: &str = "resources/read";
/// Lists prompts.
pub const PROMPTS_LIST: &str = "prompts/list";
/// Gets a prompt.
pub const PROMPTS_GET: &str = "prompts/get";
/// Completes an argument of a prompt or a template.
pub const COMPLETE: &str = "completion/complete";
/// Modern: how a task fares.
pub const GET_TASK: &str = "tasks/get";
/// Modern: what a task has asked for.
pub const UPDATE_TASK: &str = "tasks/update";
/// Modern: a task is not wanted any more.
pub const CANCEL_TASK: &str = "tasks/cancel";
/// Modern: how a task fares, by itself.
pub const TASK_CHANGED: &str = "notifications/tasks";
/// Modern: a stream of change notifications.
pub const LISTEN: &str = "subscriptions/listen";
/// Modern: the first message of that stream.
pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// Legacy: how much a server is to log.
pub const SET_LEVEL: &str = "logging/setLevel";
/// Legacy: hear when a resource changes.
pub const SUBSCRIBE: &str = "resources/subscribe";
/// Legacy: hear it no more.
pub const UNSUBSCRIBE: &str = "resources/unsubscribe";
/// Legacy: a server asks the client's model.
pub const SAMPLE: &str = "sampling/createMessage";
/// Legacy: a server asks the client's user.
pub const ELICIT: &str = "elicitation/create";
/// Legacy: a server asks where the client works.
pub const LIST_ROOTS: &str = "roots/list";
/// The client works elsewhere now.
pub const ROOTS_CHANGED: &str = "notifications/roots/list_changed";
/// Something to log.
pub const LOGGED: &str = "notifications/message";
/// A resource has changed.
pub const RESOURCE_UPDATED: &str = "notifications/resources/updated";
/// Progress of a running request.
pub const PROGRESS: &str = "notifications/progress";
/// The sender of a request no longer wants it.
pub const CANCELLED: &str = "notifications/cancelled";
/// The list of tools has changed.
pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
/// The list of resources has changed.
pub const RESOURCES_CHANGED: &str = "notifications/resources/list_changed";
/// The list of prompts has changed.
pub const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
