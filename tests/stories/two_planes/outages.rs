//! Nobody above, nobody behind: what is served goes on.

use std::time::{Duration, Instant};

use vmcp_testkit::{ControlPlane, DataPlane, eventually};

use super::{Load, PROGRAMS, backend, data_plane, manifest, number};

/// How long the control plane is away.
const OUTAGE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn two_planes_03_without_a_control_plane_calls_go_on_and_a_restart_serves_from_disk() {
    let one = backend("one", 20).await;
    let mut control_plane = ControlPlane::start(PROGRAMS).await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    let steady = data_plane(&control_plane, &[]).await;
    let other = data_plane(&control_plane, &[]).await;
    let restarted = data_plane(&control_plane, &["--state-dir", &state]).await;
    control_plane.apply(&manifest("all", "", &[("one", one.url())]), &["--wait"]).await.good();
    let before = steady.tools().await;
    assert_eq!(before.len(), 20);

    let load = Load::start(vec![steady.url.clone(), other.url.clone()], 200, "one_one_3", "one/one_3");
    control_plane.kill();
    let killed = Instant::now();

    // One restarts meanwhile.
    let listen = restarted.listen();
    let replica = restarted.replica.clone();
    restarted.process.kill();
    let started = Instant::now();
    let listen = [listen[0].as_str(), listen[1].as_str()];
    let restarted =
        DataPlane::at(PROGRAMS.data_plane, &control_plane.publish_url(), listen, &["--state-dir", &state])
            .await;
    assert_eq!(restarted.tools().await, before);
    let took = started.elapsed();
    assert!(took <= Duration::from_secs(2), "served from disk after {took:?}");
    assert_eq!(restarted.replica, replica, "its id is kept, too");
    let status = restarted.status().await;
    assert_eq!(status["from_disk"], true);
    assert!(number(&status["stale_since_ms"]) > 0, "{status}");
    let ready = restarted.page("/readyz").request(reqwest::Method::GET, &[]).await;
    assert_eq!(ready.status, 200, "ready from disk at once");

    // One begins that has nothing.
    let new =
        DataPlane::at(PROGRAMS.data_plane, &control_plane.publish_url(), ["127.0.0.1:0", "127.0.0.1:0"], &[])
            .await;
    let ready = new.page("/readyz").request(reqwest::Method::GET, &[]).await;
    assert_eq!(ready.status, 503, "{}", ready.text());
    let list = new.client().modern("tools/list", "").await;
    assert_eq!(list.status, 503, "never an empty catalog: {}", list.text());

    tokio::time::sleep(OUTAGE.saturating_sub(killed.elapsed())).await;
    assert!(number(&steady.status().await["stale_ms"]) >= 50_000, "it says how stale it is");
    control_plane.start_again().await;
    for plane in [&steady, &other, &restarted, &new] {
        control_plane.until_current(&plane.replica, Duration::from_secs(15)).await;
    }
    assert_eq!(new.tools().await, before);
    for plane in [&steady, &other, &restarted] {
        let known = control_plane.replica(&plane.replica).await;
        let bytes = number(&known["bytes"]);
        assert!(bytes <= 4 * 1024, "a current replica was sent {bytes} bytes: {known}");
        assert!(number(&known["was_stale_ms"]) > 0, "{known}");
    }
    let (made, failures) = load.stop().await;
    assert!(made > 200 * 55, "only {made} calls");
    assert_eq!(failures, Vec::<String>::new());
}

#[tokio::test]
async fn two_planes_04_a_control_plane_that_restarts_with_no_backend_in_reach_loses_nothing() {
    let (one, two) = (backend("one", 3).await, backend("two", 3).await);
    let mut control_plane = ControlPlane::start(PROGRAMS).await;
    let replica = data_plane(&control_plane, &[]).await;
    let text = manifest("all", "", &[("one", one.url()), ("two", two.url())]);
    control_plane.apply(&text, &["--wait"]).await.good();
    let before =
        (replica.tools().await, control_plane.ctl(&["get", "catalog", "all", "-o", "json"]).await.json());
    assert_eq!(before.0.len(), 6);
    control_plane.kill();
    drop((one, two));
    control_plane.start_again().await;
    let new = data_plane(&control_plane, &[]).await;
    new.until_revision(1, Duration::from_secs(10)).await;
    let are_asked = eventually(Duration::from_secs(30), async || {
        let status = control_plane.status().await;
        let backends = status["backends"].as_array().cloned().unwrap_or_default();
        backends.len() == 2 && backends.iter().all(|backend| backend["last_error"].is_string())
    });
    assert!(are_asked.await, "{}", control_plane.process().log());
    let status = control_plane.status().await;
    for backend in status["backends"].as_array().unwrap() {
        assert_eq!((&backend["stale"], &backend["health"]), (&true.into(), &"degraded".into()), "{status}");
        assert_eq!(number(&backend["counts"]["tools"]), 3);
    }
    let table = control_plane.ctl(&["status"]).await.good().out;
    assert!(table.contains("stale"), "{table}");
    replica.until_revision(number(&status["revision"]), Duration::from_secs(15)).await;
    let after = control_plane.ctl(&["get", "catalog", "all", "-o", "json"]).await.json();
    assert_eq!((&replica.tools().await, &after), (&before.0, &before.1));
    assert_eq!(new.tools().await, before.0, "one that begins now has everything, too");
}
