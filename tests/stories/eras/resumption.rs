//! Streams that end too soon, and are gone on with: by us with a backend, and by a client with us.

use std::time::Duration;

use serde_json::Value;
use vmcp_testkit::{LEGACY, WireBackend};

use super::{Heard, Session, backend, said, serve};

/// Its `Last-Event-ID`s, in order.
fn resumed(backend: &WireBackend) -> Vec<String> {
    let ids = backend.recorded().into_iter().filter_map(|r| r.header("last-event-id").map(ToOwned::to_owned));
    ids.collect()
}

#[tokio::test]
async fn a_stream_of_a_legacy_backend_that_ends_too_soon_is_gone_on_with_and_nothing_is_called_again() {
    let backend = backend(&Heard::default()).await;
    let served = serve(&backend).await;
    let session = Session::begin(&served, "{}").await;
    let began = std::time::Instant::now();
    let call =
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"b_breaks","arguments":{}}}"#;
    let text = session.post(call).await.text();
    assert!(text.contains("the rest"), "{text}");
    assert!(began.elapsed() >= Duration::from_millis(300), "not sooner than the backend wants");
    assert_eq!(resumed(&backend), ["event/1"]);
    assert_eq!(said(&backend, "tools/call").len(), 1);
    let first = text.split("\n\n").next().unwrap();
    assert!(
        first.starts_with("id: b.") && first.ends_with("retry: 300\ndata:"),
        "the client could come back: {text}"
    );
}

#[tokio::test]
async fn a_stream_that_has_become_too_large_is_not_gone_on_with() {
    let backend = backend(&Heard::default()).await;
    let served = serve(&backend).await;
    let session = Session::begin(&served, "{}").await;
    let call =
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"b_swells","arguments":{}}}"#;
    let text = session.post(call).await.text();
    assert!(text.contains("backend_response_too_large"), "{text}");
    assert_eq!(resumed(&backend), ["event/2"], "once, and not again");
}

#[tokio::test]
async fn a_legacy_client_that_comes_back_to_a_stream_hears_the_rest_of_it() {
    let backend = backend(&Heard::default()).await;
    let served = serve(&backend).await;
    let session = Session::begin(&served, "{}").await;
    let call =
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"b_breaks","arguments":{}}}"#;
    let text = session.post(call).await.text();
    let id = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let headers = [LEGACY[0], ("mcp-session-id", session.id.as_str()), ("last-event-id", id)];
    let mut stream = session.client.listen(&headers, None).await;
    let rest: Value = serde_json::from_str(&stream.next().await.unwrap()).unwrap();
    assert_eq!(rest["result"]["content"][0]["text"], "the rest", "{rest}");
    assert_eq!(resumed(&backend), ["event/1", "event/1"]);
    // However often it comes back to one that goes on, the backend is asked for it once. (`b.` and `event/9`.)
    let _held = session.client.listen(&session.headers(), None).await;
    for _ in 0..5 {
        let headers = [LEGACY[0], ("mcp-session-id", session.id.as_str()), ("last-event-id", "b.ZXZlbnQvOQ")];
        drop(session.client.listen(&headers, None).await);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(resumed(&backend)[2..], ["event/9"]);
    // And for another one all the same: `event/8`.
    let headers = [LEGACY[0], ("mcp-session-id", session.id.as_str()), ("last-event-id", "b.ZXZlbnQvOA")];
    drop(session.client.listen(&headers, None).await);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(resumed(&backend)[2..], ["event/9", "event/8"]);
    // Another session has nothing to come back to.
    let other = Session::begin(&served, "{}").await;
    let headers = [LEGACY[0], ("mcp-session-id", other.id.as_str()), ("last-event-id", id)];
    let _stream = other.client.listen(&headers, None).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(resumed(&backend).len(), 4);
}
