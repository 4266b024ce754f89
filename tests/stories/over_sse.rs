//! Clients of MCP 2024-11-05: HTTP with SSE, at `sse` beside `mcp`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use vmcp_testkit::{Client, Events, Served, eventually};

use crate::eras::{Heard, backend, serve};

const SSE: &[(&str, &str)] = &[("accept", "text/event-stream")];

/// A client: what it hears, and where it posts.
struct Connected {
    events: Events,
    posts: Client,
}

impl Connected {
    async fn open(served: &Served) -> Self {
        let base = served.url().trim_end_matches("/mcp");
        let mut events = Client::new(format!("{base}/sse")).listen(SSE, None).await;
        let endpoint = events.next().await.expect("where messages go");
        assert!(
            endpoint.starts_with("/messages?session=") || endpoint.starts_with("/all/messages?session="),
            "{endpoint}"
        );
        let origin = base.split('/').take(3).collect::<Vec<_>>().join("/");
        Self { events, posts: Client::new(format!("{origin}{endpoint}")) }
    }

    async fn begin(served: &Served, capabilities: Value) -> Self {
        let mut client = Self::open(served).await;
        let params = json!({"protocolVersion": "2024-11-05", "capabilities": capabilities,
            "clientInfo": {"name": "t", "version": "1"}});
        let answer = client.ask(0, "initialize", params).await;
        assert_eq!(answer["result"]["protocolVersion"], "2024-11-05", "{answer}");
        client.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        client
    }

    async fn say(&self, message: Value) {
        let taken = self.posts.post(&[], message.to_string()).await;
        assert_eq!((taken.status.as_u16(), taken.text()), (202, String::new()));
    }

    async fn ask(&mut self, id: u32, method: &str, params: Value) -> Value {
        self.say(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        self.next().await
    }

    async fn next(&mut self) -> Value {
        serde_json::from_str(&self.events.next().await.expect("a message")).unwrap()
    }
}

#[tokio::test]
async fn a_client_over_sse_has_all_that_a_session_has() {
    let heard = Heard::default();
    let backend = backend(&heard).await;
    let served = serve(&backend).await;
    let mut client = Connected::begin(&served, json!({"elicitation": {}})).await;
    assert_eq!(client.ask(1, "ping", json!({})).await, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    let listed = client.ask(2, "tools/list", json!({})).await;
    assert!(listed["result"]["tools"].as_array().is_some_and(|tools| tools.len() == 4), "{listed}");

    let asked = client.ask(3, "tools/call", json!({"name": "b_asks", "arguments": {}})).await;
    assert_eq!(asked["method"], "elicitation/create");
    client.say(json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}})).await;
    let answer = client.next().await;
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(3), &json!("thank you")));

    // What the backend says by itself.
    let is_heard = async {
        loop {
            heard.updates.fetch_add(1, Ordering::SeqCst);
            if let Ok(told) = tokio::time::timeout(Duration::from_millis(200), client.next()).await {
                break told;
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(10), is_heard).await.expect("an update");
    assert_eq!(told["method"], "notifications/resources/updated");

    // What cannot be answered is said there, too.
    let mut other = Connected::begin(&served, json!({})).await;
    let refused = other.ask(4, "tools/call", json!({"name": "nobody's"})).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(4), &json!(-32602)));

    // Both end with their streams, and what was theirs at the backend with them.
    let posts = client.posts.clone();
    drop((client, other));
    let is_ended = eventually(Duration::from_secs(5), async || {
        backend.recorded().iter().any(|recorded| recorded.method == http::Method::DELETE)
            && posts.post(&[], r#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#).await.status.as_u16() == 404
    });
    assert!(is_ended.await);
}

#[tokio::test]
async fn nobody_speaks_in_a_stream_that_is_not_there_and_one_that_begins_nothing_is_no_session() {
    let served = serve(&backend(&Heard::default()).await).await;
    let base = served.url().trim_end_matches("/mcp").to_owned();
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for query in ["", "?session=", "?session=00000000000000000000000000000000"] {
        let answer = Client::new(format!("{base}/messages{query}")).post(&[], ping).await;
        assert_eq!(answer.status.as_u16(), 404, "{query}");
    }
    for (path, method) in [("sse", reqwest::Method::POST), ("messages", reqwest::Method::GET)] {
        let answer = Client::new(format!("{base}/{path}")).request(method, SSE).await;
        assert_eq!(answer.status.as_u16(), 405, "{path}");
    }
    let unreadable =
        Client::new(format!("{base}/sse")).request(reqwest::Method::GET, &[("accept", "text/html")]).await;
    assert_eq!(unreadable.status.as_u16(), 406);
    // Before `initialize` it is a client without a session, like any other.
    let mut early = Connected::open(&served).await;
    assert_eq!(early.ask(1, "ping", json!({})).await["result"], json!({}));
}
