//! rmcp as a client of the everyday example: lists, and calls a tool of each server. `rmcp-client URL legacy|modern`
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a peer that goes wrong may panic, and says what it did"
)]

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientLifecycleMode, ClientServiceExt};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let [url, era] = std::env::args().skip(1).collect::<Vec<_>>().try_into().expect("URL and ERA");
    let mode = match era.as_str() {
        "legacy" => ClientLifecycleMode::Initialize,
        _ => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] },
    };
    let transport = StreamableHttpClientTransport::from_uri(url);
    let client = ().serve_with_lifecycle(transport, mode).await.expect("a connection");
    let tools = client.list_all_tools().await.expect("tools");
    for (name, arguments, part) in [
        ("everything_echo", json!({"message": "from rmcp"}), "from rmcp"),
        ("filesystem_list_allowed_directories", json!({}), "examples/everyday/files"),
        ("git_git_status", json!({"repo_path": "."}), "branch"),
        ("memory_read_graph", json!({}), "entities"),
        ("time_get_current_time", json!({"timezone": "Europe/Berlin"}), "Europe/Berlin"),
    ] {
        assert!(tools.iter().any(|tool| tool.name == name), "`{name}` is not listed");
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let call = CallToolRequestParams::new(name).with_arguments(arguments);
        let answer = client.call_tool(call).await.expect("an answer");
        let text = format!("{answer:?}");
        assert!(text.contains(part) && answer.is_error != Some(true), "{name}: {text}");
        println!("{name} answered");
    }
    client.cancel().await.expect("an end");
}
