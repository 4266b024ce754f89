//! The verbs of `vmcpctl` that ask a control plane: what they show, and how they end.

use std::process::{Command, Stdio};
use std::time::Duration;

use vmcp_testkit::{ControlPlane, RawBackend, Said};

use super::{PROGRAMS, backend, data_plane, manifest, number};

/// A control plane at generation 1 with one backend of three tools.
async fn begun() -> (ControlPlane, RawBackend) {
    let one = backend("one", 3).await;
    let control_plane = ControlPlane::start(PROGRAMS).await;
    control_plane.apply(&manifest("all", "", &[("one", one.url())]), &["--wait"]).await.good();
    (control_plane, one)
}

/// What is said, with what differs from run to run left out.
fn shown(said: &Said, backend: &RawBackend) -> String {
    let text = format!("{}---\n{}---\nexit code {}\n", said.out, said.err, said.code.unwrap_or(-1));
    let lines = text.lines().map(|line| match line.find("/tmp") {
        // A file of this run.
        Some(at) => {
            format!("{}FILE{}", &line[..at], line[at..].find(".yaml").map_or("", |end| &line[at + end + 5..]))
        }
        None => line.trim_end().to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n").replace(&backend.url(), "http://BACKEND/mcp")
}

#[tokio::test]
async fn a_plan_shows_lines_and_tools_and_changes_nothing() {
    let (control_plane, one) = begun().await;
    let rules = "aggregation: {tools: [{workload: one, filter: [one_0, one_1], overrides: {one_0: {name: first}, one_1: {description: 'in other words'}}}]}\n";
    let text = manifest("all", rules, &[("one", one.url())]);
    let said = control_plane.apply(&text, &["--dry-run"]).await;
    insta::assert_snapshot!("plan", shown(&said, &one));
    assert_eq!(number(&control_plane.status().await["generation"]), 1);

    let file = control_plane.data().parent().unwrap().join("same.yaml");
    fs_err::write(&file, manifest("all", "", &[("one", one.url())])).unwrap();
    let file = file.display().to_string();
    let same = control_plane.ctl(&["diff", "-f", &file]).await;
    assert_eq!((same.code, same.out.contains("nothing would change")), (Some(0), true), "{same:?}");
    fs_err::write(&file, manifest("other", "", &[])).unwrap();
    let pruned = control_plane.ctl(&["diff", "-f", &file, "--prune"]).await;
    assert_eq!(pruned.code, Some(1));
    for part in ["would delete virtual server `all`", "- tool one_one_0", "would create group `of-other`"] {
        assert!(pruned.out.contains(part), "lacks `{part}`: {}", pruned.out);
    }
    control_plane.ctl(&["apply", "-f", &file, "--prune", "--wait"]).await.good();
    let servers = control_plane.ctl(&["get", "virtual-servers", "-o", "json"]).await.json();
    assert_eq!(servers[0]["name"], "other");
    assert_eq!(servers.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_conflict_is_said_when_it_is_planned_and_when_it_is_applied() {
    let (control_plane, one) = begun().await;
    let again = backend("one", 2).await;
    let both = |rules: &str| manifest("all", rules, &[("again", again.url()), ("one", one.url())]);
    control_plane.apply(&both(""), &["--wait"]).await.good();
    let manual = both("aggregation: {conflict_resolution: manual}\n");
    for options in ["--dry-run", "--wait"] {
        let said = control_plane.apply(&manual, &[options]).await.good();
        assert!(
            said.err.contains("virtual server `all`: ") && said.err.contains("one_0"),
            "{options}: {said:?}"
        );
    }
    drop(again);
    let gone = backend("gone", 1).await;
    let text = manifest("more", "", &[("gone", gone.url())]);
    drop(gone);
    let said = control_plane.apply(&text, &["--wait"]).await.good();
    assert!(said.err.contains("backend `gone` did not answer"), "{}", said.err);
    assert!(said.err.contains("no replica follows yet"), "{}", said.err);
}

#[tokio::test]
async fn faults_of_what_is_applied_are_shown_where_they_stand() {
    let (control_plane, one) = begun().await;
    let bad = manifest("all", "", &[("one", one.url())]).replace("group: of-all\n", "grup: of-all\n");
    insta::assert_snapshot!("fault", shown(&control_plane.apply(&bad, &[]).await, &one));
    let program =
        "kind: group\nname: programs\nworkloads:\n  - {name: git, command: uvx, args: [mcp-server-git]}\n";
    let said = control_plane.apply(program, &[]).await;
    assert_eq!(said.code, Some(1));
    for part in ["starts no programs", "command: uvx", "vmcpctl serve"] {
        assert!(said.err.contains(part), "lacks `{part}`: {}", said.err);
    }
    // A fault in what is there already is not shown with lines of what is here.
    let rules = "aggregation: {tools: [{workload: one, overrides: {one_0: {name: first}}}]}\n";
    control_plane.apply(&manifest("all", rules, &[("one", one.url())]), &[]).await.good();
    let said = control_plane.apply("kind: group\nname: of-all\nworkloads: []\n", &["-o", "json"]).await;
    assert_eq!(said.code, Some(1));
    let faults = said.json();
    assert!(faults["faults"][0]["message"].as_str().unwrap().contains("has no workload `one`"), "{faults}");
    let said = control_plane.apply("kind: group\nname: of-all\nworkloads: []\n", &[]).await;
    assert!(
        said.err.contains("which is applied already") && !said.err.contains("workloads: []"),
        "{}",
        said.err
    );
    for (text, options) in [("", vec!["--prune"]), ("# nothing\n---\n", vec![])] {
        let said = control_plane.apply(text, &options).await;
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains("hold no document"), "{}", said.err);
    }
    assert_eq!(number(&control_plane.status().await["generation"]), 2, "nothing of that was applied");
}

#[tokio::test]
async fn everything_can_be_listed_and_described() {
    let (control_plane, one) = begun().await;
    let replica = data_plane(&control_plane, &["--replica-id", "r1"]).await;
    assert_eq!(replica.replica, "r1");
    control_plane.until_current("r1", Duration::from_secs(10)).await;
    for (subject, name, part) in [
        ("virtual-servers", "all", "of-all"),
        ("groups", "of-all", "all"),
        ("backends", "of-all/one", "modern"),
        ("replicas", "r1", "current"),
        ("catalog", "all", "one_one_2"),
    ] {
        let table = control_plane.ctl(&["get", subject, name]).await.good().out;
        assert!(table.contains(part), "{subject}: {table}");
        let json = control_plane.ctl(&["get", subject, name, "-o", "json"]).await.good().json();
        assert!(json.to_string().len() > 20, "{subject}: {json}");
        let none = control_plane.ctl(&["get", subject, "nosuch"]).await;
        assert_eq!((none.code, none.err.contains("nosuch")), (Some(1), true), "{subject}: {none:?}");
    }
    let catalog = control_plane.ctl(&["get", "catalog", "all", "-o", "json"]).await.json();
    assert_eq!(
        catalog["tools"][1],
        serde_json::json!({"exposed_name": "one_one_1", "original_name": "one_1", "backend": "one"})
    );
    for list in ["resources", "resource_templates", "prompts", "diagnostics"] {
        assert!(catalog[list].is_array(), "{list}: {catalog}");
    }
    for (thing, name, part) in [
        ("virtual-server", "all", "incoming_auth: {type: anonymous}"),
        ("group", "of-all", "workloads:"),
        ("backend", "one", "health: healthy"),
        ("replica", "r1", "revision: 1"),
    ] {
        let said = control_plane.ctl(&["describe", thing, name]).await.good();
        assert!(said.out.contains(part), "{thing}: {}", said.out);
        assert_eq!(control_plane.ctl(&["describe", thing, "nosuch"]).await.code, Some(1), "{thing}");
    }
    let page = control_plane.page("/status").request(reqwest::Method::GET, &[]).await.json();
    let mut status = control_plane.status().await;
    for member in ["generation", "revision", "virtual_servers", "backends", "diagnostics"] {
        assert_eq!(page[member], status[member].take(), "{member}: the page and the verb say the same");
    }
    let metrics = control_plane.page("/metrics").request(reqwest::Method::GET, &[]).await.text();
    assert!(
        metrics.contains("vmcp_replicas_following 1") && metrics.contains("vmcp_generation 1"),
        "{metrics}"
    );
    drop(one);
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted_and_the_rest_is() {
    let (control_plane, _one) = begun().await;
    let said = control_plane.ctl(&["delete", "group", "of-all"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("is presented by virtual server `all`"), "{}", said.err);
    let planned = control_plane.ctl(&["delete", "virtual-server", "all", "--dry-run"]).await.good();
    assert!(planned.out.contains("- tool one_one_0"), "{}", planned.out);
    let late = control_plane.ctl(&["delete", "virtual-server", "all", "--expect", "7"]).await;
    assert_eq!(late.code, Some(1), "{}", late.err);
    control_plane.ctl(&["delete", "virtual-server", "all"]).await.good();
    control_plane.ctl(&["delete", "group", "of-all"]).await.good();
    assert_eq!(control_plane.ctl(&["delete", "group", "of-all"]).await.code, Some(1), "it is gone");
    let history = control_plane.ctl(&["history", "--limit", "2", "-o", "json"]).await.json();
    assert_eq!(history.as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&history[0]["cause"], &history[0]["changes"][0]),
        (&"delete".into(), &"- group of-all".into())
    );
}

#[tokio::test]
async fn exit_codes_tell_what_went_wrong() {
    let (mut control_plane, _one) = begun().await;
    let code = async |arguments: &[&str]| control_plane.ctl(arguments).await.code;
    assert_eq!(code(&["status"]).await, Some(0));
    for wrong in [
        &["apply"][..],
        &["get", "catalog"],
        &["get", "everything"],
        &["status", "--server", "http://10.0.0.1:4490"],
        &["status", "--server", "https://127.0.0.1:4490"],
        &["history", "--limit", "0"],
        &["rollback", "1", "--wait", "--dry-run"],
        &["rollback", "1", "--timeout", "5"],
        &["context", "set", "far", "--server", "http://far.example:4490"],
    ] {
        assert_eq!(code(wrong).await, Some(2), "{wrong:?}");
    }
    assert_eq!(code(&["status", "--server", "http://127.0.0.1:1"]).await, Some(3));
    // One that takes connections and answers nothing is gone, too, and a wait ends when it was to end.
    control_plane.process().signal(nix::sys::signal::Signal::SIGSTOP);
    let begun = std::time::Instant::now();
    assert_eq!(code(&["status"]).await, Some(3));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    control_plane.process().signal(nix::sys::signal::Signal::SIGCONT);
    let publish = control_plane.publish_url();
    let said = control_plane.ctl(&["status", "--server", &publish]).await;
    assert!(said.err.contains("4490"), "it says where operators ask: {}", said.err);
    control_plane.stop().await;
    assert_eq!(control_plane.ctl(&["status"]).await.code, Some(3));
}

#[tokio::test]
async fn contexts_say_who_is_asked() {
    let (control_plane, _one) = begun().await;
    let home = tempfile::tempdir().unwrap();
    let ctl = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAMS.vmcpctl);
        command
            .args(arguments)
            .env_remove("VMCP_SERVER")
            .env_remove("XDG_CONFIG_HOME")
            .env("HOME", home.path());
        Said::from(command.output().unwrap())
    };
    assert!(ctl(&["context", "list"]).good().out.contains("http://127.0.0.1:4490"));
    ctl(&["context", "set", "here", "--server", &control_plane.api_url()]).good();
    assert!(ctl(&["status"]).good().out.contains("generation 1"));
    ctl(&["context", "set", "nowhere", "--server", "http://127.0.0.1:1"]).good();
    assert_eq!(ctl(&["status"]).code, Some(3));
    ctl(&["context", "use", "here"]).good();
    let list = ctl(&["context", "list"]).good().out;
    assert!(list.lines().any(|line| line.starts_with('*') && line.contains("here")), "{list}");
    ctl(&["context", "delete", "here"]).good();
    for gone in [["context", "use", "here"], ["context", "delete", "here"]] {
        assert_eq!(ctl(&gone).code, Some(1));
    }
    let secret = ctl(&["context", "set", "x", "--server", "http://bob:hunter2@127.0.0.1:1"]);
    assert_eq!((secret.code, secret.err.contains("hunter2")), (Some(2), false), "{}", secret.err);
}

#[tokio::test]
async fn a_watch_tells_each_change_until_nobody_reads() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let (control_plane, _one) = begun().await;
    let mut command = tokio::process::Command::new(PROGRAMS.vmcpctl);
    command.args(["status", "--watch", "-o", "json"]).env("VMCP_SERVER", control_plane.api_url());
    let mut watching = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    control_plane.apply(&manifest("more", "", &[]), &[]).await.good();
    while seen.last() != Some(&2) {
        let line =
            tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await.unwrap().unwrap().unwrap();
        seen.push(number(&serde_json::from_str::<serde_json::Value>(&line).unwrap()["generation"]));
    }
    drop(lines);
    control_plane.apply(&manifest("most", "", &[]), &[]).await.good();
    control_plane.apply(&manifest("moster", "", &[]), &[]).await.good();
    let ended = tokio::time::timeout(Duration::from_secs(10), watching.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0), "nobody reads, and that is no error");
}
