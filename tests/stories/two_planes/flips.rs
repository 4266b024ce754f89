//! A thousand revisions under load: every answer is explained by one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vmcp_testkit::{Client, ControlPlane, DataPlane};

use super::{PROGRAMS, backend, call, data_plane, manifest, number};

const FLIPS: u64 = 1_000;

/// `steady` is there always: now `left_0` of the backend `left`, now `right_0` of the backend `right`, described as such; and beside it
/// a tool comes and goes under another name.
fn side(name: &str, url: &str) -> String {
    let rules = format!(
        "aggregation: {{conflict_resolution: manual, tools: [{{workload: {name}, overrides: {{{name}_0: {{name: steady, description: of {name}}}}}}}]}}\n"
    );
    manifest("all", &rules, &[(name, url.to_owned())])
}

#[tokio::test]
async fn two_planes_05_no_answer_mixes_two_of_a_thousand_revisions() {
    let (left, right) = (backend("left", 2).await, backend("right", 2).await);
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let replicas = [data_plane(&control_plane, &[]).await, data_plane(&control_plane, &[]).await];
    let sides = [side("left", &left.url()), side("right", &right.url())];
    for text in [&sides[1], &sides[0]] {
        control_plane.apply(text, &["--wait"]).await.good();
    }
    let done = Arc::<AtomicBool>::default();
    let mut load = Vec::new();
    for replica in &replicas {
        for is_modern in [true, false] {
            load.push(tokio::spawn(callers(replica.client(), is_modern, done.clone())));
        }
        load.push(tokio::spawn(listers(replica.client(), done.clone())));
    }
    let begun = number(&control_plane.status().await["revision"]);
    flip(&control_plane, &sides, &replicas, begun + FLIPS).await;
    done.store(true, Ordering::Relaxed);
    let mut made = 0;
    for task in load {
        let (count, wrong) = task.await.unwrap();
        assert_eq!(wrong, Vec::<String>::new());
        made += count;
    }
    // Each was served, not only published: revisions that come too fast would be one.
    for replica in &replicas {
        let served = replica.process.log().matches("revision applied").count();
        assert!(served as u64 >= FLIPS, "only {served} revisions were served");
    }
    assert!(made > 5_000, "only {made} requests");
    println!("{made} requests while {FLIPS} revisions went by");
}

/// Applies one and the other until so many revisions have been published and served.
async fn flip(control_plane: &ControlPlane, sides: &[String; 2], replicas: &[DataPlane; 2], last: u64) {
    let folder = tempfile::tempdir().unwrap();
    let files = ["left.yaml", "right.yaml"].map(|name| folder.path().join(name).display().to_string());
    files.iter().zip(sides).for_each(|(file, text)| fs_err::write(file, text).unwrap());
    let mut revision = 0;
    for turn in 0.. {
        control_plane.ctl(&["apply", "-f", &files[(turn + 1) % 2]]).await.good();
        // The next apply comes only when this one is published, so that each is a revision.
        while {
            let now = number(
                &control_plane.page("/status").request(reqwest::Method::GET, &[]).await.json()["revision"],
            );
            let is_same = now == revision;
            revision = now;
            is_same
        } {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if revision >= last {
            break;
        }
    }
    for replica in replicas {
        replica.until_revision(revision, Duration::from_secs(10)).await;
    }
}

/// What was asked, and what no revision explains.
type Account = (u64, Vec<String>);

async fn callers(client: Client, is_modern: bool, done: Arc<AtomicBool>) -> Account {
    let (mut made, mut wrong) = (0, Vec::new());
    while !done.load(Ordering::Relaxed) {
        let text = call(&client, "steady", is_modern).await.text();
        made += 1;
        // A backend is asked for its own tool, or it would say the other one's name.
        if !(text.contains("left/left_0") || text.contains("right/right_0")) {
            wrong.push(text);
        }
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    (made, wrong)
}

async fn listers(client: Client, done: Arc<AtomicBool>) -> Account {
    let (mut made, mut wrong) = (0, Vec::new());
    while !done.load(Ordering::Relaxed) {
        let text = client.modern("tools/list", "").await.text();
        made += 1;
        let is_of = |side: &str, other: &str| {
            text.contains(&format!("of {side}"))
                && text.contains(&format!("{side}_1"))
                && !text.contains(other)
        };
        if !(is_of("left", "right") || is_of("right", "left")) {
            wrong.push(text);
        }
        tokio::time::sleep(Duration::from_millis(9)).await;
    }
    (made, wrong)
}
