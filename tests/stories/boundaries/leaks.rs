//! What is filtered away is in no byte that anybody gets.

use serde_json::json;
use vmcp_testkit::{Issuer, Recorded, Reply, Served, WireBackend, mcp_reply, whole};

use super::{ask, guarded};

/// Ways to write a list, and whether it is one then.
const KINDS: [(&str, bool); 13] = [
    ("events", true),
    ("multiline", true),
    ("bom", true),
    ("notified", true),
    ("nonsense_first", true),
    ("upper", true),
    ("charset", true),
    ("created", true),
    ("not_authoritative", true),
    ("partial", true),
    ("gzip", false),
    ("refused", false),
    ("strange", false),
];

/// What is filtered away is in no byte, whatever the backend's lists are written like (T23).
#[tokio::test]
async fn list_filter_leaks() {
    for (kind, is_listed) in KINDS {
        let backend = odd(kind).await;
        let issuer = Issuer::start().await;
        let policies = [
            r#"permit(principal == Client::"alice", action, resource);"#,
            r#"permit(principal, action, resource == Tool::"a_open");"#,
        ];
        let manifest = guarded(&issuer, &policies, "", &[("a", backend.url())]);
        let served = Served::start(crate::program(), &manifest).await;
        let [alice, bob] = ["alice", "bob"].map(|name| issuer.token(name, "vmcp", &json!({})));
        if is_listed {
            served.until_healthy("a", std::time::Duration::from_secs(10)).await;
        } else {
            served.until("a", "degraded", std::time::Duration::from_secs(10)).await;
        }
        for is_modern in [true, false] {
            let all = ask(&served.client(), Some(&alice), is_modern, "tools/list", "").await;
            assert_eq!(all.text().contains("a_hidden"), is_listed, "{kind}: {}", all.text());
            let some = ask(&served.client(), Some(&bob), is_modern, "tools/list", "").await;
            assert!(!some.text().contains("hidden"), "{kind}: {}", some.text());
            if is_modern {
                let result = some.json()["result"].clone();
                assert_eq!(result["cacheScope"], "private", "{kind}");
                assert!(result["ttlMs"].as_u64().is_some_and(|ms| ms <= 60_000), "{kind}: {result}");
            }
            let call =
                ask(&served.client(), Some(&bob), is_modern, "tools/call", r#""name":"a_hidden""#).await;
            let absent =
                ask(&served.client(), Some(&bob), is_modern, "tools/call", r#""name":"a_absent""#).await;
            assert_eq!(call.text().replace("a_hidden", "a_absent"), absent.text(), "{kind}");
        }
    }
}

/// A backend of which a caller may use nothing is not there for that caller, also when it is gone.
#[tokio::test]
async fn a_backend_that_is_gone_is_missed_by_those_alone_who_may_use_it() {
    for mode in ["fail", "best_effort"] {
        let (here, gone) = (super::offering(&["x"], true).await, super::offering(&["x"], true).await);
        let issuer = Issuer::start().await;
        let policies = [
            r#"permit(principal, action, resource in Backend::"here");"#,
            r#"permit(principal == Client::"alice", action, resource);"#,
        ];
        let more = format!(
            "operational: {{failure_handling: {{partial_failure_mode: {mode}, health_check_interval: 1s, unhealthy_threshold: 1}}}}\n"
        );
        let manifest = guarded(&issuer, &policies, &more, &[("here", here.url()), ("gone", gone.url())]);
        let served = super::serve(&manifest, &["here", "gone"]).await;
        let [alice, bob] = ["alice", "bob"].map(|name| issuer.token(name, "vmcp", &json!({})));
        drop(gone);
        served.until("gone", "unhealthy", std::time::Duration::from_secs(10)).await;
        let client = served.client();
        let listed = async |token: &str| ask(&client, Some(token), true, "tools/list", "").await.text();
        let is_missed = vmcp_testkit::eventually(std::time::Duration::from_secs(5), async || {
            let text = listed(&alice).await;
            text.contains("vmcp/unavailableBackends") || text.contains("\"backends\":[\"gone\"]")
        });
        assert!(is_missed.await, "{mode}: {}", listed(&alice).await);
        let text = listed(&bob).await;
        assert!(text.contains("here_x") && !text.contains("gone"), "{mode}: {text}");
    }
}

/// One that has never answered may be anybody's: all hear that it is missing.
#[tokio::test]
async fn a_backend_that_nobody_has_heard_of_is_missed_by_all() {
    let (here, issuer) = (super::offering(&["x"], true).await, Issuer::start().await);
    let policies = [r#"permit(principal, action, resource in Backend::"here");"#];
    let workloads = [("here", here.url()), ("never", "http://127.0.0.1:1/mcp".to_owned())];
    let served = super::serve(&guarded(&issuer, &policies, "", &workloads), &["here"]).await;
    let (client, token) = (served.client(), issuer.token("bob", "vmcp", &json!({})));
    let is_missed = vmcp_testkit::eventually(std::time::Duration::from_secs(5), async || {
        let list = ask(&client, Some(&token), true, "tools/list", "").await.json();
        list["result"]["_meta"]["vmcp/unavailableBackends"] == json!(["never"])
    });
    assert!(is_missed.await, "{}", ask(&client, Some(&token), true, "tools/list", "").await.text());
}

/// A backend whose list of tools is written in an unusual way, with names where none belong.
async fn odd(kind: &'static str) -> WireBackend {
    WireBackend::start(move |recorded: &Recorded| {
        let as_json = "content-type: application/json\r\n";
        let events = "content-type: text/event-stream\r\n";
        let tools = r#"{"name":"open","inputSchema":{"type":"object"}},{"name":"hidden","inputSchema":{"type":"object"}}"#;
        if recorded.mcp_method().as_deref() != Some("tools/list") {
            return match mcp_reply(recorded, true, tools) {
                Some(Reply::Json(body)) => whole("200 OK", as_json, body.as_bytes()),
                _ => whole("404 Not Found", as_json, b"{}"),
            };
        }
        let id = recorded.id();
        let list = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[{tools}],"_meta":{{"also":["hidden"]}},"extra":"hidden","resultType":"complete","ttlMs":3600000,"cacheScope":"public"}}}}"#
        );
        let (status, headers, body) = match kind {
            "events" => ("200 OK", events, format!(": hidden\n\nevent: message\nid: hidden\nretry: 1\ndata: {list}\n\n")),
            "multiline" => ("200 OK", events, format!("data: {}\n\n", list.replace(",\"result\"", "\ndata: ,\"result\""))),
            "notified" => {
                let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"hidden"}}"#;
                ("200 OK", events, format!("data: {note}\n\ndata: {list}\n\n"))
            }
            "nonsense_first" => ("200 OK", events, format!("data: {{hidden\n\ndata: {list}\n\n")),
            "not_authoritative" => ("203 Non-Authoritative Information", as_json, list),
            "partial" => ("206 Partial Content", as_json, list),
            "gzip" => ("200 OK", "content-type: application/json\r\ncontent-encoding: gzip\r\n", list),
            "refused" => {
                let error = json!({"code": -32603, "message": "hidden", "data": {"tools": ["hidden"]}});
                ("200 OK", as_json, format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#))
            }
            "upper" => ("200 OK", "content-type: Application/JSON\r\n", list),
            "charset" => ("200 OK", "content-type: application/json; charset=utf-8\r\n", list),
            "created" => ("201 Created", as_json, list),
            "bom" => ("200 OK", events, format!("\u{feff}data: {list}\n\n")),
            _ => ("200 OK", "content-type: application/x-tools\r\n", list),
        };
        whole(status, headers, body.as_bytes())
    })
    .await
}
