//! Independent clients: rmcp's here; the Python SDK and the MCP inspector in `tests/peers/run`.

use std::time::Duration;

use rmcp::model::{
    ArgumentInfo, CallToolRequestParams, CompleteRequestParams, GetPromptRequestParams,
    ReadResourceRequestParams, Reference,
};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::json;
use vmcp_testkit::Served;

use crate::{program, root};

async fn quickstart() -> Served {
    let served = Served::start_file(program(), &root().join("examples/quickstart/vmcp.yaml"), root()).await;
    for backend in ["clock", "files", "notes"] {
        served.until_healthy(backend, Duration::from_secs(10)).await;
    }
    served
}

async fn use_everything(client: RunningService<RoleClient, ()>) {
    let tools = client.list_all_tools().await.unwrap();
    assert_eq!(tools.len(), 10);
    let write = json!({"title": "groceries", "text": "milk"}).as_object().cloned().unwrap();
    let call = CallToolRequestParams::new("notes_write").with_arguments(write);
    let written = client.call_tool(call).await.unwrap();
    assert_ne!(written.is_error, Some(true), "{written:?}");

    let resources = client.list_all_resources().await.unwrap();
    assert!(resources.iter().any(|resource| resource.uri == "files:///hello.md"));
    let templates = client.list_all_resource_templates().await.unwrap();
    assert_eq!(templates[0].uri_template, "note://{title}");
    for (uri, part) in [("files:///hello.md", "# Hello"), ("note://groceries", "milk")] {
        let read = client.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
        assert!(format!("{read:?}").contains(part), "{read:?}");
    }

    let prompts = client.list_all_prompts().await.unwrap();
    assert_eq!(prompts.len(), 2);
    let title = json!({"title": "groceries"}).as_object().cloned().unwrap();
    let get = GetPromptRequestParams::new("notes_summarize").with_arguments(title);
    let prompt = client.get_prompt(get).await.unwrap();
    assert!(format!("{prompt:?}").contains("milk"), "{prompt:?}");

    for reference in [Reference::for_prompt("notes_summarize"), Reference::for_resource("note://{title}")] {
        let complete = CompleteRequestParams::new(reference, ArgumentInfo::new("title", "gro"));
        let completed = client.complete(complete).await.unwrap();
        assert_eq!(completed.completion.values, ["groceries"]);
    }

    let unknown = client.call_tool(CallToolRequestParams::new("notes_burn")).await.unwrap_err();
    assert!(unknown.to_string().contains("Unknown tool: notes_burn"), "{unknown}");
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn straight_line_02_rmcp_client_legacy() {
    let served = quickstart().await;
    let transport = StreamableHttpClientTransport::from_uri(served.url());
    let client = ().serve_with_lifecycle(transport, ClientLifecycleMode::Initialize).await.unwrap();
    let server = client.peer_info().and_then(|info| info.server_info.clone());
    assert_eq!(server.map(|server| server.name).as_deref(), Some("quickstart"));
    use_everything(client).await;
}

#[tokio::test]
async fn straight_line_02_rmcp_client_modern() {
    let served = quickstart().await;
    let transport = StreamableHttpClientTransport::from_uri(served.url());
    let discover = ClientLifecycleMode::Discover {
        preferred_versions: vec![rmcp::model::ProtocolVersion::V_2026_07_28],
    };
    let client = ().serve_with_lifecycle(transport, discover).await.unwrap();
    use_everything(client).await;
}
