//! What is authorized is what is forwarded: nobody reads a request otherwise than who has decided about it.

use std::time::{Duration, Instant};

use serde_json::json;
use vmcp_testkit::{Client, Issuer, RawBackend};

use super::{begin, guarded, offering, serve};

/// How a client of an era says which one it is.
struct Era {
    /// Besides who it is.
    headers: Vec<(&'static str, String)>,
    /// The first members of `params`.
    meta: &'static str,
}

impl Era {
    fn modern() -> Self {
        let headers =
            [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "a_echo")];
        Self {
            headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
            meta: r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"#,
        }
    }

    async fn legacy(client: &Client, token: &str) -> Self {
        let session = begin(client, token, "{}").await;
        let version = ("mcp-protocol-version", "2025-11-25".to_owned());
        Self { headers: vec![version, ("mcp-session-id", session)], meta: "" }
    }

    fn call(&self, members: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{}{members}}}}}"#, self.meta)
    }

    /// `more` in place of one with its name.
    fn headers<'a>(&'a self, bearer: &'a str, more: Option<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
        let mut all = vec![("authorization", bearer)];
        all.extend(self.headers.iter().map(|(name, value)| (*name, value.as_str())));
        all.retain(|(name, _)| more.is_none_or(|more| more.0 != *name));
        all.extend(more);
        all
    }
}

/// T7.
#[tokio::test]
async fn parser_differential() {
    let a = offering(&["echo", "secret"], true).await;
    let issuer = Issuer::start().await;
    let policy = r#"permit(principal, action == Action::"call_tool", resource == Tool::"a_echo") unless { context has arg_path && context.arg_path like "/etc/*" };"#;
    let manifest = guarded(&issuer, &[policy], "", &[("a", a.url())]);
    let served = serve(&manifest, &["a"]).await;
    let client = served.client();
    let token = issuer.token("ada", "vmcp", &json!({}));
    let bearer = format!("Bearer {token}");
    for era in [Era::modern(), Era::legacy(&client, &token).await] {
        let before = a.calls("tools/call").len();
        refused(&client, &bearer, &era).await;
        assert_eq!(a.calls("tools/call").len(), before, "{:?}", a.calls("tools/call"));
        passed(&client, &bearer, &a, &era).await;
    }
}

/// Texts that somebody might read as a call of the secret, or with arguments that are forbidden.
#[expect(clippy::too_many_lines, reason = "a table")]
async fn refused(client: &Client, bearer: &str, era: &Era) {
    let (meta, call) = (era.meta, |members: &str| era.call(members));
    let deep = |depth: usize| {
        call(&format!(r#""name":"a_echo","arguments":{{"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)))
    };
    let mut bodies: Vec<Vec<u8>> = [
        call(r#""name":"a_echo","name":"a_secret""#),
        call(r#""name":"a_secret","name":"a_echo""#),
        call(r#""name":"a_echo","arguments":{},"arguments":{"path":"/etc/x"}"#),
        call(r#""name":"a_echo","arguments":{"path":"/tmp","path":"/etc/x"}"#),
        call(r#""name":"a_echo","arguments":{"path":"/etc/x","path":"/tmp"}"#),
        call(r#""name":"a_echo","arguments":{"path":"/etc/x"}"#),
        call(r#""name":"a_echo","arguments":{"p\u0061th":"/etc/x"}"#),
        call(r#""name":"a_echo","arguments":{"path":"\/etc\/x"}"#),
        call(r#""n\u0061me":"a_secret""#),
        call(r#""name\u0000":"a_echo","name":"a_secret""#),
        call(r#""Name":"a_echo","name":"a_secret""#),
        call(r#""NAME":"a_echo""#),
        call("\"\u{17f}name\":\"a_echo\",\"name\":\"a_secret\""),
        call("\"name\":\"a_\u{212a}echo\""),
        call(r#""name":"a_echo\u0000""#),
        call(r#""name":["a_echo"]"#),
        call(r#""name":{"a":"a_echo"}"#),
        call(r#""name":null"#),
        call(r#""name":"a_ech\ud800""#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{{{meta}"name":"a_echo"}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{{{meta}"name":"a_secret"}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{meta}"name":"a_echo"}},"params":{{{meta}"name":"a_secret"}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","Params":{{{meta}"name":"a_echo"}},"params":{{{meta}"name":"a_secret"}}}}"#),
        format!("\u{feff}{}", call(r#""name":"a_echo""#)),
        format!("[{}]", call(r#""name":"a_echo""#)),
        format!("{}\n{}", call(r#""name":"a_echo""#), call(r#""name":"a_secret""#)),
        format!("{} x", call(r#""name":"a_echo""#)),
        format!("/* */{}", call(r#""name":"a_echo""#)),
        call(r#""name":"a_echo","arguments":{"n":NaN}"#),
        call(r#""name":"a_echo","arguments":{"n":Infinity}"#),
        call(r#""name":"a_echo","arguments":{"n":1e}"#),
        call(r#""name":"a_echo","arguments":{"n":01}"#),
        call(r#""name":'a_echo'"#),
        call(r#""name":"a_echo",}"#),
        call(r#""name":"a_echo","arguments":[{"path":"/etc/x"}]"#),
        call(r#""name":"a_echo","arguments":"{\"path\":\"/etc/x\"}""#),
        deep(65),
        deep(10_000),
        deep(1_000_000),
    ]
    .map(String::into_bytes)
    .into();
    let mut broken = call(r#""name":"a_echo","arguments":{"x":"?"}"#).into_bytes();
    let at = broken.iter().position(|byte| *byte == b'?').unwrap();
    broken[at] = 0xff;
    bodies.push(broken);
    for body in &bodies {
        let began = Instant::now();
        let answer = client.post(&era.headers(bearer, None), body.clone()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        let is_no = answer.status.is_client_error()
            || (answer.status.as_u16() == 200 && answer.json()["error"].is_object());
        assert!(is_no, "{shown}: {} {}", answer.status, answer.text());
        assert!(began.elapsed() < Duration::from_secs(5), "{shown}");
    }
    // Kinds of content that are none, codings, and a header that names the allowed one while the body names the other.
    let good = call(r#""name":"a_echo""#);
    let bad = call(r#""name":"a_secret""#);
    for (more, body) in [
        (("content-type", "text/plain"), &good),
        (("content-type", "application/json;charset=utf-7"), &good),
        (("content-type", "application/x-www-form-urlencoded"), &good),
        (("content-encoding", "gzip"), &good),
        // A legacy client is refused what it asks for, whatever else it says.
        (("mcp-name", "a_echo"), &bad),
        (("mcp-name", "=?base64?YV9lY2hv?="), &bad),
    ] {
        let answer = client.post(&era.headers(bearer, Some(more)), body.clone().into_bytes()).await;
        let is_no =
            answer.status.is_client_error() || (era.meta.is_empty() && answer.json()["error"].is_object());
        assert!(is_no, "{more:?}: {} {}", answer.status, answer.text());
    }
}

/// What may be done arrives as it was written.
async fn passed(client: &Client, bearer: &str, a: &RawBackend, era: &Era) {
    for arguments in [
        r#"{"n":9223372036854775808,"m":1234567890123456789012345678901234567890,"e":1e300,"z":-0,"f":1.10}"#,
        r#"{"b":1,"a":2,"path":"/tmp/\u00e9","s":"\/"}"#,
        r#"{ "x" : [ 1 , 2 ] , "y":{"k":1,"k":2} }"#,
        r#"{"path":"/Etc/x"}"#,
    ] {
        let body = era.call(&format!(r#""name":"a_echo","arguments":{arguments}"#));
        let before = a.calls("tools/call").len();
        let answer = client.post(&era.headers(bearer, None), body).await;
        if arguments.contains("\"k\":1") {
            // Twice the same member deeper than policies read: it goes as it is, or not at all.
            if !answer.json()["result"].is_object() {
                assert_eq!(a.calls("tools/call").len(), before);
                continue;
            }
        }
        assert!(answer.json()["result"].is_object(), "{arguments}: {}", answer.text());
        let got = a.calls("tools/call").pop().unwrap();
        assert!(got.text().contains(arguments), "{arguments}: {}", got.text());
        assert!(got.text().contains(r#""name":"echo""#), "{}", got.text());
    }
}
