//! One backend plays every row of the table of hostile backends, one tool a row. What the client hears is what the table says,
//! the backend has got the call once, others do not notice, and the next good answer of the same backend arrives.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;
use vmcp_testkit::{
    Client, LEGACY, RawBackend, Recorded, Reply, Served, Step, WireBackend, event, events, mcp_reply, well,
    whole,
};

use crate::workloads::beside::{self, AT_ONCE, FIRST_BYTE, GRACE, IDLE, LARGE};

/// What a tool does in place of answering.
type Plays = fn(&Recorded) -> Vec<Step>;

/// What the client hears, and how long it may wait.
struct Row {
    tool: &'static str,
    plays: Plays,
    /// The reason, or nothing for an answer.
    reason: &'static str,
    within: Duration,
}

const fn row(tool: &'static str, reason: &'static str, within: Duration, plays: Plays) -> Row {
    Row { tool, plays, reason, within }
}

fn json(body: &str) -> Vec<Step> {
    whole("200 OK", "content-type: application/json\r\n", body.as_bytes())
}

fn answer(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"mine"}}],"resultType":"complete"}}}}"#
    )
}

fn head(more: &str) -> Step {
    Step::Write(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}\r\n\r\n").into_bytes())
}

/// The rows that are about one call.
const ROWS: &[Row] = &[
    row("never_answers", "backend_timeout", FIRST_BYTE, |_| vec![Step::Hang]),
    row("resets", "backend_unavailable", AT_ONCE, |_| vec![Step::Reset]),
    row("head_then_silence", "backend_timeout", IDLE, |_| vec![head("content-length: 10"), Step::Hang]),
    row("byte_by_byte", "backend_timeout", IDLE, |_| {
        vec![head("content-length: 1000"), Step::Repeat(b" ".to_vec(), Duration::from_millis(100))]
    }),
    row("events_then_silence", "backend_timeout", IDLE, |_| vec![events(), Step::Hang]),
    row("comments_for_ever", "backend_timeout", IDLE, |_| {
        vec![events(), Step::Repeat(b":\n\n".to_vec(), Duration::from_millis(50))]
    }),
    row("html", "backend_protocol_error", AT_ONCE, |_| {
        whole("200 OK", "content-type: text/html\r\n", b"<html>sign in</html>")
    }),
    row("html_as_json", "backend_protocol_error", AT_ONCE, |_| json("<html>")),
    row("empty", "backend_protocol_error", AT_ONCE, |_| json("")),
    row("no_content", "backend_protocol_error", AT_ONCE, |_| whole("204 No Content", "", b"")),
    row("accepted", "backend_protocol_error", AT_ONCE, |_| whole("202 Accepted", "", b"")),
    row("crashed", "backend_protocol_error", AT_ONCE, |_| {
        whole("500 Internal Server Error", "content-type: text/plain\r\n", b"stack trace with secrets")
    }),
    row("invalid", "backend_protocol_error", AT_ONCE, |_| json(r#"{"jsonrpc":"2.0","id":1,"result":"#)),
    row("truncated", "backend_protocol_error", AT_ONCE, |_| {
        vec![head("transfer-encoding: chunked"), Step::Write(b"5\r\n{\"jso".to_vec()), Step::Pause(GRACE)]
    }),
    row("wrong_version", "backend_protocol_error", AT_ONCE, |asked| {
        json(&answer(&asked.id()).replace("2.0", "1.0"))
    }),
    row("array", "backend_protocol_error", AT_ONCE, |asked| json(&format!("[{}]", answer(&asked.id())))),
    row("both", "backend_protocol_error", AT_ONCE, |asked| {
        json(
            &answer(&asked.id()).replace("\"result\"", "\"error\":{\"code\":1,\"message\":\"x\"},\"result\""),
        )
    }),
    row("odd_code", "backend_protocol_error", AT_ONCE, |asked| {
        json(&format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":"one","message":"x"}}}}"#, asked.id()))
    }),
    row("wrong_id", "backend_protocol_error", AT_ONCE, |_| json(&answer("\"somebody else's\""))),
    row("wrong_id_then_silence", "backend_timeout", IDLE, |_| {
        vec![events(), event(&answer("999")), event(&answer("null")), Step::Hang]
    }),
    row("wrong_id_then_mine", "", AT_ONCE, |asked| {
        vec![events(), event(&answer("999")), event(&answer(&asked.id())), event(&answer(&asked.id()))]
    }),
    row("asks", "", AT_ONCE, |asked| {
        let ask = r#"{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage","params":{}}"#;
        vec![events(), event(ask), event(&answer(&asked.id()))]
    }),
    row("ends_without_answer", "backend_protocol_error", AT_ONCE, |_| vec![events()]),
    row("notifies_for_ever", "backend_stream_limit", LARGE, |_| {
        let note =
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;
        vec![events(), Step::Repeat(format!("data: {note}\n\n").repeat(50).into_bytes(), Duration::ZERO)]
    }),
    row("endless_line", "backend_response_too_large", LARGE, |_| {
        let line = [b"data: ".to_vec(), vec![b'x'; 1024 * 1024]].concat();
        vec![events(), Step::Repeat(line, Duration::ZERO)]
    }),
    row("endless_body", "backend_response_too_large", Duration::from_secs(20), |_| {
        let chunk =
            [format!("{:x}\r\n", 1024 * 1024).into_bytes(), vec![b' '; 1024 * 1024], b"\r\n".to_vec()];
        vec![head("transfer-encoding: chunked"), Step::Repeat(chunk.concat(), Duration::ZERO)]
    }),
    row("says_it_is_large", "backend_response_too_large", AT_ONCE, |_| {
        vec![head("content-length: 10737418240"), Step::Hang]
    }),
    row("packed", "backend_protocol_error", AT_ONCE, |_| {
        whole("200 OK", "content-type: application/json\r\ncontent-encoding: gzip\r\n", &[0x1f, 0x8b, 8, 0])
    }),
    row("unauthorized", "backend_auth_failed", AT_ONCE, |_| {
        whole("401 Unauthorized", "www-authenticate: Bearer realm=\"inside\"\r\n", b"")
    }),
    row("forbidden", "backend_auth_failed", AT_ONCE, |_| whole("403 Forbidden", "", b"")),
    row("too_late", "backend_timeout", FIRST_BYTE, |asked| {
        let mut late = vec![Step::Pause(FIRST_BYTE + Duration::from_millis(100))];
        late.extend(json(&answer(&asked.id())));
        late
    }),
];

/// The tool of each row.
pub(crate) fn tools() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.tool)
}

/// What the row of a tool plays, if it has one.
pub(crate) fn play(tool: &str, asked: &Recorded) -> Option<Vec<Step>> {
    ROWS.iter().find(|row| row.tool == tool).map(|row| (row.plays)(asked))
}

struct World {
    served: Served,
    bad: WireBackend,
    /// Where a redirect leads.
    elsewhere: RawBackend,
    _good: RawBackend,
    is_modern: bool,
}

impl World {
    async fn start(is_modern: bool) -> Self {
        let tools: Vec<String> = tools()
            .chain(["well", "elsewhere", "busy", "progresses", "crosses", "waits"])
            .map(|tool| format!(r#"{{"name":"{tool}","inputSchema":{{"type":"object"}}}}"#))
            .collect();
        let tools = tools.join(",");
        let elsewhere = RawBackend::start(|_| Reply::Silence).await;
        let location = elsewhere.url();
        let bad = WireBackend::start(move |recorded| {
            if let Some(reply) = mcp_reply(recorded, is_modern, &tools) {
                return well(reply);
            }
            let tool = recorded.json()["params"]["name"].as_str().unwrap_or_default().to_owned();
            match tool.as_str() {
                "well" => json(&answer(&recorded.id())),
                "elsewhere" => whole("302 Found", &format!("location: {location}\r\n"), b""),
                "busy" => whole("503 Service Unavailable", "retry-after: 2\r\n", b"later"),
                "progresses" => progress(recorded),
                "crosses" => vec![events(), event(&answer("8")), event(&answer("8")), Step::Hang],
                "waits" => {
                    let eight = answer(&recorded.id()).replace("mine", "of eight");
                    [vec![Step::Pause(GRACE)], json(&eight)].concat()
                }
                tool => play(tool, recorded).unwrap_or_else(|| vec![Step::Hang]),
            }
        })
        .await;
        let (served, good) = beside::serve(&format!("url: '{}'", bad.url()), is_modern).await;
        Self { served, bad, elsewhere, _good: good, is_modern }
    }

    async fn call(&self, tool: &str) -> (Value, Duration) {
        let began = Instant::now();
        let client = self.served.client();
        let answer = call(&client, tool, self.is_modern).await;
        assert_eq!(answer.status, StatusCode::OK, "{tool}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), None, "{tool}");
        let text = answer.text();
        // Of a stream, what it ends with.
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data: "));
        let message = last.unwrap_or(&text);
        assert!(!text.contains("secrets") && !text.contains("sampling/createMessage"), "{tool}: {text}");
        (serde_json::from_str(message).unwrap_or_else(|_| panic!("{tool}: {text}")), began.elapsed())
    }

    fn calls_of(&self, tool: &str) -> usize {
        let all = self.bad.recorded();
        all.iter().filter(|recorded| recorded.json()["params"]["name"] == tool).count()
    }

    async fn others_do_not_notice(&self, within: Duration) {
        let (good, took) = self.call("good_well").await;
        assert!(good["result"].is_object() && took < beside::unnoticed(within), "{took:?} {good}");
    }
}

async fn call(client: &Client, tool: &str, is_modern: bool) -> vmcp_testkit::Answer {
    call_as(client, tool, is_modern, if is_modern { 1 } else { 7 }).await
}

async fn call_as(client: &Client, tool: &str, is_modern: bool, id: u32) -> vmcp_testkit::Answer {
    let members = format!(r#""name":"{tool}","arguments":{{}}"#);
    if is_modern {
        let (headers, body) = vmcp_testkit::modern("tools/call", &members);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        return client.post(&headers, body.replacen(r#""id":1"#, &format!(r#""id":{id}"#), 1)).await;
    }
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{{members}}}}}"#);
    client.post(LEGACY, body).await
}

/// Progress messages that pass as they come, by `limits::PROGRESS_MESSAGES`.
const PASSING: usize = 10_000;

/// More than anybody watches at once, then two seconds of it, every 5 ms, then the answer.
fn progress(asked: &Recorded) -> Vec<Step> {
    let message = |step: usize| {
        // Neither the id nor the pause is passed on.
        let params = format!(r#"{{"progressToken":1,"progress":{step}}}"#);
        let message = format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#);
        format!("id: theirs-{step}\nretry: 1\ndata: {message}\n\n")
    };
    let burst: String = (0..PASSING).map(message).collect();
    let mut steps = vec![events(), Step::Write(burst.into_bytes())];
    for step in PASSING..PASSING + 400 {
        steps.push(Step::Write(message(step).into_bytes()));
        steps.push(Step::Pause(Duration::from_millis(5)));
    }
    steps.push(event(&answer(&asked.id())));
    steps
}

async fn every_row(is_modern: bool) {
    let world = World::start(is_modern).await;
    for row in ROWS {
        let other = world.others_do_not_notice(row.within);
        let tool = format!("bad_{}", row.tool);
        let ((message, took), ()) = tokio::join!(world.call(&tool), other);
        assert_eq!(message["id"], if is_modern { 1 } else { 7 }, "{tool}: {message}");
        match row.reason {
            "" => assert_eq!(message["result"]["content"][0]["text"], "mine", "{tool}: {message}"),
            reason => {
                let error = &message["error"];
                assert_eq!(
                    (&error["code"], &error["data"]["reason"]),
                    (&(-32603).into(), &reason.into()),
                    "{tool}: {message}"
                );
                assert_eq!(error["data"]["backend"], "bad", "{tool}");
            }
        }
        assert!(took < row.within + GRACE, "{tool}: {took:?}");
        assert_eq!(world.calls_of(row.tool), 1, "{tool} was sent again");
        let (well, _) = world.call("bad_well").await;
        assert_eq!(well["result"]["content"][0]["text"], "mine", "after {tool}: {well}");
    }
    if !is_modern {
        // A modern backend has nobody to ask, and no way to hear an answer.
        let refused = world.bad.recorded().iter().filter(|recorded| is_refusal(&recorded.json())).count();
        assert_eq!(refused, 1, "what it asks is refused to it");
    }
    let peak = peak_memory(&world.served);
    assert!(peak < 400 * 1024 * 1024, "{} MiB", peak / 1024 / 1024);
}

fn is_refusal(message: &Value) -> bool {
    message["id"] == "s" && message["error"]["code"] == -32601
}

/// The most that the process has had, in bytes.
fn peak_memory(served: &Served) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{}/status", served.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn workloads_05_every_row_of_the_table_as_a_modern_backend() {
    every_row(true).await;
}

#[tokio::test]
async fn workloads_05_every_row_of_the_table_as_a_legacy_backend() {
    every_row(false).await;
}

#[tokio::test]
async fn workloads_05_a_redirect_is_not_followed() {
    let world = World::start(true).await;
    let (message, _) = world.call("bad_elsewhere").await;
    assert_eq!(message["error"]["data"]["reason"], "backend_protocol_error", "{message}");
    assert_eq!(world.elsewhere.recorded().len(), 0, "nobody goes there");
}

#[tokio::test]
async fn workloads_05_an_answer_to_another_call_in_flight_is_not_delivered_to_it() {
    for is_modern in [true, false] {
        let world = World::start(is_modern).await;
        let client = world.served.client();
        let (seven, eight) = tokio::join!(
            call_as(&client, "bad_crosses", is_modern, 7),
            call_as(&client, "bad_waits", is_modern, 8)
        );
        let (seven, eight) = (seven.text(), eight.text());
        assert!(seven.contains("backend_timeout") && seven.contains(r#""id":7"#), "{seven}");
        assert!(!seven.contains("mine"), "{seven}");
        assert!(eight.contains("of eight") && !eight.contains("mine"), "{eight}");
    }
}

#[tokio::test]
async fn workloads_05_a_flood_of_progress_becomes_ten_a_second_and_what_comes_before_passes_in_order() {
    for is_modern in [true, false] {
        let world = World::start(is_modern).await;
        let began = Instant::now();
        let text = call(&world.served.client(), "bad_progresses", is_modern).await.text();
        let tenths = usize::try_from(began.elapsed().as_millis()).unwrap() / 100;
        let told = text.matches("notifications/progress").count();
        assert!(
            (PASSING + 5..=PASSING + tenths + 2).contains(&told),
            "{told} in {tenths} tenths of a second"
        );
        let mut at = 0;
        for step in 0..PASSING {
            let message = format!(r#""progress":{step}}}"#);
            at += text[at..].find(&message).unwrap_or_else(|| panic!("{step} is missing"));
        }
        assert!(text[at..].contains(&format!(r#""progress":{}}}"#, PASSING + 399)));
        assert!(!text.contains("retry:") && !text.contains("theirs"));
    }
}

#[tokio::test]
async fn workloads_05_a_backend_that_is_busy_is_left_alone_for_as_long_as_it_says() {
    for is_modern in [true, false] {
        let world = World::start(is_modern).await;
        let (message, _) = world.call("bad_busy").await;
        let data = &message["error"]["data"];
        assert_eq!(
            (&data["reason"], &data["retryAfterMs"]),
            (&"backend_busy".into(), &2000.into()),
            "{message}"
        );
        let (message, took) = world.call("bad_well").await;
        let left = message["error"]["data"]["retryAfterMs"].as_u64().unwrap();
        assert!((500..=2_000).contains(&left) && took < Duration::from_millis(200), "{took:?} {message}");
        assert_eq!(world.calls_of("well"), 0, "it is left alone");
        world.others_do_not_notice(AT_ONCE).await;
        tokio::time::sleep(Duration::from_millis(left)).await;
        let (well, _) = world.call("bad_well").await;
        assert!(well["result"].is_object(), "{well}");
    }
}
