//! What is forbidden is forbidden however it is written, and what is hidden is not there however it is asked for.

use serde_json::json;
use vmcp_testkit::{Issuer, RawBackend, Recorded, mcp_reply};

use super::{ask, guarded, offering, serve};

/// A backend that reads whatever it is asked for, as those do that look at the path alone.
async fn reading() -> RawBackend {
    RawBackend::start(|recorded: &Recorded| match recorded.mcp_method().as_deref() {
        Some("server/discover") => recorded.result(
            r#"{"supportedVersions":["2026-07-28"],"capabilities":{"resources":{"subscribe":true}},"resultType":"complete"}"#,
        ),
        Some("resources/list") => recorded.result(
            r#"{"resources":[{"uri":"file:///secret.md","name":"s"},{"uri":"file:///open.md","name":"o"},{"uri":"file:///folder/","name":"f"}],"resultType":"complete"}"#,
        ),
        Some("resources/templates/list") => recorded.result(
            r#"{"resourceTemplates":[{"uriTemplate":"file:///{+path}","name":"f"},{"uriTemplate":"search://all{?q}","name":"q"}],"resultType":"complete"}"#,
        ),
        Some("resources/read") => recorded.result(
            r#"{"contents":[],"resultType":"complete","ttlMs":3600000,"cacheScope":"public"}"#,
        ),
        _ => mcp_reply(recorded, true, "").unwrap_or_else(|| recorded.error(-32601)),
    })
    .await
}

#[tokio::test]
async fn a_resource_that_is_forbidden_has_no_other_spelling() {
    let (backend, issuer) = (reading().await, Issuer::start().await);
    let policies = [
        r#"permit(principal, action == Action::"read_resource", resource in Backend::"a");"#,
        r#"forbid(principal, action, resource == Resource::"file:///secret.md");"#,
        r#"forbid(principal, action == Action::"read_resource", resource) when { resource.uri like "*hidden.md" };"#,
    ];
    let served = serve(&guarded(&issuer, &policies, "", &[("a", backend.url())]), &["a"]).await;
    let (client, token) = (served.client(), issuer.token("ada", "vmcp", &json!({})));
    for (uri, may_be_read) in [
        ("file:///open.md", true),
        ("file:///other.md", true),
        ("file:///folder/", true),
        ("search://all?q=x", true),
        ("file:///secret.md", false),
        ("file:///secret.md#", false),
        ("file:///secret.md#x", false),
        ("file:///secret.md?", false),
        ("file:///secret.md?x=1", false),
        ("file:///secret.md/", false),
        ("file:///hidden.md", false),
        ("file:///hidden.md#x", false),
        ("file:///hidden.md?x", false),
        ("file:///hidden.md/", false),
    ] {
        for is_modern in [true, false] {
            let before = backend.calls("resources/read").len();
            let answer =
                ask(&client, Some(&token), is_modern, "resources/read", &format!(r#""uri":"{uri}""#)).await;
            assert_eq!(answer.json()["result"].is_object(), may_be_read, "{uri}: {}", answer.text());
            assert_eq!(backend.calls("resources/read").len() - before, usize::from(may_be_read), "{uri}");
            if may_be_read && is_modern {
                // What one caller reads is no other's, whatever the backend says.
                assert_eq!(answer.json()["result"]["cacheScope"], "private", "{uri}");
            }
        }
    }
}

/// Also where policies look into its arguments, and these cannot be read.
#[tokio::test]
async fn what_is_hidden_is_not_there_whatever_it_is_called_with() {
    let (backend, issuer) = (offering(&["open", "hidden"], true).await, Issuer::start().await);
    let policies = [
        r#"permit(principal, action == Action::"call_tool", resource == Tool::"a_open");"#,
        r#"forbid(principal, action, resource) when { context has arg_path && context.arg_path like "/etc/*" };"#,
    ];
    let served = serve(&guarded(&issuer, &policies, "", &[("a", backend.url())]), &["a"]).await;
    let (client, token) = (served.client(), issuer.token("ada", "vmcp", &json!({})));
    for arguments in [
        r#"{"path":1,"path":2}"#,
        r#"{"path":{"x":1,"x":2}}"#,
        r#"[{"path":"/etc/x"}]"#,
        r#""{\"path\":\"/etc/x\"}""#,
        "7",
        r#"{"path":"/etc/x"}"#,
    ] {
        for is_modern in [true, false] {
            let called = async |tool: &str| {
                let members = format!(r#""name":"{tool}","arguments":{arguments}"#);
                ask(&client, Some(&token), is_modern, "tools/call", &members).await
            };
            let (hidden, absent) = (called("a_hidden").await, called("a_absent").await);
            assert_eq!(hidden.text().replace("a_hidden", "a_absent"), absent.text(), "{arguments}");
            assert_eq!(hidden.status, absent.status, "{arguments}");
            let seen = called("a_open").await;
            assert!(seen.json()["error"].is_object(), "{arguments}: {}", seen.text());
            assert_ne!(seen.text().replace("a_open", "a_absent"), absent.text(), "{arguments}");
        }
    }
    assert!(backend.calls("tools/call").is_empty());
}
