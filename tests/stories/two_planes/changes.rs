//! What an apply comes to, how soon, and at which price.

use std::time::Duration;

use vmcp_testkit::{ControlPlane, eventually};

use super::{PROGRAMS, backend, data_plane, manifest, number};

#[tokio::test]
async fn two_planes_02_a_change_of_one_backend_is_soon_everywhere_and_small() {
    let mut backends = Vec::new();
    for index in 0..200 {
        backends.push(backend(&format!("b{index}"), 20).await);
    }
    let names: Vec<String> = (0..200).map(|index| format!("b{index}")).collect();
    let workloads: Vec<(&str, String)> =
        names.iter().zip(&backends).map(|(name, backend)| (name.as_str(), backend.url())).collect();
    let mut control_plane = ControlPlane::start(PROGRAMS).await;
    let replicas = [
        data_plane(&control_plane, &[]).await,
        data_plane(&control_plane, &[]).await,
        data_plane(&control_plane, &[]).await,
    ];
    let first = control_plane.apply(&manifest("all", "", &workloads), &["--wait"]).await.good();
    assert!(first.err.contains("3 replicas serve it"), "{}", first.err);
    let mut slowest = 0;
    for (round, chosen) in ["b7", "b99", "b150"].iter().enumerate() {
        let rule = format!(
            "aggregation: {{tools: [{{workload: {chosen}, overrides: {{{chosen}_3: {{description: changed {round}}}}}}}]}}\n"
        );
        control_plane.apply(&manifest("all", &rule, &workloads), &["--wait"]).await.good();
        let status = control_plane.status().await;
        let generation = number(&status["generation"]);
        for replica in &replicas {
            let known = control_plane.replica(&replica.replica).await;
            assert_eq!((&known["generation"], &known["connected"]), (&status["generation"], &true.into()));
            let (after, bytes) = (number(&known["answered_after_ms"]), number(&known["revision_bytes"]));
            slowest = slowest.max(after);
            assert!(after <= 500, "generation {generation} was answered after {after} ms");
            assert!(bytes <= 32 * 1024, "generation {generation} cost {bytes} bytes");
            let is_listed = eventually(Duration::from_millis(10), async || {
                let mut list = replica.client().modern("tools/list", "").await.json();
                let mut text = list.to_string();
                while let Some(cursor) = list["result"]["nextCursor"].as_str() {
                    list = replica
                        .client()
                        .modern("tools/list", &format!(r#""cursor":"{cursor}""#))
                        .await
                        .json();
                    text += &list.to_string();
                }
                text.contains(&format!("changed {round}"))
            });
            assert!(is_listed.await, "what is acknowledged is served");
        }
    }
    println!("slowest answer after {slowest} ms");
    control_plane.stop().await;
}

#[tokio::test]
async fn two_planes_02_wait_returns_when_all_have_answered_and_says_who_has_not() {
    let one = backend("one", 2).await;
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let text = manifest("all", "", &[("one", one.url())]);
    let alone = control_plane.apply(&text, &["--wait"]).await.good();
    assert!(alone.err.contains("no replica follows yet"), "{}", alone.err);
    let replica = data_plane(&control_plane, &[]).await;
    replica.until_revision(1, Duration::from_secs(10)).await;
    // One that is stopped answers nothing.
    replica.process.signal(nix::sys::signal::Signal::SIGSTOP);
    let text = manifest("all", "aggregation: {conflict_resolution: manual}\n", &[("one", one.url())]);
    let late = control_plane.apply(&text, &["--wait", "--timeout", "2"]).await;
    assert_eq!(late.code, Some(1), "{}", late.err);
    assert!(late.err.contains("not done after 2 s") && late.err.contains(&replica.replica), "{}", late.err);
    replica.process.signal(nix::sys::signal::Signal::SIGCONT);
    let has_caught_up =
        eventually(Duration::from_secs(10), async || replica.tools().await == ["one_0", "one_1"]);
    assert!(has_caught_up.await, "{:?}", replica.tools().await);
}
