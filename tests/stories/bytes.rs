//! What we do not change we do not rebuild.

use std::time::Duration;

use vmcp_testkit::{Client, LEGACY, RawBackend, Recorded, Reply, Served, mcp_reply, modern};

use crate::{at, serve};

/// A definition with everything that typed readers lose.
const TOOL: &str = r#"{ "x-first":1.10, "name" : "odd", "title":"O\u0064d","icons":[{"src":"data:,","sizes":["1x1"]}],"inputSchema":{"z":1,"type":"object","a":{"const":1234567890123456789012345678901234567890}},"outputSchema":{"type":"object","properties":{"name":{"type":"string"}}},"execution":{"taskSupport":"optional"},"_meta":{"com.example/x":[1e2,-0.0]},"annotations":{"readOnlyHint":true,"other":null} }"#;
const ARGUMENTS: &str = r#"{ "name":"odd","z":1,"a":[1.10,1E+2,-0],"big":1234567890123456789012345678901234567890,"esc":"\u0061\/\ud83d\ude00","":{} }"#;
const RESULT: &str = r#"{ "contents":[{"uri":"x:","text":""}],"content":[{"type":"text","text":"\u00e9 cut \ud83d","more":1.0}],"structuredContent":{"n":1234567890123456789012345678901234567890,"m":1.10},"unknown":[ ],"_meta":{"k":"v"},"isError":false,"resultType":"complete" }"#;

async fn start(is_modern: bool, streams: bool) -> (RawBackend, Served) {
    let backend = RawBackend::start(move |recorded: &Recorded| {
        mcp_reply(recorded, is_modern, TOOL).unwrap_or_else(|| match recorded.result(RESULT) {
            Reply::Json(body) if streams => {
                let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.10}}"#;
                Reply::Events(vec![progress.to_owned(), body])
            }
            reply => reply,
        })
    })
    .await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    (backend, served)
}

/// `members` of the parameters of a call, with what every call of that era has.
async fn call(client: &Client, is_modern: bool, members: &str) -> String {
    if is_modern {
        return client.modern("tools/call", members).await.text();
    }
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{members}}}}}"#);
    client.post(LEGACY, body).await.text()
}

#[tokio::test]
async fn straight_line_03_definitions_unchanged_but_for_the_name() {
    for is_modern in [true, false] {
        let (_backend, served) = start(is_modern, false).await;
        let expected = TOOL.replace(r#""name" : "odd""#, r#""name" : "raw_odd""#);
        let listed = served.client().modern("tools/list", "").await.text();
        assert!(listed.contains(&expected), "{listed}");
        let body = r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#;
        let listed = served.client().post(LEGACY, body).await.text();
        assert_eq!(listed, format!(r#"{{"jsonrpc":"2.0","id":"l","result":{{"tools":[{expected}]}}}}"#));
        let prompts = served.client().modern("prompts/list", "").await.text();
        assert!(prompts.contains(r#"{"name":"raw_ask","x-more":1.10}"#), "{prompts}");
        let resources = served.client().modern("resources/list", "").await.text();
        assert!(
            resources.contains(r#"{"uri":"raw://one","name":"one","size":12345678901234567890}"#),
            "{resources}"
        );
    }
}

#[tokio::test]
async fn straight_line_03_arguments_and_results_unchanged() {
    for is_modern in [true, false] {
        let (backend, served) = start(is_modern, false).await;
        let members = format!(r#""unknown":[1.10], "name": "raw_odd" ,"arguments":{ARGUMENTS}"#);
        let answer = call(&served.client(), is_modern, &members).await;
        assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{RESULT}}}"#));
        let calls = backend.calls("tools/call");
        let expected = members.replace("raw_odd", "odd");
        assert!(calls[0].text().contains(&expected), "{}", calls[0].text());
        if is_modern {
            let (_, sent) = modern("tools/call", &members);
            assert_eq!(calls[0].text(), sent.replace("raw_odd", "odd"));
            assert_eq!(calls[0].header("mcp-name"), Some("odd"));
        }
    }
}

#[tokio::test]
async fn straight_line_03_streamed_results_unchanged() {
    for is_modern in [true, false] {
        let (_backend, served) = start(is_modern, true).await;
        let members = r#""name":"raw_odd","_meta":{"progressToken":1}"#;
        let (headers, body) = if is_modern {
            modern("tools/call", r#""name":"raw_odd""#)
        } else {
            (
                Vec::new(),
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{members}}}}}"#),
            )
        };
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut events = served.client().listen(&headers, Some(body)).await;
        let progress = events.next().await.unwrap();
        assert!(progress.contains(r#""progress":0.10"#), "{progress}");
        let expected = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{RESULT}}}"#);
        assert_eq!(events.next().await.as_deref(), Some(expected.as_str()));
        assert_eq!(events.next().await, None);
    }
}

#[tokio::test]
async fn straight_line_03_absent_arguments_stay_absent() {
    for is_modern in [true, false] {
        let (backend, served) = start(is_modern, false).await;
        call(&served.client(), is_modern, r#""name":"raw_odd""#).await;
        call(&served.client(), is_modern, r#""name":"raw_odd","arguments":{}"#).await;
        let calls = backend.calls("tools/call");
        assert!(!calls[0].text().contains("arguments"), "{}", calls[0].text());
        assert!(calls[1].text().contains(r#""arguments":{}"#), "{}", calls[1].text());
    }
}

#[tokio::test]
async fn a_call_that_needs_no_new_name_is_forwarded_byte_for_byte() {
    let (backend, served) = start(true, false).await;
    let members = r#" "uri" : "raw://one" ,"x":1.10"#;
    let answer = served.client().modern("resources/read", members).await;
    assert_eq!(answer.text(), format!(r#"{{"jsonrpc":"2.0","id":1,"result":{RESULT}}}"#));
    assert_eq!(backend.calls("resources/read")[0].text(), modern("resources/read", members).1);
    served.client().modern("resources/read", r#""uri":"raw://t/7""#).await;
    assert_eq!(backend.calls("resources/read").len(), 2, "a template's URI is read");
}

#[tokio::test]
async fn across_eras_only_what_the_era_demands_is_added_or_taken_away() {
    // A legacy client, a modern backend.
    let (backend, served) = start(true, false).await;
    let answer = call(&served.client(), false, &format!(r#""name":"raw_odd","arguments":{ARGUMENTS}"#)).await;
    let without = RESULT.replace(r#","resultType":"complete""#, "");
    assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{without}}}"#));
    let sent = &backend.calls("tools/call")[0];
    assert!(sent.text().contains(&format!(r#""arguments":{ARGUMENTS}"#)), "{}", sent.text());
    assert_eq!(sent.json()["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!((sent.header("mcp-method"), sent.header("mcp-name")), (Some("tools/call"), Some("odd")));

    // A modern client, a legacy backend that says nothing of the result's type.
    let backend = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, false, TOOL).unwrap_or_else(|| match recorded.mcp_method().as_deref() {
            Some("resources/read") => recorded.result(r#"{"contents":[ ]}"#),
            _ => recorded.error(-32002),
        })
    })
    .await;
    let served = serve(&[at("raw", &backend.url())]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let read = served.client().modern("resources/read", r#""uri":"raw://one""#).await;
    let result = r#"{"contents":[ ],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#;
    assert_eq!(read.text(), format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#));
    let missing = served.client().modern("tools/call", r#""name":"raw_odd""#).await;
    assert_eq!(missing.code(), Some(-32602), "a legacy code must not reach a modern client");
}
