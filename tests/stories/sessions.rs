//! Legacy sessions: ours with clients, and ours with backends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vmcp_testkit::{Answer, Client, LEGACY, RawBackend, Recorded, Reply, eventually, mcp_reply};

use crate::{at, serve};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

pub(crate) async fn begin(client: &Client) -> String {
    let answer = client.post(&[], INITIALIZE).await;
    assert_eq!(answer.json()["result"]["protocolVersion"], "2025-06-18", "{}", answer.text());
    answer.header("mcp-session-id").expect("a session id")
}

pub(crate) async fn call(client: &Client, session: &str, tool: &str) -> Answer {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#);
    client.post(&[("mcp-session-id", session)], body).await
}

/// A backend that counts per session, and forgets when it is told to.
pub(crate) async fn counting() -> RawBackend {
    let sessions = Arc::new(AtomicU64::new(0));
    let counts = Arc::new(std::sync::Mutex::new(std::collections::HashMap::<String, u64>::new()));
    RawBackend::start(move |recorded: &Recorded| {
        if recorded.method == http::Method::DELETE {
            counts.lock().unwrap().remove(recorded.header("mcp-session-id").unwrap_or_default());
            return Reply::Status(http::StatusCode::NO_CONTENT, String::new());
        }
        let tools = r#"{"name":"count","inputSchema":{"type":"object"}},{"name":"forget","inputSchema":{"type":"object"}}"#;
        let reply = mcp_reply(recorded, false, tools);
        if recorded.mcp_method().as_deref() == Some("initialize") {
            let id = format!("s{}", sessions.fetch_add(1, Ordering::SeqCst));
            counts.lock().unwrap().insert(id.clone(), 0);
            let Some(Reply::Json(body)) = reply else { panic!("initialize is answered") };
            return Reply::WithHeaders(vec![("mcp-session-id", id)], body);
        }
        if recorded.mcp_method().as_deref() != Some("tools/call") {
            return reply.expect("an answer");
        }
        let mut counts = counts.lock().unwrap();
        let session = recorded.header("mcp-session-id").unwrap_or_default().to_owned();
        let Some(count) = counts.get_mut(&session) else {
            return Reply::Status(http::StatusCode::NOT_FOUND, String::new());
        };
        *count += 1;
        let count = *count;
        if recorded.json()["params"]["name"] == "forget" {
            counts.clear();
        }
        recorded.result(&format!(r#"{{"content":[],"structuredContent":{{"count":{count},"session":"{session}"}}}}"#))
    })
    .await
}

pub(crate) fn counted(answer: &Answer) -> (u64, String) {
    let content = &answer.json()["result"]["structuredContent"];
    let count = content["count"].as_u64().unwrap_or_else(|| panic!("{}", answer.text()));
    (count, content["session"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_client_session_has_its_own_backend_session_until_it_ends() {
    let backend = counting().await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let client = served.client();
    let (one, two) = (begin(&client).await, begin(&client).await);
    assert_eq!(counted(&call(&client, &one, "raw_count").await).0, 1);
    assert_eq!(counted(&call(&client, &one, "raw_count").await).0, 2);
    let (count, session) = counted(&call(&client, &two, "raw_count").await);
    assert_eq!(count, 1, "two clients never share a session");

    let ended = client.request(reqwest::Method::DELETE, &[("mcp-session-id", &two)]).await;
    assert_eq!(ended.status.as_u16(), 204);
    assert_eq!(call(&client, &two, "raw_count").await.status.as_u16(), 404);
    let is_ended = eventually(Duration::from_secs(5), async || {
        let deleted =
            |r: &Recorded| r.method == http::Method::DELETE && r.header("mcp-session-id") == Some(&session);
        backend.recorded().iter().any(deleted)
    });
    assert!(is_ended.await, "the backend's session is ended too");
    assert_eq!(counted(&call(&client, &one, "raw_count").await).0, 3);
}

#[tokio::test]
async fn a_session_that_the_backend_forgot_is_begun_again_and_the_call_succeeds_once() {
    let backend = counting().await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let client = served.client();
    let session = begin(&client).await;
    call(&client, &session, "raw_forget").await;
    assert_eq!(counted(&call(&client, &session, "raw_count").await).0, 1);
    assert_eq!(backend.calls("tools/call").len(), 3, "refused once, executed once");
}

#[tokio::test]
async fn clients_without_a_session_get_one_per_call_which_is_ended() {
    let backend = counting().await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"raw_count"}}"#;
    let (count, first) = counted(&served.client().post(LEGACY, body).await);
    let (again, second) = counted(&served.client().modern("tools/call", r#""name":"raw_count""#).await);
    assert_eq!((count, again), (1, 1));
    assert_ne!(first, second);
    let are_ended = eventually(Duration::from_secs(5), async || {
        let deleted = |id: &str| {
            backend
                .recorded()
                .iter()
                .any(|r| r.method == http::Method::DELETE && r.header("mcp-session-id") == Some(id))
        };
        deleted(&first) && deleted(&second)
    });
    assert!(are_ended.await);
}

#[tokio::test]
async fn session_ids_are_good_at_their_virtual_server_only_and_all_else_is_404() {
    let manifest = "
name: one
group: g
incoming_auth: {type: anonymous}
---
name: two
group: g
default: true
incoming_auth: {type: anonymous}
---
kind: group
name: g
workloads: []
";
    let served = vmcp_testkit::Served::start(crate::program(), manifest).await;
    let base = served.url().trim_end_matches("/mcp").trim_end_matches("/one").to_owned();
    let (one, two) = (Client::new(format!("{base}/one/mcp")), Client::new(format!("{base}/two/mcp")));
    let session = begin(&one).await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let status = async |client: &Client, id: &str| {
        let answer = client.post(&[("mcp-session-id", id)], ping).await;
        (answer.status.as_u16(), answer.text())
    };
    assert_eq!(status(&one, &session).await, (200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned()));
    let mut altered = session.clone();
    altered.replace_range(10..11, if &session[10..11] == "A" { "B" } else { "A" });
    let foreign = status(&two, &session).await;
    assert_eq!(foreign.0, 404);
    for (client, id) in [(&one, altered.as_str()), (&one, "x"), (&one, ""), (&two, &session)] {
        assert_eq!(status(client, id).await, foreign, "{id}");
    }
    for method in [reqwest::Method::DELETE, reqwest::Method::GET] {
        assert_eq!(two.request(method, &[("mcp-session-id", &session)]).await.status.as_u16(), 404);
    }
    assert_eq!(status(&one, &session).await.0, 200, "a stranger's DELETE ends nothing");
    let default = Client::new(format!("{base}/mcp"));
    assert_eq!(status(&default, &begin(&two).await).await.0, 200, "`default: true` is served at /mcp too");
}
