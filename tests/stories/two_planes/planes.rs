//! Every setting of the two planes has its effect.

use std::path::Path;
use std::time::{Duration, Instant};

use vmcp_testkit::{Client, ControlPlane, DataPlane, Process, eventually};

use super::{PROGRAMS, backend, data_plane, manifest, number};

fn texts(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn a_replica_can_serve_some_virtual_servers_alone() {
    let (one, two) = (backend("one", 2).await, backend("two", 2).await);
    let control_plane = ControlPlane::start(PROGRAMS).await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().display().to_string();
    let first = data_plane(&control_plane, &["--virtual-server", "first"]).await;
    let both = data_plane(&control_plane, &["--state-dir", &state]).await;
    let none = data_plane(&control_plane, &["--virtual-server", "nosuch"]).await;
    let text = format!(
        "{}---\n{}",
        manifest("first", "", &[("one", one.url())]),
        manifest("second", "", &[("two", two.url())])
    );
    control_plane.apply(&text, &["--wait"]).await.good();
    assert_eq!(first.tools().await, ["one_one_0", "one_one_1"], "its only one is at /mcp");
    let second = |plane: &DataPlane| Client::new(plane.url.replace("/mcp", "/second/mcp"));
    assert_eq!(second(&first).modern("tools/list", "").await.status, 404);
    assert_eq!(second(&both).modern("tools/list", "").await.status, 200);
    let (little, all) =
        (control_plane.replica(&first.replica).await, control_plane.replica(&both.replica).await);
    assert!(number(&little["bytes"]) < number(&all["bytes"]), "it is sent nothing of others");
    let ready = none.page("/readyz").request(reqwest::Method::GET, &[]).await;
    assert_eq!(ready.status, 503, "nobody has published that: {}", ready.text());
    // What was kept of others is not served either.
    both.process.stop().await;
    let narrowed = ["--state-dir", state.as_str(), "--virtual-server", "first"];
    let narrowed =
        DataPlane::at(PROGRAMS.data_plane, "http://127.0.0.1:1", ["127.0.0.1:0", "127.0.0.1:0"], &narrowed)
            .await;
    assert_eq!(second(&narrowed).modern("tools/list", "").await.status, 404);
    assert_eq!(narrowed.tools().await.len(), 2);
}

#[tokio::test]
async fn a_replica_goes_to_the_next_control_plane_and_stays_ready_while_it_stops() {
    let control_plane = ControlPlane::start(PROGRAMS).await;
    control_plane.apply(&manifest("all", "", &[]), &["--wait"]).await.good();
    let publish = control_plane.publish_url();
    let arguments = [
        "--control-plane",
        "http://127.0.0.1:1",
        &publish,
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--stop-delay",
        "2",
        "--log",
        "warn,vmcp_data_plane=info",
        "--log-json",
    ];
    let mut process =
        Process::start(Path::new(PROGRAMS.data_plane), &texts(&arguments), "data plane started").await;
    let line = process.log().lines().find(|line| line.contains("data plane started")).unwrap().to_owned();
    let line: serde_json::Value = serde_json::from_str(&line).expect("one JSON object a line");
    let page =
        |path: &str| Client::new(format!("http://{}{path}", line["fields"]["admin"].as_str().unwrap()));
    let is_ready = async || page("/readyz").request(reqwest::Method::GET, &[]).await.status == 200;
    assert!(eventually(Duration::from_secs(10), is_ready).await, "{}", process.log());
    let status = page("/status").request(reqwest::Method::GET, &[]).await.json();
    assert_eq!(status["control_plane"], format!("{publish}/"));
    let told = Instant::now();
    process.signal(nix::sys::signal::Signal::SIGTERM);
    let is_stopping = async || page("/readyz").request(reqwest::Method::GET, &[]).await.status == 503;
    assert!(eventually(Duration::from_secs(1), is_stopping).await);
    let client = Client::new(format!("http://{}/mcp", line["fields"]["listen"].as_str().unwrap()));
    assert_eq!(
        client.modern("tools/list", "").await.status,
        200,
        "it serves on until load balancers have noticed"
    );
    assert_eq!(process.ended(Duration::from_secs(20)).await, Some(0));
    assert!(told.elapsed() >= Duration::from_secs(2), "{:?}", told.elapsed());
}

#[tokio::test]
async fn a_control_plane_with_an_older_copy_says_so_and_goes_on_behind() {
    let one = backend("one", 1).await;
    let mut control_plane = ControlPlane::start(PROGRAMS).await;
    let replica = data_plane(&control_plane, &[]).await;
    for rules in ["", "aggregation: {conflict_resolution: manual}\n", ""] {
        control_plane.apply(&manifest("all", rules, &[("one", one.url())]), &["--wait"]).await.good();
    }
    let before = replica.tools().await;
    // Its data are lost.
    control_plane.kill();
    fs_err::remove_dir_all(control_plane.data()).unwrap();
    control_plane.start_again().await;
    let other = "aggregation: {conflict_resolution: manual}\n";
    control_plane.apply(&manifest("all", other, &[("one", one.url())]), &[]).await.good();
    let is_stuck = eventually(Duration::from_secs(15), async || {
        let known = control_plane.replica(&replica.replica).await;
        known["stuck"].as_str().is_some_and(|why| why.contains("--continue-after 3"))
    });
    assert!(is_stuck.await, "{}", control_plane.status().await);
    let table = control_plane.ctl(&["get", "replicas"]).await.good().out;
    assert!(table.contains("stuck"), "{table}");
    let said = control_plane.ctl(&["apply", "-f", "nothing.yaml"]).await;
    assert_eq!(said.code, Some(1), "a file that is not there: {}", said.err);
    assert_eq!(replica.tools().await, before, "a replica never goes back");
    control_plane.stop().await;
    control_plane.start_with(&["--continue-after", "3"]).await;
    let has_followed = eventually(Duration::from_secs(15), async || replica.tools().await == ["one_0"]);
    assert!(has_followed.await, "{}", control_plane.status().await);
}

#[tokio::test]
async fn plaintext_stays_on_loopback_and_settings_can_be_variables() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    for (program, arguments, why) in [
        (
            PROGRAMS.control_plane,
            vec!["--data-dir", &data, "--api-listen", "0.0.0.0:0"],
            "not a loopback address",
        ),
        (
            PROGRAMS.control_plane,
            vec!["--data-dir", &data, "--api-listen", "127.0.0.1:0", "--publish-listen", "0.0.0.0:0"],
            "not a loopback address",
        ),
        (PROGRAMS.data_plane, vec!["--control-plane", "http://10.1.1.1:4491"], "not on this machine"),
        (
            PROGRAMS.data_plane,
            vec!["--control-plane", "https://127.0.0.1:4491"],
            "both ends show who they are",
        ),
        (
            PROGRAMS.data_plane,
            vec!["--control-plane", "http://127.0.0.1:1", "--log", "no=such=filter"],
            "log filter",
        ),
    ] {
        let mut process = Process::spawn(Path::new(program), &texts(&arguments));
        assert_eq!(process.ended(Duration::from_secs(10)).await, Some(1), "{arguments:?}");
        assert!(process.log().contains(why), "{arguments:?}: {}", process.log());
    }
    let mut command = std::process::Command::new(PROGRAMS.control_plane);
    for (name, value) in [
        ("VMCP_DATA_DIR", data.as_str()),
        ("VMCP_API_LISTEN", "127.0.0.3:0"),
        ("VMCP_PUBLISH_LISTEN", "127.0.0.1:0"),
        ("VMCP_HTTP_LISTEN", "127.0.0.1:0"),
        ("VMCP_LOG_JSON", "true"),
    ] {
        command.env(name, value);
    }
    let process = Process::of(command);
    let has_started =
        eventually(Duration::from_secs(20), async || process.log().contains("control plane started"));
    assert!(has_started.await, "{}", process.log());
    assert!(process.log().contains(r#""api":"127.0.0.3:"#), "{}", process.log());
    assert!(Path::new(&data).join("control-plane.redb").exists());
}
