//! Stdio children that die, and what they leave behind.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vmcp_testkit::{Served, eventually};

use crate::serve;

const NOW: &str = r#""name":"clock_now""#;

async fn pid(served: &Served) -> Option<i32> {
    served.process("clock").await["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok())
}

#[tokio::test]
async fn straight_line_06_a_child_that_dies_is_restarted_and_calls_fail_at_once_meanwhile() {
    let clock =
        "{name: clock, command: sh, args: [-c, 'echo begun >&2; sleep 0.3; exec vmcpctl demo clock']}";
    let served = serve(&[clock.to_owned()]).await;
    served.until_healthy("clock", Duration::from_secs(10)).await;
    let client = served.client();
    assert_eq!(client.modern("tools/call", NOW).await.code(), None);

    kill(Pid::from_raw(pid(&served).await.unwrap()), Signal::SIGKILL).unwrap();
    let is_absent = eventually(Duration::from_secs(5), async || {
        let asked = Instant::now();
        let answer = client.modern("tools/call", NOW).await;
        assert!(asked.elapsed() < Duration::from_millis(500), "not at once: {:?}", asked.elapsed());
        if answer.code().is_some() {
            let error = &answer.json()["error"];
            assert_eq!(
                (&error["code"], &error["data"]["reason"]),
                (&(-32603).into(), &"backend_unavailable".into())
            );
        }
        answer.code().is_some()
    });
    assert!(is_absent.await);
    let listed = client.modern("tools/list", "").await.text();
    assert!(listed.contains("clock_now"), "unknown is not empty: {listed}");

    let is_back =
        eventually(Duration::from_secs(10), async || client.modern("tools/call", NOW).await.code().is_none());
    assert!(is_back.await, "{}", served.log());
    let process = served.process("clock").await;
    assert_eq!(process["restarts"], 1);
    assert_eq!(process["stderr"], "begun\nbegun\n", "of both its lives");
    assert!(process["last_exit"].as_str().unwrap().contains("signal: 9"), "{process}");
}

#[tokio::test]
async fn a_call_under_way_when_the_child_dies_is_answered() {
    let slow = "{name: clock, command: sh, args: [-c, 'vmcpctl demo clock; true']}";
    let served = serve(&[slow.to_owned()]).await;
    served.until_healthy("clock", Duration::from_secs(10)).await;
    // The shell's group is stopped, so the call waits in the child that will never read it.
    let group = Pid::from_raw(pid(&served).await.unwrap());
    nix::sys::signal::killpg(group, Signal::SIGSTOP).unwrap();
    let client = served.client();
    let call = tokio::spawn(async move { client.modern("tools/call", NOW).await });
    let is_waiting = eventually(Duration::from_millis(300), async || call.is_finished()).await;
    assert!(!is_waiting);
    nix::sys::signal::killpg(group, Signal::SIGKILL).unwrap();
    let answer = call.await.unwrap();
    assert_eq!(answer.json()["error"]["data"]["reason"], "backend_unavailable", "{}", answer.text());
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_said_and_others_serve() {
    let served = serve(&[
        "{name: clock, command: vmcpctl, args: [demo, clock]}".to_owned(),
        "{name: broken, command: /no/such/program}".to_owned(),
        "{name: rude, command: sh, args: [-c, 'echo cannot go on >&2; exit 3']}".to_owned(),
    ])
    .await;
    served.until_healthy("clock", Duration::from_secs(10)).await;
    assert_eq!(served.client().modern("tools/call", NOW).await.code(), None);
    assert!(served.process("broken").await["last_exit"].as_str().unwrap().contains("/no/such/program"));
    let is_said = eventually(Duration::from_secs(5), async || {
        let rude = served.process("rude").await;
        rude["stderr"].as_str().is_some_and(|text| text.starts_with("cannot go on\n"))
            && rude["last_exit"].as_str().is_some_and(|exit| exit.contains('3'))
    });
    assert!(is_said.await, "{}", served.status().await);
    assert!(served.log().contains("backend `rude`: "), "{}", served.log());
}

#[tokio::test]
async fn children_are_stopped_with_all_that_they_have_started() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; exec vmcpctl demo clock", mark.display());
    let served = serve(&[format!("{{name: clock, command: sh, args: [-c, '{script}']}}")]).await;
    served.until_healthy("clock", Duration::from_secs(10)).await;
    let sleeper: i32 = fs_err::read_to_string(&mark).unwrap().trim().parse().unwrap();
    let child = pid(&served).await.unwrap();
    let took = served.stop().await;
    assert!(took < Duration::from_secs(8), "{took:?}");
    let is_gone = async |pid: i32| {
        eventually(Duration::from_secs(2), async || {
            // A process that nobody has collected yet is gone all the same.
            let status = fs_err::read_to_string(format!("/proc/{pid}/status"));
            status.map_or(true, |status| status.contains("State:\tZ"))
        })
        .await
    };
    assert!(is_gone(child).await && is_gone(sleeper).await);
}

#[tokio::test]
async fn a_child_gets_its_own_variables_and_no_secret_of_ours() {
    let script = "test -z \"$CARGO_MANIFEST_DIR\" && test \"$GREETING\" = hello && exec vmcpctl demo clock";
    let clock = format!("{{name: clock, command: sh, args: [-c, '{script}'], env: {{GREETING: hello}}}}");
    serve(&[clock]).await.until_healthy("clock", Duration::from_secs(10)).await;
}

/// A child whose input is written down, with its demo server stopped, so that no call is ever answered.
async fn deaf(folder: &std::path::Path) -> (Served, std::path::PathBuf) {
    let log = folder.join("input");
    let clock = format!(
        "{{name: clock, command: sh, args: [-c, 'tee {} | vmcpctl demo clock; true']}}",
        log.display()
    );
    let served = serve(&[clock]).await;
    served.until_healthy("clock", Duration::from_secs(10)).await;
    let shell = pid(&served).await.unwrap();
    let children = fs_err::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    let demo = children.split_whitespace().find(|child| {
        fs_err::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.trim() == "vmcpctl")
    });
    kill(Pid::from_raw(demo.unwrap().parse().unwrap()), Signal::SIGSTOP).unwrap();
    (served, log)
}

/// Whether the child is told `message` after a caller has gone away with its call unanswered.
async fn is_told(log: &std::path::Path, message: &str, patience: Duration) -> bool {
    eventually(patience, async || fs_err::read_to_string(log).unwrap().contains(message)).await
}

#[tokio::test]
async fn a_modern_client_that_closes_its_stream_cancels_and_a_legacy_one_that_goes_away_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (served, log) = deaf(folder.path()).await;
    let client = served.client();
    let legacy = r#"{"jsonrpc":"2.0","id":"legacy","method":"tools/call","params":{"name":"clock_now"}}"#;
    let left = tokio::time::timeout(Duration::from_millis(300), client.post(&[], legacy)).await;
    assert!(left.is_err(), "nobody answers");
    assert!(is_told(&log, r#""method":"tools/call""#, Duration::from_secs(2)).await);
    assert!(
        !is_told(&log, "notifications/cancelled", Duration::from_secs(1)).await,
        "going away is no cancellation"
    );

    let left = tokio::time::timeout(Duration::from_millis(300), client.modern("tools/call", NOW)).await;
    assert!(left.is_err(), "nobody answers");
    assert!(is_told(&log, "notifications/cancelled", Duration::from_secs(2)).await, "a closed stream is one");
    let told = fs_err::read_to_string(&log).unwrap();
    assert_eq!(told.matches("notifications/cancelled").count(), 1, "{told}");
}
