//! A ToolHive group is followed as it lives, by its files and by its API.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::StatusCode;
use vmcp_testkit::{
    Client, ControlPlane, DataPlane, Process, RawBackend, Recorded, Reply, ToolHiveHome, eventually,
};

use crate::two_planes::{PROGRAMS, backend, data_plane};

/// What must be true on every replica by then.
const SOON: Duration = Duration::from_secs(2);

struct World {
    control_plane: ControlPlane,
    replicas: [DataPlane; 2],
}

impl World {
    async fn start(toolhive: &str) -> Self {
        let control_plane = ControlPlane::start(PROGRAMS).await;
        let replicas = [data_plane(&control_plane, &[]).await, data_plane(&control_plane, &[]).await];
        let manifest = format!(
            "name: all\ngroup: team\nincoming_auth: {{type: anonymous}}\n---\nkind: group\nname: team\ntoolhive: {toolhive}\n"
        );
        control_plane.apply(&manifest, &["--wait"]).await.good();
        Self { control_plane, replicas }
    }

    /// Each replica lists these tools within two seconds of now.
    async fn soon_lists(&self, expected: &[&str]) {
        let began = Instant::now();
        for replica in &self.replicas {
            let lists = eventually(SOON, async || replica.tools().await == expected).await;
            assert!(
                lists && began.elapsed() < SOON,
                "{:?} after {:?} in place of {expected:?}\n{}",
                replica.tools().await,
                began.elapsed(),
                self.control_plane.status().await,
            );
        }
    }

    async fn said(&self) -> String {
        self.control_plane.status().await["diagnostics"].to_string()
    }
}

fn files(home: &ToolHiveHome) -> String {
    format!("{{state_dir: '{}', data_dir: '{}'}}", home.state().display(), home.data().display())
}

#[tokio::test]
async fn workloads_02_a_workload_that_joins_leaves_or_moves_is_in_or_out_within_two_seconds() {
    let (one, two, new) = (backend("one", 1).await, backend("two", 1).await, backend("new", 1).await);
    let home = ToolHiveHome::new();
    home.group("team");
    home.workload("one", "team", one.port(), "running");
    home.workload("two", "elsewhere", two.port(), "running");
    let world = World::start(&files(&home)).await;
    world.soon_lists(&["one_one_0"]).await;

    // Joins, moves in, moves to another port, moves out, leaves.
    home.workload("new", "team", new.port(), "running");
    world.soon_lists(&["new_new_0", "one_one_0"]).await;
    home.workload("two", "team", two.port(), "running");
    world.soon_lists(&["new_new_0", "one_one_0", "two_two_0"]).await;
    let moved = backend("moved", 1).await;
    home.workload("two", "team", moved.port(), "running");
    world.soon_lists(&["new_new_0", "one_one_0", "two_moved_0"]).await;
    home.workload("one", "elsewhere", one.port(), "running");
    world.soon_lists(&["new_new_0", "two_moved_0"]).await;
    home.remove("new");
    world.soon_lists(&["two_moved_0"]).await;
    let backends = world.control_plane.status().await["backends"].clone();
    assert_eq!(backends[0]["workload_status"], "running", "{backends}");
    assert_eq!(backends[0]["labels"][0]["name"], "team", "{backends}");
}

#[tokio::test]
async fn workloads_02_a_workload_that_is_starting_is_in_within_two_seconds_of_answering() {
    let home = ToolHiveHome::new();
    home.group("team");
    let world = World::start(&files(&home)).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    home.workload("late", "team", port, "starting");
    let is_known =
        eventually(SOON, async || world.control_plane.status().await.to_string().contains("starting"));
    assert!(is_known.await);
    home.status("late", "running");
    // Its proxy runs, and what is behind it takes a while to come up.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let late = RawBackend::start_at(port, |recorded: &Recorded| {
        vmcp_testkit::mcp_reply(recorded, true, r#"{"name":"x","inputSchema":{"type":"object"}}"#)
            .unwrap_or(Reply::Silence)
    })
    .await;
    world.soon_lists(&["late_x"]).await;
    drop(late);
}

#[tokio::test]
async fn workloads_02_files_that_cannot_be_read_change_nothing_that_is_served() {
    let (one, two) = (backend("one", 1).await, backend("two", 1).await);
    let home = ToolHiveHome::new();
    home.group("team");
    home.workload("one", "team", one.port(), "running");
    let mut world = World::start(&files(&home)).await;
    world.soon_lists(&["one_one_0"]).await;

    home.write(&home.run_config_file("one"), "{\"name\": \"one\", \"gro");
    let is_said = eventually(SOON, async || world.said().await.contains("one.json cannot be read"));
    assert!(is_said.await, "{}", world.said().await);
    world.soon_lists(&["one_one_0"]).await;
    // Nor does a restart while it is damaged.
    world.control_plane.kill();
    world.control_plane.start_again().await;
    let is_said =
        eventually(Duration::from_secs(5), async || world.said().await.contains("one.json cannot be read"));
    assert!(is_said.await, "{}", world.said().await);
    world.soon_lists(&["one_one_0"]).await;
    let is_back = eventually(Duration::from_secs(15), async || {
        world.control_plane.status().await["replicas"].as_array().is_some_and(|all| all.len() == 2)
    });
    assert!(is_back.await);
    world.soon_lists(&["one_one_0"]).await;
    home.workload("one", "team", one.port(), "running");

    let away = home.state().with_file_name("away");
    fs_err::rename(home.state(), &away).unwrap();
    let is_said = eventually(SOON, async || world.said().await.contains("groups cannot be read"));
    assert!(is_said.await, "{}", world.said().await);
    world.soon_lists(&["one_one_0"]).await;

    // Nor does a restart of the control plane, or a replica that begins now.
    world.control_plane.kill();
    world.control_plane.start_again().await;
    let begun = data_plane(&world.control_plane, &[]).await;
    begun.until_revision(1, Duration::from_secs(5)).await;
    assert_eq!(begun.tools().await, ["one_one_0"]);
    let is_said = eventually(SOON, async || world.said().await.contains("groups cannot be read"));
    assert!(is_said.await, "{}", world.said().await);

    fs_err::rename(&away, home.state()).unwrap();
    home.workload("two", "team", two.port(), "running");
    let replica = &begun;
    let is_back = eventually(SOON, async || replica.tools().await == ["one_one_0", "two_two_0"]);
    assert!(is_back.await, "{:?}", begun.tools().await);
    assert!(!world.said().await.contains("cannot be read"));
}

#[tokio::test]
async fn workloads_02_a_lock_that_is_held_is_waited_for_and_not_for_ever() {
    let one = backend("one", 1).await;
    let home = ToolHiveHome::new();
    home.group("team");
    home.workload("one", "team", one.port(), "starting");
    let world = World::start(&files(&home)).await;
    world.soon_lists(&["one_one_0"]).await;
    let lock = fs_err::File::create(home.data().join("statuses/one.lock")).unwrap();
    lock.file().lock().unwrap();
    home.status("one", "running");
    let is_read = eventually(Duration::from_secs(3), async || {
        world.control_plane.status().await["backends"][0]["workload_status"] == "running"
    });
    assert!(is_read.await);
    world.soon_lists(&["one_one_0"]).await;
}

#[tokio::test]
async fn workloads_02_the_api_is_followed_too() {
    let (one, two) = (backend("one", 1).await, backend("two", 1).await);
    let answer = Arc::new(Mutex::new((StatusCode::OK, String::new())));
    let workload = |name: &str, port: u16| {
        format!(
            r#"{{"name":"{name}","package":"x","url":"http://127.0.0.1:{port}/sse#{name}","port":{port},"transport_type":"stdio","proxy_mode":"streamable-http","status":"running","created_at":"2026-01-01T00:00:00Z","group":"team","labels":{{"team":"search"}}}}"#
        )
    };
    let set = |status, workloads: &[String]| {
        *answer.lock().unwrap() = (status, format!(r#"{{"workloads":[{}]}}"#, workloads.join(",")));
    };
    set(StatusCode::OK, &[workload("one", one.port())]);
    let script = answer.clone();
    let api = RawBackend::start(move |_| {
        let (status, body) = script.lock().unwrap().clone();
        Reply::Status(status, body)
    })
    .await;
    let world = World::start(&format!("{{api: 'http://127.0.0.1:{}'}}", api.port())).await;
    world.soon_lists(&["one_one_0"]).await;
    set(StatusCode::OK, &[workload("one", one.port()), workload("two", two.port())]);
    world.soon_lists(&["one_one_0", "two_two_0"]).await;

    for (status, body, part) in [
        (StatusCode::INTERNAL_SERVER_ERROR, "down", "HTTP status 500"),
        (StatusCode::NOT_FOUND, "nothing here", "HTTP status 404"),
        (StatusCode::OK, "<html>", "did not answer with workloads"),
        (StatusCode::OK, "{}", "missing field `workloads`"),
    ] {
        *answer.lock().unwrap() = (status, body.to_owned());
        let is_said = eventually(Duration::from_secs(3), async || world.said().await.contains(part));
        assert!(is_said.await, "{part}: {}", world.said().await);
        world.soon_lists(&["one_one_0", "two_two_0"]).await;
    }
    set(StatusCode::OK, &[workload("two", two.port())]);
    world.soon_lists(&["two_two_0"]).await;
    assert_eq!(world.said().await, "[]");
}

/// `vmcpctl` with ToolHive's folders where the variables say.
fn vmcpctl(home: &ToolHiveHome, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(crate::program());
    command.args(arguments);
    command.env("XDG_STATE_HOME", home.state().parent().unwrap());
    command.env("XDG_DATA_HOME", home.data().parent().unwrap());
    command
}

#[tokio::test]
async fn a_group_is_served_without_a_manifest_to_this_machine_alone() {
    let (one, two) = (backend("one", 1).await, backend("two", 1).await);
    let home = ToolHiveHome::new();
    home.group("my team");
    home.workload("one", "my team", one.port(), "running");
    let arguments = ["serve", "--group", "my team", "--port", "0", "--admin-port", "0", "--log", "info"];
    let served = Process::of(vmcpctl(&home, &arguments));
    assert!(
        eventually(Duration::from_secs(10), async || served.log().contains("serving `my-team` at")).await
    );
    let client = Client::new(served.said("serving `my-team` at "));
    let lists = |name: &'static str| {
        let client = &client;
        eventually(SOON, async move || client.modern("tools/list", "").await.text().contains(name))
    };
    assert!(lists("one_one_0").await, "{}", served.log());
    home.workload("two", "my team", two.port(), "running");
    assert!(lists("two_two_0").await, "{}", served.log());

    let open = vmcpctl(&home, &["serve", "--group", "my team", "--host", "0.0.0.0"]).output().unwrap();
    let said = String::from_utf8_lossy(&open.stderr);
    assert!(open.status.code() == Some(1) && said.contains("this machine alone"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_is_made_of_a_group_and_stays_true() {
    let one = backend("one", 1).await;
    let home = ToolHiveHome::new();
    home.group("team");
    home.workload("one", "team", one.port(), "running");
    let made = vmcpctl(&home, &["init", "--group", "team"]).output().unwrap();
    let manifest = String::from_utf8(made.stdout).unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(manifest.contains(&format!("#   one: {} (running)", one.url())), "{manifest}");
    let file = home.state().join("vmcp.yaml");
    fs_err::write(&file, &manifest).unwrap();
    let checked = vmcpctl(&home, &["validate", "-f", file.to_str().unwrap()]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let asked = vmcpctl(&home, &["validate", "--connect", "-f", file.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success() && said.contains("one_one_0"), "{said}");
    let missing = vmcpctl(&home, &["init", "--group", "nobody"]).output().unwrap();
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(missing.status.code() == Some(1) && said.contains("ToolHive has no group `nobody`"), "{said}");
}

#[tokio::test]
async fn the_example_of_a_toolhive_group_is_served() {
    let one = backend("one", 1).await;
    let home = ToolHiveHome::new();
    home.group("team");
    home.workload("browser", "team", one.port(), "running");
    let example = crate::root().join("examples/toolhive/vmcp.yaml");
    let arguments =
        ["serve", "-f", example.to_str().unwrap(), "--port", "0", "--admin-port", "0", "--log", "info"];
    let served = Process::of(vmcpctl(&home, &arguments));
    assert!(eventually(Duration::from_secs(10), async || served.log().contains("serving `team` at")).await);
    let client = Client::new(served.said("serving `team` at "));
    let lists = async || client.modern("tools/list", "").await.text().contains("browser_one_0");
    assert!(eventually(SOON, lists).await, "{}", served.log());
}
