//! Handles are not credentials: what somebody has been handed is good for that caller alone, where it was handed out.

use std::time::Duration;

use serde_json::json;
use vmcp_testkit::{
    Answer, Client, ControlPlane, Issuer, RawBackend, Recorded, eventually, mcp_reply, modern,
};

use super::{begin, guarded, serve};
use crate::two_planes::{PROGRAMS, data_plane};

/// More tools than fit on a page, one that asks for more, and one that goes on as a task.
async fn handing_out() -> RawBackend {
    RawBackend::start(|recorded: &Recorded| {
        let many: Vec<String> = (0..1_100)
            .map(|number| format!(r#"{{"name":"t{number}","inputSchema":{{"type":"object"}}}}"#))
            .chain(["ask", "work"].map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#)))
            .collect();
        match recorded.mcp_method().as_deref() {
            Some("server/discover") => {
                return recorded.result(
                    r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#,
                );
            }
            Some("tools/call") => {}
            Some("tasks/get") => {
                return recorded.result(r#"{"taskId":"theirs","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttlMs":60000,"resultType":"complete"}"#);
            }
            _ => {
                if let Some(reply) = mcp_reply(recorded, true, &many.join(",")) {
                    return reply;
                }
            }
        }
        let params = recorded.json()["params"].clone();
        match (params["name"].as_str(), params.get("requestState")) {
            (Some("ask"), None) => recorded.result(
                r#"{"resultType":"input_required","requestState":"theirs","inputRequests":{"a":{"method":"roots/list"}}}"#,
            ),
            (Some("work"), _) => recorded.result(
                r#"{"resultType":"task","taskId":"theirs","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttlMs":60000}"#,
            ),
            _ => recorded.result(r#"{"content":[],"resultType":"complete"}"#),
        }
    })
    .await
}

/// The same request in a caller's name at a path.
#[derive(Clone, Copy)]
struct Caller<'a> {
    /// `http://127.0.0.1:1`
    origin: &'a str,
    path: &'a str,
    token: Option<&'a str>,
}

impl Caller<'_> {
    fn client(&self) -> Client {
        Client::new(format!("{}{}", self.origin, self.path))
    }

    /// Begins a legacy session.
    async fn begin(&self) -> String {
        begin(&self.client(), self.token.unwrap_or_default(), "{}").await
    }

    async fn ask(&self, method: &str, members: &str) -> Answer {
        let bearer = self.token.map(|token| format!("Bearer {token}"));
        let (headers, body) = modern(method, members);
        // Whoever asks about tasks knows of them.
        let body = body.replace(
            r#"clientCapabilities":{}"#,
            r#"clientCapabilities":{"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#,
        );
        let mut all: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        self.client().post(&all, body).await
    }

    /// A legacy request in a session, with any method of HTTP.
    async fn legacy(&self, http: reqwest::Method, session: &str) -> Answer {
        let bearer = self.token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![
            ("mcp-session-id", session),
            ("mcp-protocol-version", "2025-11-25"),
            ("accept", "application/json, text/event-stream"),
        ];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        match http {
            reqwest::Method::POST => {
                self.client()
                    .post(
                        &headers,
                        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a_t1"}}"#,
                    )
                    .await
            }
            http => self.client().request(http, &headers).await,
        }
    }
}

/// What a caller has been handed, besides a session.
struct Handed {
    cursor: String,
    state: String,
    task: String,
}

/// The methods that take a handle.
const TAKING: [&str; 5] = ["tools/list", "tools/call", "tasks/get", "tasks/update", "tasks/cancel"];
/// Looks like a handle, and is none.
const UNKNOWN: &str = "bm9ib2R5cw";

impl Handed {
    async fn to(caller: Caller<'_>) -> Self {
        let text = |answer: Answer, member: &str| {
            answer.json()["result"][member].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
        };
        Self {
            cursor: text(caller.ask("tools/list", "").await, "nextCursor"),
            state: text(caller.ask("tools/call", r#""name":"a_ask""#).await, "requestState"),
            task: text(caller.ask("tools/call", r#""name":"a_work""#).await, "taskId"),
        }
    }

    fn of(&self, method: &str) -> &str {
        match method {
            "tools/list" => &self.cursor,
            "tools/call" => &self.state,
            _ => &self.task,
        }
    }

    async fn is_good_for(&self, caller: Caller<'_>) {
        for method in ["tools/list", "tools/call", "tasks/get"] {
            let answer = caller.ask(method, &showing(method, self.of(method))).await;
            assert!(answer.json()["result"].is_object(), "{method}: {}", answer.text());
            if method == "tools/list" {
                assert_eq!(answer.json()["result"]["cacheScope"], "private", "each page");
            }
            if method == "tasks/get" {
                assert_eq!(
                    answer.json()["result"]["taskId"],
                    self.task,
                    "by the id that it was handed out by"
                );
            }
        }
    }

    /// Whatever is done with it is answered as what is unknown is.
    async fn is_nothing_for(&self, caller: Caller<'_>) {
        for method in TAKING {
            let theirs = caller.ask(method, &showing(method, self.of(method))).await;
            let unknown = caller.ask(method, &showing(method, UNKNOWN)).await;
            assert!(theirs.json()["error"].is_object(), "{method}: {}", theirs.text());
            assert_eq!((theirs.status, theirs.text()), (unknown.status, unknown.text()), "{method}");
        }
    }
}

/// The members of a request that shows a handle.
fn showing(method: &str, handle: &str) -> String {
    match method {
        "tools/list" => format!(r#""cursor":"{handle}""#),
        "tools/call" => {
            format!(r#""name":"a_ask","requestState":"{handle}","inputResponses":{{"a":{{"roots":[]}}}}"#)
        }
        "tasks/update" => format!(r#""taskId":"{handle}","inputResponses":{{}}"#),
        _ => format!(r#""taskId":"{handle}""#),
    }
}

async fn session_is_nothing_for(caller: Caller<'_>, session: &str) {
    for http in [reqwest::Method::POST, reqwest::Method::GET, reqwest::Method::DELETE] {
        let theirs = caller.legacy(http.clone(), session).await;
        let unknown = caller.legacy(http.clone(), UNKNOWN).await;
        assert_eq!((theirs.status.as_u16(), theirs.body), (404, unknown.body), "{http}");
    }
}

/// T9.
#[tokio::test]
async fn handles_are_not_credentials() {
    let backend = handing_out().await;
    let (one, two) = (Issuer::start().await, Issuer::start().await);
    let incoming = format!(
        "incoming_auth: {{type: oidc, oidc: [{{issuer: '{}', audience: vmcp}}, {{issuer: '{}', audience: vmcp}}]}}",
        one.url(),
        two.url()
    );
    let manifest = format!(
        "name: g1\ngroup: g\ndefault: true\n{incoming}\n---\nname: g2\ngroup: g\n{incoming}\n---\nkind: group\nname: g\nworkloads: [{{name: a, url: '{}'}}]\n",
        backend.url()
    );
    let served = serve(&manifest, &["a"]).await;
    let origin = served.url().split('/').take(3).collect::<Vec<_>>().join("/");
    let alice = one.token("alice", "vmcp", &json!({}));
    let bob = one.token("bob", "vmcp", &json!({}));
    let namesake = two.token("alice", "vmcp", &json!({}));
    let owner = Caller { origin: &origin, path: "/g1/mcp", token: Some(&alice) };

    let session = owner.begin().await;
    let handed = Handed::to(owner).await;
    handed.is_good_for(owner).await;
    assert!(owner.legacy(reqwest::Method::POST, &session).await.json()["result"].is_object());
    let asked = || {
        let methods = ["tools/call", "tasks/get", "tasks/cancel"];
        methods.map(|method| backend.calls(method).len())
    };
    let before = asked();

    for stranger in [
        Caller { token: Some(&bob), ..owner },
        Caller { token: Some(&namesake), ..owner },
        Caller { path: "/g2/mcp", ..owner },
    ] {
        handed.is_nothing_for(stranger).await;
        session_is_nothing_for(stranger, &session).await;
    }
    // Without a token nobody is asked for any.
    let nobody = Caller { token: None, ..owner };
    assert_eq!(nobody.ask("tasks/get", &showing("tasks/get", &handed.task)).await.status.as_u16(), 401);
    assert_eq!(nobody.legacy(reqwest::Method::DELETE, &session).await.status.as_u16(), 401);
    // Of each byte any other is nobody's, and so is one kind in the place of another.
    for method in ["tools/list", "tools/call", "tasks/get"] {
        let handle = handed.of(method);
        for (at, altered) in altered(handle) {
            let answer = owner.ask(method, &showing(method, &altered)).await;
            assert!(answer.json()["error"].is_object(), "{method} at {at}: {}", answer.text());
        }
        let all = [&handed.cursor, &handed.state, &handed.task, &session];
        for other in all.into_iter().filter(|other| *other != handle) {
            assert!(owner.ask(method, &showing(method, other)).await.json()["error"].is_object(), "{method}");
        }
    }
    for (at, altered) in altered(&session) {
        let answer = owner.legacy(reqwest::Method::POST, &altered).await;
        assert_eq!(answer.status.as_u16(), 404, "a session at {at}: {}", answer.text());
    }
    assert_eq!(asked(), before, "no handle of somebody else's reaches a backend");
    // All of hers are good still, and another token of hers is she.
    let newer = one.token("alice", "vmcp", &json!({"jti": "2"}));
    let again = Caller { token: Some(&newer), ..owner };
    handed.is_good_for(again).await;
    assert!(again.legacy(reqwest::Method::POST, &session).await.json()["result"].is_object());
    assert!(again.legacy(reqwest::Method::DELETE, &session).await.status.is_success());
    session_is_nothing_for(owner, &session).await;
}

/// T9: the address to which a client over SSE posts is a handle, too.
#[tokio::test]
async fn handles_are_not_credentials_over_sse() {
    let backend = handing_out().await;
    let issuer = Issuer::start().await;
    let served = serve(
        &guarded(&issuer, &["permit(principal, action, resource);"], "", &[("a", backend.url())]),
        &["a"],
    )
    .await;
    let [alice, bob] =
        ["alice", "bob"].map(|name| format!("Bearer {}", issuer.token(name, "vmcp", &json!({}))));
    let base = served.url().trim_end_matches("/mcp").to_owned();
    let origin = base.split('/').take(3).collect::<Vec<_>>().join("/");
    let headers = [("accept", "text/event-stream"), ("authorization", alice.as_str())];
    let mut events = Client::new(format!("{base}/sse")).listen(&headers, None).await;
    let endpoint = events.next().await.expect("where messages go");
    let (path, session) = endpoint.split_once("session=").unwrap();
    let post = async |bearer: &str, session: &str| {
        let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a_t1"}}"#;
        Client::new(format!("{origin}{path}session={session}")).post(&[("authorization", bearer)], body).await
    };
    let calls = || backend.calls("tools/call").len();
    for (bearer, session) in
        [(&bob, session.to_owned())].into_iter().chain(altered(session).map(|(_, altered)| (&alice, altered)))
    {
        let theirs = post(bearer, &session).await;
        let unknown = post(bearer, UNKNOWN).await;
        assert_eq!((theirs.status.as_u16(), theirs.text()), (404, unknown.text()));
    }
    assert_eq!(calls(), 0);
    assert_eq!(post(&alice, session).await.status.as_u16(), 202);
    let answer = events.next().await.unwrap();
    assert!(answer.contains(r#""id":7"#), "she alone is answered, and goes on: {answer}");
}

/// T9: keys come and go while everything goes on.
#[tokio::test]
async fn handles_are_not_credentials_when_keys_change() {
    let backend = handing_out().await;
    let issuer = Issuer::start().await;
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let manifest = guarded(
        &issuer,
        &["permit(principal, action, resource);"],
        "default: true\n",
        &[("a", backend.url())],
    );
    control_plane.apply(&manifest, &["--wait"]).await.good();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session.key");
    let [old, new] = ["old", "new"].map(|name| format!("{name} key that is long enough to be one\n"));
    fs_err::write(&file, &old).unwrap();
    let replica = data_plane(&control_plane, &["--session-key-file", file.to_str().unwrap()]).await;
    let alice = issuer.token("alice", "vmcp", &json!({}));
    let origin = replica.url.trim_end_matches("/mcp").to_owned();
    let owner = Caller { origin: &origin, path: "/mcp", token: Some(&alice) };
    let is_up = async || owner.ask("tools/list", "").await.json()["result"]["nextCursor"].is_string();
    assert!(eventually(Duration::from_secs(10), is_up).await);
    let read = async |keys: String, times: usize, said: &str| {
        fs_err::write(&file, keys).unwrap();
        let is_read = async || replica.process.log().matches(said).count() >= times;
        assert!(eventually(Duration::from_secs(10), is_read).await, "{}", replica.process.log());
    };

    let (first, session) = (Handed::to(owner).await, owner.begin().await);
    // In overlap: what the old key sealed is good, and what is handed out is sealed by the new one.
    read(format!("{new}{old}"), 1, "session keys were read again").await;
    let (second, later) = (Handed::to(owner).await, owner.begin().await);
    for handed in [&first, &second] {
        handed.is_good_for(owner).await;
    }
    for session in [&session, &later] {
        assert!(owner.legacy(reqwest::Method::POST, session).await.json()["result"].is_object());
    }
    // Out of overlap.
    read(new, 2, "session keys were read again").await;
    first.is_nothing_for(owner).await;
    session_is_nothing_for(owner, &session).await;
    second.is_good_for(owner).await;
    // A file that cannot be used changes nothing.
    read("short\n".to_owned(), 1, "session keys cannot be read again").await;
    second.is_good_for(owner).await;
    assert!(owner.legacy(reqwest::Method::POST, &later).await.json()["result"].is_object());
}

/// A handle with each of its characters in turn another one.
fn altered(handle: &str) -> impl Iterator<Item = (usize, String)> {
    handle.char_indices().map(|(at, character)| {
        let other = if character == 'A' { "B" } else { "A" };
        (at, format!("{}{other}{}", &handle[..at], &handle[at + 1..]))
    })
}
