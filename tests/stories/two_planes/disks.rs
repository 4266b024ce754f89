//! What a replica finds on its disk, and a disk that takes nothing.

use std::path::Path;
use std::time::Duration;

use vmcp_testkit::{ControlPlane, DataPlane};

use super::{PROGRAMS, backend, data_plane, manifest};

/// Starts a replica on a state directory with nobody to follow.
async fn alone(state: &Path) -> DataPlane {
    let state = state.display().to_string();
    let nobody = "http://127.0.0.1:1";
    DataPlane::at(PROGRAMS.data_plane, nobody, ["127.0.0.1:0", "127.0.0.1:0"], &["--state-dir", &state]).await
}

/// A copy of a state directory.
fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn two_planes_08_what_cannot_be_trusted_on_disk_is_rejected_with_a_reason() {
    let one = backend("one", 3).await;
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let folder = tempfile::tempdir().unwrap();
    let [state, older, foreign] = ["state", "older", "foreign"].map(|name| folder.path().join(name));
    let text = |word: &str| {
        manifest(
            "all",
            &format!(
                "aggregation: {{tools: [{{workload: one, overrides: {{one_0: {{description: {word}}}}}}}]}}\n"
            ),
            &[("one", one.url())],
        )
    };
    let replica = data_plane(&control_plane, &["--state-dir", &state.display().to_string()]).await;
    let stranger = data_plane(&control_plane, &["--state-dir", &foreign.display().to_string()]).await;
    control_plane.apply(&text("first"), &["--wait"]).await.good();
    copy(&state, &older);
    control_plane.apply(&text("second"), &["--wait"]).await.good();
    let before = replica.tools().await;
    replica.process.stop().await;
    stranger.process.stop().await;
    let good = alone(&state).await;
    assert_eq!(good.tools().await, before, "untouched, it is served");
    good.process.stop().await;

    let spill = fs_err::read(state.join("spill")).unwrap();
    for word in ["second", "one_0", "all"] {
        let is_clear = spill.windows(word.len()).any(|window| window == word.as_bytes());
        assert!(!is_clear, "`{word}` stands on the disk in the clear");
    }
    let mut damaged = spill.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let mut later = spill.clone();
    later[10] = 9;
    for (name, bytes, why) in [
        ("damaged", damaged, "damaged"),
        ("short", spill[..spill.len() - 7].to_vec(), "cut short"),
        ("shorter", spill[..20].to_vec(), "cut short"),
        ("empty", Vec::new(), "not written by vmcp"),
        ("text", b"name: all\n".repeat(20), "not written by vmcp"),
        ("format", later, "format 9"),
        ("foreign", fs_err::read(foreign.join("spill")).unwrap(), "another key"),
        ("older", fs_err::read(older.join("spill")).unwrap(), "older"),
    ] {
        let copied = folder.path().join(format!("copy-{name}"));
        copy(&state, &copied);
        fs_err::write(copied.join("spill"), &bytes).unwrap();
        let replica = alone(&copied).await;
        let status = replica.status().await;
        let fault = status["kept_fault"].as_str().unwrap_or_default();
        assert!(fault.contains(why), "{name}: {status}");
        assert!(replica.process.log().contains("is not used"), "{name}: it is logged");
        let ready = replica.page("/readyz").request(reqwest::Method::GET, &[]).await;
        assert_eq!(ready.status, 503, "{name}");
        assert_eq!(replica.client().modern("tools/list", "").await.status, 503, "{name}");
    }
}

#[tokio::test]
async fn two_planes_08_a_folder_that_is_in_use_or_has_lost_its_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let first = alone(&state).await;
    let arguments = [
        "--control-plane",
        "http://127.0.0.1:1",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--state-dir",
    ];
    let start = |folder: &Path| {
        let folder = folder.display().to_string();
        let arguments: Vec<String> =
            arguments.iter().map(|text| (*text).to_owned()).chain([folder]).collect();
        vmcp_testkit::Process::spawn(Path::new(PROGRAMS.data_plane), &arguments)
    };
    let mut second = start(&state);
    assert_eq!(second.ended(Duration::from_secs(10)).await, Some(1));
    assert!(second.log().contains("another process uses"), "{}", second.log());
    drop(first);
    fs_err::write(state.join("key"), b"short").unwrap();
    let mut second = start(&state);
    assert_eq!(second.ended(Duration::from_secs(10)).await, Some(1));
    assert!(second.log().contains("is not a key"), "{}", second.log());
}

#[tokio::test]
async fn two_planes_08_a_full_disk_leaves_serving_untouched() {
    let one = backend("one", 3).await;
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let replica = data_plane(&control_plane, &["--state-dir", &state.display().to_string()]).await;
    control_plane.apply(&manifest("all", "", &[("one", one.url())]), &["--wait"]).await.good();
    assert!(replica.status().await["spill_error"].is_null());
    // Every write fails from now on: what it writes to first is a device that is always full.
    std::os::unix::fs::symlink("/dev/full", state.join("spill.new")).unwrap();
    let renamed = "aggregation: {conflict_resolution: manual}\n";
    control_plane.apply(&manifest("all", renamed, &[("one", one.url())]), &["--wait"]).await.good();
    assert_eq!(replica.tools().await, ["one_0", "one_1", "one_2"], "the new revision is served");
    let status = replica.status().await;
    let error = status["spill_error"].as_str().unwrap_or_default();
    assert!(error.contains("No space left on device"), "{status}");
    let known = control_plane.replica(&replica.replica).await;
    assert!(known["spill_error"].is_string(), "the operator sees it: {known}");
    let table = control_plane.ctl(&["status"]).await.good().out;
    assert!(table.contains(error), "{table}");
    // With room again the next revision is kept.
    let _ = fs_err::remove_file(state.join("spill.new"));
    control_plane.apply(&manifest("all", "", &[("one", one.url())]), &["--wait"]).await.good();
    assert!(replica.status().await["spill_error"].is_null());
}
