//! Backends whose lists are hostile: they are capped, they are said to be so, and they cost nobody else anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use vmcp_testkit::{
    RawBackend, Recorded, Reply, Served, Step, WireBackend, eventually, mcp_reply, well, whole,
};

use crate::program;
use crate::two_planes::call;

const GOOD: &str = r#"{"name":"x","inputSchema":{"type":"object"}}"#;

/// What a backend answers to `tools/list`; `None` for the usual.
type Lists = fn(&Recorded) -> Option<Vec<Step>>;

fn json(recorded: &Recorded, result: &str) -> Vec<Step> {
    let Reply::Json(body) = recorded.result(result) else { panic!("a body") };
    whole("200 OK", "content-type: application/json\r\n", body.as_bytes())
}

fn tools(recorded: &Recorded, tools: &str, tail: &str) -> Option<Vec<Step>> {
    Some(json(recorded, &format!(r#"{{"tools":[{tools}]{tail}}}"#)))
}

/// A name, what it does, and what is said of it.
const ROWS: &[(&str, Lists, &str)] = &[
    (
        "many",
        |recorded| {
            let all: Vec<String> =
                (0..100_000).map(|n| format!(r#"{{"name":"t{n}","inputSchema":{{}}}}"#)).collect();
            tools(recorded, &all.join(","), "")
        },
        "more than 10000 items",
    ),
    (
        "large",
        |recorded| {
            let large = GOOD
                .replace("{\"type\"", &format!("{{\"description\":\"{}\",\"type\"", "x".repeat(10_000_000)));
            tools(recorded, &format!("{GOOD},{}", large.replace("\"x\"", "\"large\"")), "")
        },
        "a tool was left out",
    ),
    (
        "deep",
        |recorded| {
            let deep = format!(
                r#"{{"name":"deep","inputSchema":{}1{}}}"#,
                "{\"a\":".repeat(10_000),
                "}".repeat(10_000)
            );
            tools(recorded, &format!("{GOOD},{deep}"), "")
        },
        "not a response",
    ),
    (
        "endless",
        |recorded| {
            let cursor =
                recorded.json()["params"]["cursor"].as_str().and_then(|c| c.parse().ok()).unwrap_or(0_u64);
            let tool = GOOD.replace("\"x\"", &format!("\"x{cursor}\""));
            tools(recorded, &tool, &format!(r#","nextCursor":"{}""#, cursor + 1))
        },
        "more than 100 pages",
    ),
    ("circle", |recorded| tools(recorded, GOOD, r#","nextCursor":"again""#), "a cursor came twice"),
    (
        "long_cursor",
        |recorded| tools(recorded, GOOD, &format!(r#","nextCursor":"{}""#, "c".repeat(1_000_000))),
        "is too long",
    ),
    ("slow", |_| Some(vec![Step::Hang]), "no answer in time"),
    (
        "flood",
        |_| {
            let head =
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
                    .to_vec();
            let chunk = [b"100000\r\n".to_vec(), vec![b' '; 0x10_0000], b"\r\n".to_vec()].concat();
            Some(vec![Step::Write(head), Step::Repeat(chunk, Duration::ZERO)])
        },
        "larger than",
    ),
];

async fn backend(lists: Lists) -> WireBackend {
    WireBackend::start(move |recorded| {
        if recorded.mcp_method().as_deref() == Some("tools/list")
            && let Some(steps) = lists(recorded)
        {
            return steps;
        }
        let refused = Reply::Status(http::StatusCode::METHOD_NOT_ALLOWED, String::new());
        well(mcp_reply(recorded, true, GOOD).unwrap_or(refused))
    })
    .await
}

fn of<'s>(status: &'s Value, name: &str) -> &'s Value {
    status["backends"].as_array().unwrap().iter().find(|backend| backend["name"] == name).unwrap()
}

fn peak_memory(served: &Served) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{}/status", served.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn workloads_05_lists_without_end_or_measure_are_capped_and_said_and_others_are_whole() {
    let good = RawBackend::start(|recorded: &Recorded| {
        mcp_reply(recorded, true, GOOD).unwrap_or_else(|| recorded.result(r#"{"content":[]}"#))
    })
    .await;
    let mut backends = Vec::new();
    let mut workloads = format!("  - {{name: good, url: '{}'}}\n", good.url());
    for (name, lists, _) in ROWS {
        let backend = backend(*lists).await;
        workloads.push_str(&format!("  - {{name: {name}, url: '{}'}}\n", backend.url()));
        backends.push(backend);
    }
    let manifest = format!(
        "name: all\ngroup: g\nincoming_auth: {{type: anonymous}}\n---\nkind: group\nname: g\nworkloads:\n{workloads}"
    );
    let served = Served::start(program(), &manifest).await;
    served.until_healthy("good", Duration::from_secs(10)).await;
    assert_eq!(call(&served.client(), "good_x", true).await.code(), None);
    for (name, _, said) in ROWS {
        served.until(name, "degraded", Duration::from_secs(30)).await;
        let status = served.status().await;
        let counts = &of(&status, name)["counts"];
        assert_eq!(
            (&counts["prompts"], &counts["resources"]),
            (&1.into(), &1.into()),
            "{name} keeps its other lists"
        );
        let told: Vec<String> = status["diagnostics"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| d["backends"] == serde_json::json!([name]))
            .map(|d| d["message"].to_string())
            .collect();
        assert!(told.iter().any(|message| message.contains(said)), "{name}: {told:?}");
    }
    assert_eq!(of(&served.status().await, "good")["health"], "healthy");
    assert_eq!(call(&served.client(), "good_x", false).await.code(), None);
    let peak = peak_memory(&served);
    assert!(peak < 700, "{peak} MiB");
}

#[tokio::test]
async fn workloads_05_a_list_that_fails_after_it_has_worked_is_what_it_was() {
    let fails = Arc::new(AtomicBool::new(false));
    let is_failing = fails.clone();
    let trap = RawBackend::start(|_| Reply::Silence).await;
    // Nobody fetches what a schema refers to.
    let tool = format!(
        r##"{{"name":"x","inputSchema":{{"$ref":"{}","icons":[{{"src":"{}"}}]}}}}"##,
        trap.url(),
        trap.url()
    );
    let backend = RawBackend::start(move |recorded: &Recorded| {
        if recorded.mcp_method().as_deref() == Some("tools/list") && is_failing.load(Ordering::SeqCst) {
            return recorded.error(-32000);
        }
        let reply = mcp_reply(recorded, true, &tool).unwrap_or_else(|| recorded.result(r#"{"content":[]}"#));
        match reply {
            // Good for five seconds, so that it is asked again soon.
            Reply::Json(body) => Reply::Json(body.replace("\"ttlMs\":0", "\"ttlMs\":5000")),
            other => other,
        }
    })
    .await;
    let served = crate::serve(&[crate::at("b", &backend.url())]).await;
    served.until_healthy("b", Duration::from_secs(10)).await;
    fails.store(true, Ordering::SeqCst);
    served.until("b", "degraded", Duration::from_secs(15)).await;
    let listed = served.client().modern("tools/list", "").await.text();
    assert!(listed.contains("b_x"), "{listed}");
    assert_eq!(call(&served.client(), "b_x", true).await.code(), None);
    fails.store(false, Ordering::SeqCst);
    let is_well = eventually(Duration::from_secs(30), async || {
        served.status().await["backends"][0]["health"] == "healthy"
    });
    assert!(is_well.await);
    assert_eq!(trap.recorded().len(), 0);
}
