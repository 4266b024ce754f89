//! Secrets reach the one peer that they are for, and nothing else that anybody can read.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use vmcp_testkit::{Answer, Issuer, Mood, Process, RawBackend, Recorded, Reply, eventually, mcp_reply};

use super::{ask, call};
use crate::two_planes::PROGRAMS;

/// Everything in a folder, whatever it is called.
fn texts(folder: &Path, out: &mut String) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, out);
        } else {
            out.push_str(&String::from_utf8_lossy(&fs_err::read(&path).unwrap()));
        }
    }
}

/// A certificate and its key, in files.
struct Pair {
    certificate: String,
    key: String,
    /// Of the key.
    canary: String,
}

impl Pair {
    fn new(folder: &Path, name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pem = made.signing_key.serialize_pem();
        let [certificate, key] = ["cert", "key"].map(|kind| folder.join(format!("{name}-{kind}.pem")));
        fs_err::write(&certificate, made.cert.pem()).unwrap();
        fs_err::write(&key, &pem).unwrap();
        let canary = pem.lines().nth(2).unwrap().chars().take(40).collect();
        Self { certificate: certificate.display().to_string(), key: key.display().to_string(), canary }
    }
}

/// What a listener that speaks TLS says to somebody who does, and to somebody who does not.
async fn handshakes(address: &str) -> String {
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).no_proxy().build().unwrap();
    let shaken = client.post(format!("https://{address}/mcp")).body("{}").send().await.unwrap();
    let said = format!("{:?}{}", shaken.headers().clone(), shaken.text().await.unwrap());
    assert!(client.get(format!("http://{address}/mcp")).send().await.is_err());
    said
}

/// T14.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
async fn secret_canaries() {
    let issuer = Issuer::start().await;
    let backend = RawBackend::start(|recorded: &Recorded| {
        let tools = ["fine", "breaks", "odd"]
            .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#));
        mcp_reply(recorded, true, &tools.join(",")).unwrap_or_else(|| match recorded.json()["params"]["name"]
            .as_str()
        {
            Some("breaks") => Reply::Status(http::StatusCode::INTERNAL_SERVER_ERROR, "<html>".into()),
            Some("odd") => Reply::Json("{not json".into()),
            _ => recorded.result(r#"{"content":[],"resultType":"complete"}"#),
        })
    })
    .await;
    let secrets = TempDir::new().unwrap();
    let secret = |name: &str| {
        let (file, text) = (secrets.path().join(name), format!("canary-{name}-5f2d"));
        fs_err::write(&file, &text).unwrap();
        file.display().to_string()
    };
    let (client, key, header) = (secret("client-secret"), secret("header-key"), secret("workload-header"));
    let [ours, tls] = ["assertion", "tls"].map(|name| Pair::new(secrets.path(), name));
    let outside = TempDir::new().unwrap();
    let audit = outside.path().join("audit.log");
    let manifest = format!(
        "name: all
group: g
incoming_auth: {{type: oidc, oidc: {{issuer: '{0}', audience: vmcp, client_id: us, client_secret_file: '{client}'}}}}
outgoing_auth:
  backends:
    exchanged: {{type: token_exchange, token_exchange: {{audience: exchanged-api}}}}
    signed: {{type: token_exchange, token_exchange: {{audience: signed-api, client_id: signer, client_key: {{file: '{3}'}}, client_key_algorithm: ES256}}}}
    fixed: {{type: header_injection, header_injection: {{header_name: X-Key, header_value_file: '{key}'}}}}
audit: {{log_file: '{2}', include_request_data: true, include_response_data: true}}
---
kind: group
name: g
workloads:
- {{name: exchanged, url: '{1}'}}
- {{name: signed, url: '{1}'}}
- {{name: queried, url: '{1}?key=canary-query-5f2d'}}
- {{name: fixed, url: '{1}', headers: {{X-More: {{file: '{header}'}}}}}}
- {{name: gone, url: 'http://127.0.0.1:1/mcp'}}
",
        issuer.url(),
        backend.url(),
        audit.display(),
        ours.key
    );
    // Everything says all that it can.
    let (data, state) = (outside.path().join("data"), outside.path().join("state"));
    let mut command = Command::new(PROGRAMS.control_plane);
    let free = "127.0.0.1:0";
    command.args([
        "--data-dir",
        data.to_str().unwrap(),
        "--api-listen",
        free,
        "--publish-listen",
        free,
        "--http-listen",
        free,
        "--log",
        "trace",
    ]);
    let control_plane = Process::start_of(command, "control plane started").await;
    let publish = format!("http://{}", control_plane.said("publish="));
    let replica = async |more: &[&str]| {
        let mut command = Command::new(PROGRAMS.data_plane);
        command.args([
            "--control-plane",
            &publish,
            "--listen",
            free,
            "--admin-listen",
            free,
            "--log",
            "trace",
        ]);
        command.args(more);
        Process::start_of(command, "data plane started").await
    };
    let data_plane = replica(&["--state-dir", state.to_str().unwrap()]).await;
    let over_tls = replica(&["--tls-cert", &tls.certificate, "--tls-key", &tls.key]).await;
    let server = format!("http://{}", control_plane.said("api="));
    let file = secrets.path().join("vmcp.yaml");
    fs_err::write(&file, &manifest).unwrap();
    let ctl = |arguments: &[&str]| {
        let output = Command::new(PROGRAMS.vmcpctl)
            .args(arguments)
            .env("VMCP_SERVER", &server)
            .env("HOME", outside.path())
            .output()
            .unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let file = file.to_str().unwrap();
    let mut seen = ctl(&["apply", "-f", file, "--wait"]);
    let client = vmcp_testkit::Client::new(format!("http://{}/mcp", data_plane.said("listen=")));
    let token = issuer.token("ada", "vmcp", &json!({"jti": "canary-of-the-caller"}));
    let is_up = async || {
        let listed = ask(&client, Some(&token), true, "tools/list", "").await.text();
        ["exchanged", "fixed", "signed", "queried"]
            .iter()
            .all(|name| listed.contains(&format!("{name}_fine")))
    };
    assert!(eventually(Duration::from_secs(15), is_up).await, "{}", data_plane.log());
    let argument = r#","arguments":{"password":"canary-argument-77aa","note":"fine"}"#;
    let mut answers: Vec<Answer> = Vec::new();
    for is_modern in [true, false] {
        for tool in [
            "exchanged_fine",
            "exchanged_breaks",
            "exchanged_odd",
            "fixed_fine",
            "fixed_breaks",
            "gone_x",
            "signed_fine",
            "queried_fine",
            "queried_breaks",
        ] {
            answers.push(
                ask(&client, Some(&token), is_modern, "tools/call", &format!("{}{argument}", call(tool)))
                    .await,
            );
        }
        answers.push(ask(&client, Some(&format!("{token}x")), is_modern, "tools/list", "").await);
    }
    for mood in [
        Mood::Refusing(400, "invalid_grant"),
        Mood::Refusing(500, "server_error"),
        Mood::Saying(json!({"access_token": "canary-issued-91bc"})),
    ] {
        issuer.is(mood);
        let other = issuer.token("bob", "vmcp", &json!({"jti": issuer.asked().len().to_string()}));
        answers.push(ask(&client, Some(&other), true, "tools/call", &call("exchanged_fine")).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let shown: Vec<String> = backend
        .calls("tools/call")
        .iter()
        .filter_map(|call| call.header("authorization").map(ToOwned::to_owned))
        .collect();
    assert!(
        !shown.is_empty()
            && backend.recorded().iter().any(|call| call.header("x-key") == Some("canary-header-key-5f2d"))
    );
    assert!(
        backend.recorded().iter().any(|call| call.header("x-more") == Some("canary-workload-header-5f2d"))
    );
    assert!(issuer.asked().iter().any(|asked| asked.authorization.is_some()));
    let queried = |call: &Recorded| call.target.query() == Some("key=canary-query-5f2d");
    assert!(backend.calls("tools/call").iter().any(queried));
    assert!(issuer.asked().iter().any(|asked| asked.form.contains_key("client_assertion")));
    for answer in &answers {
        seen += &format!("{:?}{}", answer.headers, answer.text());
    }
    seen += &handshakes(&over_tls.said("listen=")).await;
    for arguments in [
        &["status"][..],
        &["status", "-o", "json"],
        &["get", "backends", "-o", "json"],
        &["get", "virtual-servers", "-o", "json"],
        &["get", "replicas", "-o", "json"],
        &["describe", "virtual-server", "all"],
        &["describe", "group", "g"],
        &["describe", "backend", "g/fixed"],
        &["history", "-o", "json"],
        &["diff", "-f", file],
        &["validate", "-f", file],
        &["validate", "-f", file, "--connect"],
    ] {
        seen += &ctl(arguments);
    }
    // A change, and a mistake.
    let other = |name: &str, from: &str, to: &str| {
        let file = secrets.path().join(name);
        fs_err::write(&file, manifest.replace(from, to)).unwrap();
        file.display().to_string()
    };
    let changed = ctl(&["diff", "-f", &other("changed.yaml", "canary-query-5f2d", "canary-other-5f2d")]);
    assert!(changed.contains("differs, and is not shown"), "{changed}");
    let mistaken = ctl(&["validate", "-f", &other("mistaken.yaml", "{name: queried,", "{nme: queried,")]);
    assert!(mistaken.contains("nme") && mistaken.contains("?****"), "{mistaken}");
    seen += &changed;
    seen += &mistaken;
    for page in ["/status", "/metrics", "/readyz"] {
        for process in [(&control_plane, "http="), (&data_plane, "admin=")] {
            let url = format!("http://{}{page}", process.0.said(process.1));
            seen += &vmcp_testkit::Client::new(url).request(reqwest::Method::GET, &[]).await.text();
        }
    }
    assert!(fs_err::read_to_string(&audit).unwrap().contains("[REDACTED]"));
    seen += &control_plane.log();
    seen += &data_plane.log();
    seen += &over_tls.log();
    seen += &fs_err::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs_err::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains("vmcp-"))
        .collect::<String>();
    assert!(data_plane.stop().await.is_some() && control_plane.stop().await.is_some());
    texts(outside.path(), &mut seen);
    let bare = |header: &String| header.trim_start_matches("Bearer ").to_owned();
    let mut canaries: Vec<String> = shown.iter().map(bare).collect();
    canaries.extend([token, "canary-".into(), "Y2FuYXJ5".into(), ours.canary, tls.canary]);
    for canary in canaries {
        let at = seen.find(&canary);
        let around = at.map(|at| seen[at.saturating_sub(200)..(at + 40).min(seen.len())].to_owned());
        assert_eq!(around, None, "{canary}");
    }
    // An address with a secret in it is none, and is not shown with it.
    let bad = outside.path().join("bad.yaml");
    fs_err::write(&bad, "kind: group\nname: g\nworkloads: [{name: a, url: 'http://me:canary-url@h/mcp'}]\n")
        .unwrap();
    let said = ctl(&["validate", "-f", bad.to_str().unwrap()]);
    assert!(said.contains("error") && said.contains("@h/mcp") && !said.contains("canary-url"), "{said}");
}
