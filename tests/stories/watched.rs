//! Modern clients hear which resources of modern backends change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use vmcp_testkit::{Client, Events, Step, WireBackend, event, events, eventually, mcp_reply, well, whole};

use crate::{at, serve};

/// A modern backend that tells of `raw://one`, whoever listens, and of what nobody watches.
async fn backend(updates: Arc<AtomicUsize>) -> WireBackend {
    WireBackend::start(move |recorded| {
        let message = recorded.json();
        let watched = &message["params"]["notifications"]["resourceSubscriptions"];
        match message["method"].as_str().unwrap_or_default() {
            "server/discover" => {
                let result = r#"{"supportedVersions":["2026-07-28"],"capabilities":{"resources":{"subscribe":true}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#;
                let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, recorded.id());
                whole("200 OK", "content-type: application/json\r\n", body.as_bytes())
            }
            "subscriptions/listen" if watched.is_array() => {
                let updated = |uri: &str| {
                    let told = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated",
                        "params": {"uri": uri, "_meta": {"io.modelcontextprotocol/subscriptionId": "theirs"}}});
                    format!("data: {told}\n\n")
                };
                let acknowledged = r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{}}}"#;
                let both = format!("{}{}", updated("raw://other"), updated("raw://one"));
                vec![events(), event(acknowledged), Step::WriteEach(updates.clone(), both.into_bytes())]
            }
            "subscriptions/listen" => vec![events(), Step::Hang],
            _ => well(mcp_reply(recorded, true, "").unwrap_or_else(|| recorded.error(-32601))),
        }
    })
    .await
}

async fn listen(client: &Client, notifications: &Value) -> Events {
    let body = json!({"jsonrpc": "2.0", "id": "mine", "method": "subscriptions/listen", "params": {
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}},
        "notifications": notifications}});
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "subscriptions/listen")];
    client.listen(&headers, Some(body.to_string())).await
}

async fn next(events: &mut Events) -> Value {
    serde_json::from_str(&events.next().await.expect("a message")).unwrap()
}

#[tokio::test]
async fn a_modern_client_hears_what_changes_of_what_it_watches_and_of_nothing_else() {
    let updates = Arc::new(AtomicUsize::new(0));
    let backend = backend(updates.clone()).await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let client = served.client();
    let discovered = client.modern("server/discover", "").await.json();
    assert_eq!(discovered["result"]["capabilities"]["resources"]["subscribe"], true, "{discovered}");

    let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": ["raw://one", "raw://unknown", "raw://one"]});
    let mut stream = listen(&client, &wanted).await;
    let meta = json!({"io.modelcontextprotocol/subscriptionId": "mine"});
    let granted = json!({"toolsListChanged": true, "resourceSubscriptions": ["raw://one"]});
    assert_eq!(next(&mut stream).await["params"], json!({"_meta": meta, "notifications": granted}));
    let mut lists_alone = listen(&client, &json!({"toolsListChanged": true})).await;
    next(&mut lists_alone).await;

    let watches = |recorded: &&vmcp_testkit::Recorded| {
        recorded.json()["params"]["notifications"]["resourceSubscriptions"] == json!(["raw://one"])
    };
    let is_watched = eventually(Duration::from_secs(5), async || {
        backend.recorded().iter().any(|recorded| watches(&recorded))
    });
    assert!(is_watched.await, "the backend is asked for the one that it has");
    for _ in 0..3 {
        updates.fetch_add(1, Ordering::SeqCst);
        let told = next(&mut stream).await;
        assert_eq!(told["method"], "notifications/resources/updated");
        assert_eq!(told["params"], json!({"uri": "raw://one", "_meta": meta}));
    }
    assert_eq!(backend.recorded().iter().filter(watches).count(), 1, "once");

    let wrong = client
        .modern("subscriptions/listen", r#""notifications":{"resourceSubscriptions":"raw://one"}"#)
        .await;
    assert_eq!(wrong.code(), Some(-32602));
}
