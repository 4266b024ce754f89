//! A client that sends exactly what it is told, right or wrong.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::schema;

/// Headers besides the content type.
pub type Headers<'a> = &'a [(&'a str, &'a str)];

/// What a legacy request without a session carries.
pub const LEGACY: Headers<'static> = &[("mcp-protocol-version", "2025-11-25")];

/// Sends to one address.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP's.
    pub status: StatusCode,
    /// All of them.
    pub headers: HeaderMap,
    /// Byte for byte.
    pub body: Bytes,
}

/// A stream of events as it comes.
#[derive(Debug)]
pub struct Events {
    response: reqwest::Response,
    text: String,
    asked: Asked,
}

/// What was sent, to hold to it what comes back.
#[derive(Debug)]
struct Asked {
    message: Value,
    is_modern: bool,
}

impl Asked {
    fn read(body: &[u8]) -> Self {
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_modern = !message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_null();
        Self { message, is_modern }
    }

    /// What is no message is somebody else's business.
    fn check(&self, body: &[u8]) {
        if let Ok(message) = serde_json::from_slice::<Value>(body) {
            schema::check(&self.message, self.is_modern, &message);
        }
    }
}

impl Client {
    /// A client of the MCP endpoint at `url`.
    ///
    /// # Panics
    /// No client can be made.
    pub fn new(url: impl Into<String>) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build();
        Self { http: http.expect("a client"), url: url.into() }
    }

    /// Posts a body.
    ///
    /// # Panics
    /// Nobody answers.
    pub async fn post(&self, headers: Headers<'_>, body: impl Into<Vec<u8>>) -> Answer {
        let body = body.into();
        let asked = Asked::read(&body);
        let response = self.send(reqwest::Method::POST, headers, body).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Answer { status, headers, body: response.bytes().await.expect("a whole body") };
        asked.check(&answer.body);
        answer
    }

    /// Sends another method.
    ///
    /// # Panics
    /// Nobody answers.
    pub async fn request(&self, method: reqwest::Method, headers: Headers<'_>) -> Answer {
        let response = self.send(method, headers, Vec::new()).await;
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.expect("a whole body") }
    }

    /// Opens a stream with POST, or with GET if there is no body.
    ///
    /// # Panics
    /// Nobody answers, or not with a stream.
    pub async fn listen(&self, headers: Headers<'_>, body: Option<String>) -> Events {
        let asked = Asked::read(body.as_deref().unwrap_or_default().as_bytes());
        let method = if body.is_some() { reqwest::Method::POST } else { reqwest::Method::GET };
        let response = self.send(method, headers, body.unwrap_or_default().into_bytes()).await;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        assert_eq!(content_type, Some("text/event-stream"), "{}", response.status());
        Events { response, text: String::new(), asked }
    }

    async fn send(&self, method: reqwest::Method, headers: Headers<'_>, body: Vec<u8>) -> reqwest::Response {
        let mut request = self.http.request(method, &self.url);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        if !headers.iter().any(|(name, _)| *name == "accept") {
            request = request.header("accept", "application/json, text/event-stream");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).send().await.expect("an answer")
    }

    /// Posts a modern request with the headers that belong to it.
    pub async fn modern(&self, method: &str, members: &str) -> Answer {
        let (headers, body) = modern(method, members);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.post(&headers, body).await
    }
}

/// A modern request: its headers and its body. `members` are those of `params` besides `_meta`.
///
/// # Panics
/// `members` is not JSON.
pub fn modern(method: &str, members: &str) -> (Vec<(&'static str, String)>, String) {
    let comma = if members.is_empty() { "" } else { "," };
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}{comma}{members}}}}}"#
    );
    let mut headers =
        vec![("mcp-protocol-version", "2026-07-28".to_owned()), ("mcp-method", method.to_owned())];
    let params: Value = serde_json::from_str(&format!("{{{members}}}")).expect("members are JSON");
    if matches!(method, "tools/call" | "prompts/get" | "resources/read") {
        let name = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str);
        headers.extend(name.map(|name| ("mcp-name", name.to_owned())));
    }
    if method.starts_with("tasks/") {
        let id = params.get("taskId").and_then(Value::as_str);
        headers.extend(id.map(|id| ("mcp-name", id.to_owned())));
    }
    (headers, body)
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `error.code`, if it is an error.
    pub fn code(&self) -> Option<i64> {
        self.json().get("error")?.get("code")?.as_i64()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
    }
}

impl Events {
    /// The data of the next event; `None` at the end.
    ///
    /// # Panics
    /// The connection breaks, or 30 s pass.
    pub async fn next(&mut self) -> Option<String> {
        self.next_within(Duration::from_secs(30)).await
    }

    /// The same, for who waits longer.
    ///
    /// # Panics
    /// The connection breaks, or nothing comes.
    pub async fn next_within(&mut self, patience: Duration) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                if !data.is_empty() {
                    let data = data.join("\n");
                    self.asked.check(data.as_bytes());
                    return Some(data);
                }
                continue;
            }
            let chunk = tokio::time::timeout(patience, self.response.chunk()).await;
            let chunk = chunk.expect("an event in time").expect("a whole stream")?;
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}
