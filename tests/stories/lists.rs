//! Lists from memory: paged, whole, and the same whoever asks.

use std::time::Duration;

use vmcp_testkit::{RawBackend, Recorded, Reply, mcp_reply};

use crate::{at, serve};

/// A backend whose list of tools has several pages, of which one item is broken.
async fn paged(pages: usize, per_page: usize) -> RawBackend {
    RawBackend::start(move |recorded: &Recorded| {
        if recorded.mcp_method().as_deref() != Some("tools/list") {
            return mcp_reply(recorded, true, "").unwrap_or_else(|| recorded.result("{}"));
        }
        let page: usize =
            recorded.json()["params"]["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
        let tools: Vec<String> =
            (0..per_page).map(|n| format!(r#"{{"name":"t{:05}"}}"#, page * per_page + n)).collect();
        let next = if page + 1 < pages { format!(r#","nextCursor":"{}""#, page + 1) } else { String::new() };
        recorded.result(&format!(r#"{{"tools":[{}]{next},"resultType":"complete"}}"#, tools.join(",")))
    })
    .await
}

#[tokio::test]
async fn lists_are_read_to_the_end_and_given_out_in_pages() {
    let (one, two) = (paged(12, 100).await, paged(1, 3).await);
    let served = serve(&[at("b", &one.url()), at("a", &two.url())]).await;
    served.until_healthy("a", Duration::from_secs(10)).await;
    served.until_healthy("b", Duration::from_secs(10)).await;
    let client = served.client();
    let mut names = Vec::new();
    let mut cursor: Option<String> = None;
    let mut pages = 0;
    loop {
        let members = cursor.map(|cursor| format!(r#""cursor":"{cursor}""#)).unwrap_or_default();
        let page = client.modern("tools/list", &members).await.json();
        let tools = page["result"]["tools"].as_array().unwrap();
        names.extend(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        pages += 1;
        match page["result"]["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!((pages, names.len()), (2, 1_203));
    assert_eq!(
        &names[..4],
        ["a_t00000", "a_t00001", "a_t00002", "b_t00000"],
        "ordered by backend, then as it listed"
    );
    assert!(names.is_sorted());
    for cursor in [r#""x""#, "1", r#""""#] {
        let answer = client.modern("tools/list", &format!(r#""cursor":{cursor}"#)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (200, Some(-32602)), "{cursor}");
    }
}

#[tokio::test]
async fn a_list_that_fails_or_never_ends_loses_only_itself() {
    let failing = RawBackend::start(|recorded: &Recorded| match recorded.mcp_method().as_deref() {
        Some("tools/list") => recorded.error(-32000),
        Some("prompts/list") => recorded.result(r#"{"prompts":[{"name":"p"}],"nextCursor":"again"}"#),
        Some("resources/list") => {
            recorded.result(r#"{"resources":[{"name":"no uri"},{"uri":"x://1","name":"one"}]}"#)
        }
        _ => mcp_reply(recorded, true, "").unwrap_or(Reply::Silence),
    })
    .await;
    let served = serve(&[at("raw", &failing.url())]).await;
    served.until("raw", "degraded", Duration::from_secs(10)).await;
    let status = served.status().await;
    let counts = &status["backends"][0]["counts"];
    assert_eq!(
        (&counts["tools"], &counts["resources"], &counts["prompts"]),
        (&0.into(), &1.into(), &2.into())
    );
    let told: String =
        status["diagnostics"].as_array().unwrap().iter().map(|d| d["message"].to_string()).collect();
    for part in ["could not list tools", "could not list prompts", "listed twice", "a resource was left out"]
    {
        assert!(told.contains(part), "lacks `{part}`: {told}");
    }
}

#[tokio::test]
async fn an_empty_group_is_a_valid_empty_catalog_and_the_admin_port_tells() {
    let served = serve(&[]).await;
    let list = served.client().modern("tools/list", "").await;
    assert_eq!(list.json()["result"]["tools"], serde_json::json!([]));
    let get = async |path| served.admin(path).request(reqwest::Method::GET, &[]).await;
    assert_eq!(get("/livez").await.status.as_u16(), 200);
    assert_eq!(get("/readyz").await.status.as_u16(), 200);
    let metrics = get("/metrics").await.text();
    assert!(metrics.contains(r#"vmcp_requests_total{outcome="answered"} 1"#), "{metrics}");
    let foreign = served.admin("/status").request(reqwest::Method::GET, &[("host", "evil.example")]).await;
    assert_eq!(foreign.status.as_u16(), 403);
}
