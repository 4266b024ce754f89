//! Who has a session with a legacy backend: `sessions: auto | sticky | shared`.

use std::time::Duration;

use vmcp_testkit::{Client, ControlPlane, DataPlane, Recorded, eventually};

use crate::serve;
use crate::sessions::{begin, call, counted, counting};
use crate::two_planes::{PROGRAMS, data_plane};

fn at(url: &str, mode: &str) -> String {
    format!("{{name: raw, url: '{url}', sessions: {mode}}}")
}

#[tokio::test]
async fn eras_05_a_counter_goes_on_for_a_thousand_calls_and_no_two_clients_share_it() {
    for mode in ["auto", "sticky"] {
        let backend = counting().await;
        let served = serve(&[at(&backend.url(), mode)]).await;
        served.until_healthy("raw", Duration::from_secs(10)).await;
        let client = served.client();
        let before = backend.calls("initialize").len();
        let (one, other) = (begin(&client).await, begin(&client).await);
        let opened = backend.calls("initialize").len() - before;
        assert_eq!(opened, if mode == "sticky" { 2 } else { 0 }, "{mode}");
        let first = counted(&call(&client, &one, "raw_count").await).1;
        for expected in 2..=1_000 {
            assert_eq!(counted(&call(&client, &one, "raw_count").await), (expected, first.clone()), "{mode}");
            if expected % 100 == 0 {
                let (count, session) = counted(&call(&client, &other, "raw_count").await);
                assert_eq!(count, expected / 100, "{mode}");
                assert_ne!(session, first, "{mode}");
            }
        }
        assert_eq!(backend.calls("initialize").len() - before, 2, "{mode}");

        let calls = backend.calls("tools/call").len();
        assert_eq!(counted(&call(&client, &one, "raw_forget").await).0, 1_001, "{mode}");
        let (count, second) = counted(&call(&client, &one, "raw_count").await);
        assert_eq!(count, 1, "{mode}: in a new session");
        assert_ne!(second, first, "{mode}");
        assert_eq!(backend.calls("tools/call").len() - calls, 3, "{mode}: refused once, executed once");
        assert_eq!(counted(&call(&client, &one, "raw_count").await), (2, second), "{mode}");
    }
}

#[tokio::test]
async fn a_sticky_session_outlives_the_replica_that_opened_it_until_its_client_ends_it() {
    let backend = counting().await;
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("session.key");
    fs_err::write(&key, "c2Vzc2lvbiBrZXkgdGhhdCBhbGwgcmVwbGljYXMgc2hhcmU=").unwrap();
    let key = ["--session-key-file", key.to_str().unwrap()];
    let manifest = format!(
        "name: all\ngroup: g\ndefault: true\nincoming_auth: {{type: anonymous}}\n---\nkind: group\nname: g\nworkloads:\n  - {}\n",
        at(&backend.url(), "sticky")
    );
    control_plane.apply(&manifest, &["--wait"]).await.good();
    let first = data_plane(&control_plane, &key).await;
    ready(&first).await;
    let client = first.client();
    let session = begin(&client).await;
    assert_eq!(counted(&call(&client, &session, "raw_count").await).0, 1);
    assert_eq!(counted(&call(&client, &session, "raw_count").await).0, 2);
    first.process.stop().await;

    let second = data_plane(&control_plane, &key).await;
    ready(&second).await;
    let client = second.client();
    let (count, held) = counted(&call(&client, &session, "raw_count").await);
    assert_eq!(count, 3, "the session goes on where no replica has seen it");

    // Another replica still, which has not been asked yet, ends it.
    let third = data_plane(&control_plane, &key).await;
    ready(&third).await;
    let ended = third.client().request(reqwest::Method::DELETE, &[("mcp-session-id", &session)]).await;
    assert_eq!(ended.status.as_u16(), 204);
    let is_ended = eventually(Duration::from_secs(5), async || {
        let deleted =
            |r: &Recorded| r.method == http::Method::DELETE && r.header("mcp-session-id") == Some(&held);
        backend.recorded().iter().any(deleted)
    });
    assert!(is_ended.await, "the backend's session is ended with the client's");
}

#[tokio::test]
async fn a_shared_session_is_one_for_all_who_may_be_asked_the_same() {
    let backend = counting().await;
    let served = serve(&[at(&backend.url(), "shared")]).await;
    served.until_healthy("raw", Duration::from_secs(10)).await;
    let client = served.client();
    let (one, other) = (begin(&client).await, begin(&client).await);
    let (count, shared) = counted(&call(&client, &one, "raw_count").await);
    assert_eq!(count, 1);
    assert_eq!(counted(&call(&client, &other, "raw_count").await), (2, shared.clone()));
    // One that keeps no session, and one of the other era, share it too.
    let modern = client.modern("tools/call", r#""name":"raw_count""#).await;
    assert_eq!(counted(&modern), (3, shared.clone()));

    let asked = able_to_sample(&client).await;
    let (count, theirs) = counted(&call(&client, &asked, "raw_count").await);
    assert_eq!(count, 1, "who may be asked more has another one");
    assert_ne!(theirs, shared);

    client.request(reqwest::Method::DELETE, &[("mcp-session-id", &one)]).await;
    assert_eq!(
        counted(&call(&client, &other, "raw_count").await),
        (4, shared),
        "who leaves ends it for nobody"
    );
    let level = r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"raw://one"}}"#;
    assert_ne!(client.post(&[("mcp-session-id", &other)], level).await.code(), None);
}

async fn ready(replica: &DataPlane) {
    let lists = eventually(Duration::from_secs(10), async || !replica.tools().await.is_empty());
    assert!(lists.await, "nothing is served");
}

async fn able_to_sample(client: &Client) -> String {
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"sampling":{}},"clientInfo":{"name":"t","version":"1"}}}"#;
    client.post(&[], body).await.header("mcp-session-id").unwrap()
}
