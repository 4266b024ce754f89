//! The server: one value for each legacy session, one for each modern request, and what they share.
#![expect(deprecated, reason = "legacy clients know subscriptions and levels of logging")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, ClientCapabilities, CompleteRequestParams,
    CompleteResult, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, Implementation,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ResourceUpdatedNotificationParam, ServerCapabilities, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::task_manager::TaskManager;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;
use tokio::sync::broadcast;

use crate::asking::{self, Brought};
use crate::definitions::DEFINITIONS;
use crate::{contents, tasks, telling};

const WATCHED: &str = "test://watched-resource";

/// Something has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Tools,
    Prompts,
    Resource,
}

/// What all sessions share.
pub(crate) struct Shared {
    has_tool: AtomicBool,
    has_prompt: AtomicBool,
    updates: AtomicUsize,
    changes: broadcast::Sender<Change>,
    tasks: TaskManager,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            has_tool: AtomicBool::new(false),
            has_prompt: AtomicBool::new(false),
            updates: AtomicUsize::new(0),
            changes: broadcast::Sender::new(64),
            tasks: TaskManager::new(),
        }
    }

    fn change(&self, change: Change) {
        match change {
            Change::Tools => drop(self.has_tool.fetch_not(Ordering::SeqCst)),
            Change::Prompts => drop(self.has_prompt.fetch_not(Ordering::SeqCst)),
            Change::Resource => drop(self.updates.fetch_add(1, Ordering::SeqCst)),
        }
        // Nobody need listen.
        let _ = self.changes.send(change);
    }

    fn tools(&self) -> Vec<Tool> {
        let more = self.has_tool.load(Ordering::SeqCst).then(|| DEFINITIONS.changing_tool.clone());
        DEFINITIONS.tools.iter().cloned().chain(more).collect()
    }
}

/// A session, or one request of a client that has none.
pub(crate) struct Fixture {
    shared: Arc<Shared>,
    level: Mutex<LoggingLevel>,
    watches: Arc<AtomicBool>,
    calls: AtomicUsize,
}

impl Fixture {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            level: Mutex::new(LoggingLevel::Debug),
            watches: Arc::default(),
            calls: AtomicUsize::new(0),
        }
    }

    /// From which level on the caller wants to hear messages.
    fn level(&self, context: &RequestContext<RoleServer>) -> Option<LoggingLevel> {
        if is_modern(context) {
            return context.meta.log_level();
        }
        Some(*self.level.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn trigger(&self, change: Change) -> Result<CallToolResponse, ErrorData> {
        self.shared.change(change);
        Ok(contents::say("Changed")?.into())
    }
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_logging()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("vmcp-conformance-server", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.shared.tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.shared.tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (name, arguments) = (request.name.as_ref(), request.arguments.as_ref());
        if let Some(result) = contents::tool(name) {
            return Ok(result?.into());
        }
        let brought = Brought {
            responses: request.input_responses.as_ref(),
            state: request.request_state.as_deref(),
            capabilities: context.client_capabilities(),
        };
        if let Some(round) = asking::tool(name, &brought) {
            return round;
        }
        if let Some(called) = tasks::tool(&self.shared.tasks, &request, &brought) {
            return called;
        }
        match name {
            "greet" => Ok(tasks::greet(&json!(request.arguments))?.into()),
            "test_tool_with_logging" | "test_logging_tool" => {
                Ok(telling::log(&context, self.level(&context)).await?.into())
            }
            "test_tool_with_progress" | "test_reconnection" => Ok(telling::progress(&context).await?.into()),
            "test_sampling" => Ok(telling::sample(&context, arguments).await?.into()),
            "test_elicitation" | "test_elicitation_sep1034_defaults" | "test_elicitation_sep1330_enums" => {
                Ok(telling::elicit(&context, name, arguments).await?.into())
            }
            "test_streaming_elicitation" => {
                telling::progress(&context).await?;
                Ok(asking::required(&[("user_name", &asking::ask_name("What is your name?"))], None)?.into())
            }
            "test_missing_capability" => {
                match context.client_capabilities().is_some_and(|all| all.sampling.is_some()) {
                    true => Ok(contents::say("The client can be asked")?.into()),
                    false => {
                        let required: ClientCapabilities = contents::read(json!({"sampling": {}}))?;
                        Err(ErrorData::missing_required_client_capability(required))
                    }
                }
            }
            "test_count" => {
                let calls = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
                Ok(contents::say(&calls.to_string())?.into())
            }
            "test_trigger_tool_change" => self.trigger(Change::Tools),
            "test_trigger_prompt_change" => self.trigger(Change::Prompts),
            "test_trigger_resource_update" => self.trigger(Change::Resource),
            _ => Err(ErrorData::invalid_params(format!("Unknown tool: {name}"), None)),
        }
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let has_more = self.shared.has_prompt.load(Ordering::SeqCst);
        let more = has_more.then(|| DEFINITIONS.changing_prompt.clone());
        Ok(ListPromptsResult::with_all_items(DEFINITIONS.prompts.iter().cloned().chain(more).collect()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name == "test_input_required_result_prompt" {
            return asking::prompt(&Brought {
                responses: request.input_responses.as_ref(),
                state: request.request_state.as_deref(),
                capabilities: context.client_capabilities(),
            });
        }
        match contents::prompt(&request.name, request.arguments.as_ref()) {
            Some(prompt) => Ok(prompt?.into()),
            None => Err(ErrorData::invalid_params(format!("Unknown prompt: {}", request.name), None)),
        }
    }

    async fn complete(
        &self,
        _request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        contents::result(
            json!({"completion": {"values": ["paris", "park", "party"], "total": 150, "hasMore": true}}),
        )
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(DEFINITIONS.resources.clone()))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(DEFINITIONS.templates.clone()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let updates = self.shared.updates.load(Ordering::SeqCst);
        Ok(contents::resource(&request.uri, updates)?.into())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                Ok(change) = changes.recv() => change,
            };
            // What was not asked for is not accepted, and not sent.
            let _ = match change {
                Change::Tools => context.sink().notify_tool_list_changed().await,
                Change::Prompts => context.sink().notify_prompt_list_changed().await,
                Change::Resource => context.sink().notify_resource_updated(WATCHED).await,
            };
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Ok(GetTaskResult::new(self.shared.tasks.get_task(&request.task_id)?))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = request.level;
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.watches.fetch_or(request.uri == WATCHED, Ordering::SeqCst);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.watches.fetch_and(request.uri != WATCHED, Ordering::SeqCst);
        Ok(())
    }

    /// A legacy session hears of changes until its client is gone.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let (mut changes, watches) = (self.shared.changes.subscribe(), self.watches.clone());
        tokio::spawn(async move {
            while let Ok(change) = changes.recv().await {
                if tell(&context.peer, change, &watches).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn tell(
    peer: &Peer<RoleServer>,
    change: Change,
    watches: &AtomicBool,
) -> Result<(), rmcp::service::ServiceError> {
    match change {
        Change::Tools => peer.notify_tool_list_changed().await,
        Change::Prompts => peer.notify_prompt_list_changed().await,
        Change::Resource if watches.load(Ordering::SeqCst) => {
            peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(WATCHED)).await
        }
        Change::Resource => Ok(()),
    }
}
