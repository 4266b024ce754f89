//! A replica of another version that cannot use something.

use std::time::{Duration, Instant};

use vmcp_testkit::{ControlPlane, DataPlane, eventually};

use super::{PROGRAMS, SKEWED, backend, data_plane, manifest};

#[tokio::test]
async fn two_planes_06_what_a_replica_rejects_holds_one_virtual_server_whole_and_is_said() {
    let (one, two) = (backend("one", 2).await, backend("two", 2).await);
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().display().to_string();
    let good = data_plane(&control_plane, &[]).await;
    let skewed = DataPlane::start(SKEWED, &control_plane, &["--state-dir", &state]).await;
    let text = |word: &str| {
        let rules = |tool: &str| {
            format!(
                "aggregation: {{conflict_resolution: manual, tools: [{{workload: {tool}, overrides: {{{tool}_0: {{name: {tool}_{word}}}, {tool}_1: {{description: {word}}}}}}}]}}\n"
            )
        };
        let plain = rules("two").replace("from-the-future", "present");
        format!(
            "{}---\n{}",
            manifest("first", &rules("one"), &[("one", one.url())]),
            manifest("second", &plain, &[("two", two.url())])
        )
    };
    control_plane.apply(&text("past"), &["--wait"]).await.good();
    let first = vmcp_testkit::Client::new(skewed.url.replace("/mcp", "/first/mcp"));
    let before = first.modern("tools/list", "").await.text();
    assert!(before.contains("one_past"), "{before}");

    let applied = Instant::now();
    let said = control_plane.apply(&text("from-the-future"), &["--wait"]).await;
    assert_eq!(said.code, Some(1), "{}\n{}", said.out, said.err);
    for part in [
        &skewed.replica,
        "catalog/first/of-first/one",
        "does not know what it says",
        "held there at revision 1",
    ] {
        assert!(said.err.contains(part), "lacks `{part}`: {}", said.err);
    }
    let known = control_plane.replica(&skewed.replica).await;
    assert!(applied.elapsed() < Duration::from_secs(2), "the status shows it soon: {:?}", applied.elapsed());
    assert_eq!(known["rejected"][0]["part"], "catalog/first/of-first/one", "{known}");
    assert_eq!(known["held_back"][0]["virtual_server"], "first", "{known}");

    // `first` is whole as it was; `second` has gone on, and so has everybody else.
    assert_eq!(first.modern("tools/list", "").await.text(), before);
    assert!(super::call(&first, "one_past", true).await.text().contains("one/one_0"));
    let second = vmcp_testkit::Client::new(skewed.url.replace("/mcp", "/second/mcp"));
    let list = second.modern("tools/list", "").await.text();
    assert!(list.contains("two_present"), "{list}");
    let whole = vmcp_testkit::Client::new(good.url.replace("/mcp", "/first/mcp"));
    assert!(whole.modern("tools/list", "").await.text().contains("one_from-the-future"));

    let metrics = skewed.page("/metrics").request(reqwest::Method::GET, &[]).await.text();
    for line in ["vmcp_revision 2", "vmcp_connected 1", "vmcp_parts_rejected 1"] {
        assert!(metrics.contains(line), "lacks `{line}`: {metrics}");
    }

    // It is held after a restart, too, and let go when it can be used.
    let listen = skewed.listen();
    assert_eq!(skewed.process.stop().await, Some(0));
    let listen = [listen[0].as_str(), listen[1].as_str()];
    let skewed = DataPlane::at(SKEWED, &control_plane.publish_url(), listen, &["--state-dir", &state]).await;
    assert_eq!(first.modern("tools/list", "").await.text(), before);
    control_plane.apply(&text("end"), &["--wait"]).await.good();
    let is_free = eventually(Duration::from_secs(5), async || {
        first.modern("tools/list", "").await.text().contains("one_end")
    });
    assert!(is_free.await, "{}", skewed.process.log());
    let known = control_plane.replica(&skewed.replica).await;
    assert_eq!(known["rejected"].as_array().map(Vec::len), Some(0), "{known}");
}
