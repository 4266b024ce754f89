//! What operators do: two at once, going back, and a store that is killed in the middle.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use vmcp_testkit::ControlPlane;

use super::{PROGRAMS, backend, data_plane, manifest, number};

#[tokio::test]
async fn two_planes_07_of_two_applies_with_the_same_expectation_one_wins_and_the_other_is_told() {
    let control_plane = ControlPlane::start(PROGRAMS).await;
    control_plane.apply(&manifest("all", "", &[]), &[]).await.good();
    for generation in 1..10_u64 {
        let expect = generation.to_string();
        let texts = ["one", "two"].map(|name| manifest(&format!("{name}-{generation}"), "", &[]));
        let options = ["--expect", expect.as_str()];
        let (one, two) =
            tokio::join!(control_plane.apply(&texts[0], &options), control_plane.apply(&texts[1], &options));
        let mut codes = [one.code, two.code];
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(1)], "{one:?} {two:?}");
        let told = if one.code == Some(1) { one.err } else { two.err };
        assert!(told.contains(&format!("the generation is {}, not {generation}", generation + 1)), "{told}");
    }
}

#[tokio::test]
async fn two_planes_07_a_rollback_restores_exactly_what_was_served() {
    let (one, two) = (backend("one", 5).await, backend("two", 5).await);
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let replica = data_plane(&control_plane, &[]).await;
    let served = async || {
        let client = replica.client();
        let mut pages = Vec::new();
        for list in ["tools/list", "resources/list", "prompts/list"] {
            pages.push(client.modern(list, "").await.text());
        }
        (pages, control_plane.ctl(&["get", "catalog", "all", "-o", "json"]).await.good().out)
    };
    let rules = "aggregation: {conflict_resolution: priority, conflict_resolution_config: {priority_order: [two, one]}, tools: [{workload: one, overrides: {one_0: {name: renamed}}, filter: [renamed, one_1]}]}\n";
    let first = manifest("all", rules, &[("one", one.url()), ("two", two.url())]);
    control_plane.apply(&first, &["--wait"]).await.good();
    let before = served().await;
    // The second one takes a backend away, which then cannot be asked again.
    control_plane.apply(&manifest("all", "", &[("two", two.url())]), &["--wait"]).await.good();
    assert_ne!(served().await, before);
    drop(one);
    let plan = control_plane.ctl(&["rollback", "1", "--dry-run"]).await.good();
    assert!(plan.out.contains("+ tool renamed"), "{}", plan.out);
    let said = control_plane.ctl(&["rollback", "1", "--wait"]).await.good();
    assert!(said.out.contains("generation 3"), "{}", said.out);
    assert_eq!(served().await, before);
    let history = control_plane.ctl(&["history", "-o", "json"]).await.json();
    let causes: Vec<&str> =
        history.as_array().unwrap().iter().filter_map(|entry| entry["cause"].as_str()).collect();
    assert_eq!(causes, ["rollback to 1", "apply", "apply"]);
    let none = control_plane.ctl(&["rollback", "99"]).await;
    assert_eq!((none.code, none.err.contains("no generation 99")), (Some(1), true), "{}", none.err);
}

#[tokio::test]
async fn two_planes_07_a_store_that_is_killed_mid_write_holds_every_acknowledged_apply() {
    let mut control_plane = ControlPlane::start(PROGRAMS).await;
    let (mut acknowledged, mut cut) = (0, 0);
    let mut moments = std::collections::hash_map::RandomState::new().build_hasher();
    // The kill comes within the time that applies take, which follows what else the machine does.
    let mut longest: u64 = 150_000;
    // Two hundred times, and on a slow machine as often as it takes to see enough of both.
    for round in 0..500_u64 {
        if round >= 200 && acknowledged >= 100 && cut >= 100 {
            break;
        }
        // Applies run into the kill, which comes at another moment each time.
        moments.write_u64(round);
        let delay = Duration::from_micros(10_000 + moments.finish() % longest);
        let folder = tempfile::tempdir().unwrap();
        let mut applies = Vec::new();
        for index in 0..3 {
            let file = folder.path().join(format!("{index}.yaml"));
            fs_err::write(&file, manifest(&format!("s{round}-{index}"), "", &[])).unwrap();
            applies.push(file.display().to_string());
        }
        let killing = async {
            tokio::time::sleep(delay).await;
            control_plane.process().signal(nix::sys::signal::Signal::SIGKILL);
        };
        let applying = async {
            let mut last = 0;
            for file in &applies {
                let said = control_plane.ctl(&["apply", "-f", file, "-o", "json"]).await;
                match said.code {
                    Some(0) => last = number(&said.json()["generation"]),
                    Some(3) => return (last, true),
                    code => panic!("{code:?}: {}", said.err),
                }
            }
            (last, false)
        };
        let ((), (last, was_cut)) = tokio::join!(killing, applying);
        longest = match (last, was_cut) {
            (0, true) => (longest + longest / 8).min(5_000_000),
            (_, true) => longest,
            (_, false) => longest - longest / 8,
        };
        acknowledged = acknowledged.max(last);
        cut += u64::from(was_cut);
        control_plane.kill();
        control_plane.start_again().await;
        let found = number(
            &control_plane.page("/status").request(reqwest::Method::GET, &[]).await.json()["generation"],
        );
        assert!(found >= acknowledged, "round {round}: generation {found} after {acknowledged}");
        acknowledged = found;
    }
    println!("{acknowledged} applies were acknowledged, {cut} met the kill");
    assert!(acknowledged >= 100 && cut >= 100, "{acknowledged} were acknowledged, {cut} met the kill");
    let names = control_plane.ctl(&["get", "groups", "-o", "json"]).await.json();
    assert_eq!(names.as_array().map(Vec::len), Some(usize::try_from(acknowledged).unwrap()));
}
