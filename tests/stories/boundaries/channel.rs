//! The control channel: nobody gets anything without a certificate, and nobody more than theirs allows.

use std::time::Duration;

use prost::Message;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType, date_time_ymd};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use vmcp_proto::v1;
use vmcp_proto::v1::control_client::ControlClient;
use vmcp_proto::v1::from_replica::Message as Said;
use vmcp_proto::v1::publish_client::PublishClient;
use vmcp_runtime::{ConnectFiles, Shown, connector};
use vmcp_testkit::{Authority, ControlPlane, DataPlane, RawBackend, eventually};

use super::offering;
use crate::two_planes::PROGRAMS;

/// Every method that there is, by what describes them.
fn methods() -> Vec<String> {
    let described = [vmcp_proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET];
    let files = described
        .iter()
        .flat_map(|described| prost_types::FileDescriptorSet::decode(*described).unwrap().file)
        .collect::<Vec<_>>();
    let mut all: Vec<String> = Vec::new();
    for file in &files {
        for service in &file.service {
            let of = format!("/{}.{}", file.package(), service.name());
            all.extend(service.method.iter().map(|method| format!("{of}/{}", method.name())));
        }
    }
    all.push("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned());
    all
}

/// What the table below speaks of; a method that is not in it fails the test.
const ASKED: [&str; 13] = [
    "/vmcp.v1.Control/Apply",
    "/vmcp.v1.Control/Diff",
    "/vmcp.v1.Control/Delete",
    "/vmcp.v1.Control/Rollback",
    "/vmcp.v1.Control/Get",
    "/vmcp.v1.Control/GetCatalog",
    "/vmcp.v1.Control/GetStatus",
    "/vmcp.v1.Control/History",
    "/vmcp.v1.Control/Watch",
    "/vmcp.v1.Publish/Follow",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

fn files(authority: &Authority, trusted: &Authority, name: &str) -> ConnectFiles {
    let [certificates, key] = authority.pair(name).map(Into::into);
    ConnectFiles { authorities: trusted.file("ca.pem").into(), shown: Shown { certificates, key } }
}

async fn connect(url: &str, files: &ConnectFiles) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap().connect_timeout(Duration::from_secs(3));
    endpoint.connect_with_connector(connector(files).unwrap()).await.map_err(|error| error.to_string())
}

/// Asks something with an empty message, as a stream, and says how that ends, and whether anything came before.
async fn end(channel: Channel, method: &str) -> (Code, usize) {
    let mut grpc = tonic::client::Grpc::new(channel);
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let asking = async {
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = method.parse().unwrap();
        let request = tonic::Request::new(tokio_stream::once(()));
        let mut answers = grpc.streaming(request, path, codec).await?.into_inner();
        let mut count = 0;
        while answers.message().await?.is_some() {
            count += 1;
        }
        Ok::<usize, Status>(count)
    };
    match tokio::time::timeout(Duration::from_secs(5), asking).await {
        Ok(Ok(count)) => (Code::Ok, count),
        // A server that went away while it was being asked has said no, too.
        Ok(Err(status)) => (status.code(), 0),
        Err(_) => (Code::Ok, 0),
    }
}

/// A certificate by the authority, which no verb of `vmcpctl` makes, until so many seconds after 1970.
fn craft(authority: &Authority, name: &str, id: &str, until_seconds: u64) {
    let read = |file: &str| fs_err::read_to_string(authority.file(file)).unwrap();
    let issuer =
        Issuer::from_ca_cert_pem(&read("ca.pem"), KeyPair::from_pem(&read("ca-key.pem")).unwrap()).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names.push(SanType::URI(id.try_into().unwrap()));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(until_seconds);
    let key = KeyPair::generate().unwrap();
    let [cert_file, key_file] = authority.pair(name);
    fs_err::write(cert_file, params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    fs_err::write(key_file, key.serialize_pem()).unwrap();
}

async fn begun() -> (ControlPlane, RawBackend) {
    let control_plane = ControlPlane::start_over_tls(PROGRAMS).await;
    let backend = offering(&["echo"], true).await;
    let manifest = format!(
        "name: one\ngroup: g\nincoming_auth: {{type: anonymous}}\n---\nname: two\ngroup: g\nincoming_auth: {{type: anonymous}}\n---\nkind: group\nname: g\nworkloads: [{{name: a, url: '{}'}}]\n",
        backend.url()
    );
    control_plane.apply(&manifest, &[]).await.good();
    (control_plane, backend)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from its beginning to its end")]
async fn control_channel_authz() {
    let (control_plane, _backend) = begun().await;
    let authority = control_plane.authority();
    let mut known: Vec<String> = ASKED.iter().map(ToString::to_string).collect();
    let mut all = methods();
    known.sort();
    all.sort();
    assert_eq!(all, known, "each method has a row");

    let stranger = Authority::new(PROGRAMS.vmcpctl);
    authority.certs(&["replica", "edge"]).good();
    for role in ["read", "write"] {
        authority.certs(&["operator", role, "--role", role]).good();
    }
    craft(authority, "expired", "spiffe://vmcp.local/operator/admin/eve", 1_600_000_000);
    craft(authority, "nobody", "spiffe://vmcp.local/somebody/else", 4_000_000_000);
    craft(authority, "deeper", "spiffe://vmcp.local/operator/admin/x/y", 4_000_000_000);
    let urls = [control_plane.api_url(), control_plane.publish_url()];

    // Without TLS, and without a certificate, there is no connection at all.
    for url in &urls {
        let plain = Endpoint::from_shared(url.replace("https", "http")).unwrap().connect().await;
        if let Ok(channel) = plain {
            assert_ne!(end(channel, "/vmcp.v1.Control/GetStatus").await.0, Code::Ok);
        }
        let ca = fs_err::read(authority.file("ca.pem")).unwrap();
        let bare = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
            .http2_prior_knowledge()
            .build()
            .unwrap();
        assert!(bare.post(format!("{url}/vmcp.v1.Control/GetStatus")).send().await.is_err());
        for (name, by) in [("ada", &stranger), ("expired", authority)] {
            let channel = connect(url, &files(by, authority, name)).await;
            for method in &all {
                let (code, count) = match &channel {
                    Ok(channel) => end(channel.clone(), method).await,
                    Err(_) => (Code::Unavailable, 0),
                };
                assert!(code != Code::Ok && count == 0, "{name} {url} {method}: {code:?}");
            }
        }
    }

    // With one, what it allows, and nothing else.
    let reads =
        ["Diff", "Get", "GetCatalog", "GetStatus", "History", "Watch", "Check", "ServerReflectionInfo"];
    for (name, may) in [
        ("nobody", &[][..]),
        ("deeper", &[]),
        ("edge", &[]),
        ("read", &reads),
        ("write", &[&reads[..], &["Apply"]].concat()),
        ("ada", &[&reads[..], &["Apply", "Delete", "Rollback"]].concat()),
    ] {
        for url in &urls {
            let channel = connect(url, &files(authority, authority, name)).await.unwrap();
            for method in &all {
                let (code, count) = end(channel.clone(), method).await;
                let verb = method.rsplit('/').next().unwrap();
                let is_there = method.contains("Publish") == (*url == urls[1]);
                let is_allowed = is_there && (may.contains(&verb) || (name == "edge" && verb == "Follow"));
                if is_allowed {
                    assert_ne!(code, Code::PermissionDenied, "{name} {method}");
                } else {
                    let expected = [Code::PermissionDenied, Code::Unimplemented];
                    assert!(expected.contains(&code) && count == 0, "{name} {url} {method}: {code:?}");
                }
            }
        }
    }
    // Pruning takes out.
    let manifest =
        "name: one\ngroup: g\nincoming_auth: {type: anonymous}\n---\nkind: group\nname: g\nworkloads: []\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vmcp.yaml");
    fs_err::write(&file, manifest).unwrap();
    let said = control_plane.ctl_as("write", &["apply", "--prune", "-f", file.to_str().unwrap()]).await;
    assert!(said.code == Some(1) && said.err.contains("needs the role `admin`"), "{said:?}");
    let said = control_plane.ctl_as("read", &["apply", "-f", file.to_str().unwrap()]).await;
    assert!(said.code == Some(1) && said.err.contains("needs the role `write`"), "{said:?}");
    assert!(control_plane.process().log().contains("spiffe://vmcp.local/operator/admin/ada"));
}

/// A stream that says hello, and what comes of it until it ends.
async fn follow(
    channel: Channel,
    replica: &str,
    wanted: &[&str],
) -> Result<tonic::Streaming<v1::ToReplica>, Status> {
    let hello = v1::Hello {
        replica: replica.to_owned(),
        virtual_servers: wanted.iter().map(|name| (*name).to_owned()).collect(),
        ..v1::Hello::default()
    };
    let (send, messages) = tokio::sync::mpsc::channel(4);
    let hello = v1::FromReplica { message: Some(Said::Hello(hello)) };
    send.send(hello).await.unwrap();
    tokio::spawn(async move { send.closed().await });
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    Ok(PublishClient::new(channel).follow(messages).await?.into_inner())
}

#[tokio::test]
async fn a_replica_gets_what_its_identity_allows_whatever_it_says() {
    let (control_plane, _backend) = begun().await;
    let authority = control_plane.authority();
    authority.certs(&["replica", "edge"]).good();
    authority.certs(&["replica", "other"]).good();
    let access = authority.file("access.yaml");
    let whole = fs_err::read_to_string(&access).unwrap();
    let narrow = whole.replace(
        "  - id: spiffe://vmcp.local/replica/*\n",
        "  - id: spiffe://vmcp.local/replica/edge\n    virtual_servers: [one]\n  - id: spiffe://vmcp.local/replica/other\n",
    );
    // What cannot be read changes nothing.
    fs_err::write(&access, "replicas: [{id: somebody}]").unwrap();
    let is_said = async || control_plane.process().log().contains("who may do what stays as it was");
    assert!(eventually(Duration::from_secs(5), is_said).await);
    fs_err::write(&access, &narrow).unwrap();
    let is_read = async || control_plane.process().log().contains("who may do what was read again");
    assert!(eventually(Duration::from_secs(5), is_read).await);

    let edge = DataPlane::start_as(PROGRAMS.data_plane, &control_plane, "edge", &[]).await;
    control_plane.until_current(&edge.replica, Duration::from_secs(10)).await;
    let origin = edge.url.trim_end_matches("/mcp").to_owned();
    let lists = async |server: &str| {
        let answer =
            vmcp_testkit::Client::new(format!("{origin}/{server}/mcp")).modern("tools/list", "").await;
        answer.status.as_u16()
    };
    assert_eq!((lists("one").await, lists("two").await), (200, 404));
    let channel = connect(&control_plane.publish_url(), &files(authority, authority, "edge")).await.unwrap();
    let mut stream = follow(channel.clone(), "by-hand", &["two"]).await.unwrap();
    let refused = stream.message().await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");

    // The other one may have both; a right that is taken is gone within seconds, on a stream that is open.
    let other = DataPlane::start_as(PROGRAMS.data_plane, &control_plane, "other", &[]).await;
    control_plane.until_current(&other.replica, Duration::from_secs(10)).await;
    let gone = narrow.replace("  - id: spiffe://vmcp.local/replica/other\n", "");
    fs_err::write(&access, gone).unwrap();
    let is_away = async || control_plane.replica(&other.replica).await["connected"] == false;
    assert!(eventually(Duration::from_secs(5), is_away).await);
    assert_eq!(control_plane.replica(&edge.replica).await["connected"], true);
    // It serves on, and says why nobody tells it anything new.
    let is_told = async || {
        let status = other.status().await;
        status.to_string().contains("may not follow")
    };
    assert!(eventually(Duration::from_secs(15), is_told).await, "{}", other.status().await);

    // A certificate that is revoked is out at once, too.
    authority.certs(&["revoke", "edge"]).good();
    let is_away = async || control_plane.replica(&edge.replica).await["connected"] == false;
    assert!(eventually(Duration::from_secs(5), is_away).await);
    assert!(
        connect(&control_plane.publish_url(), &files(authority, authority, "edge")).await.is_err() || {
            let ended = end(channel, "/vmcp.v1.Publish/Follow").await.0;
            ended != Code::Ok
        }
    );
    assert_eq!(lists("one").await, 200, "what it has it serves");
    let taken = authority.certs(&["operator", "other", "--role", "read"]);
    assert!(taken.code != Some(0) && taken.err.contains("has a certificate as"), "{taken:?}");
    let odd = authority.certs(&["control-plane", "third", "--host", "https://a.example:4490"]);
    assert!(odd.code != Some(0) && odd.err.contains("is not the name of a host"), "{odd:?}");
    let listed = authority.certs(&["list"]).good().out;
    assert!(listed.lines().any(|line| line.contains("replica/edge") && line.contains("yes")), "{listed}");
}

#[tokio::test]
async fn a_crowd_of_streams_and_a_large_message_hurt_nobody_else() {
    let (control_plane, _backend) = begun().await;
    let authority = control_plane.authority();
    authority.certs(&["replica", "many"]).good();
    authority.certs(&["replica", "edge"]).good();
    let url = control_plane.publish_url();
    let many = files(authority, authority, "many");
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..6 {
        let channel = connect(&url, &many).await.unwrap();
        for _ in 0..200 {
            match follow(channel.clone(), &format!("r{}", open.len()), &[]).await {
                Ok(stream) => open.push(stream),
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                    refused += 1;
                }
            }
        }
    }
    assert_eq!((open.len(), refused), (1_024, 176));
    let edge = DataPlane::start_as(PROGRAMS.data_plane, &control_plane, "edge", &[]).await;
    control_plane.until_current(&edge.replica, Duration::from_secs(10)).await;
    drop(open);

    // A message over the bound ends its stream alone.
    let channel = connect(&url, &many).await.unwrap();
    let hello = v1::Hello { replica: "x".repeat(64 << 20), ..v1::Hello::default() };
    let hello = v1::FromReplica { message: Some(Said::Hello(hello)) };
    let ended = match PublishClient::new(channel).follow(tokio_stream::once(hello)).await {
        Ok(answer) => answer.into_inner().message().await.is_err(),
        Err(_) => true,
    };
    assert!(ended);
    let ada = connect(&control_plane.api_url(), &files(authority, authority, "ada")).await.unwrap();
    let status = ControlClient::new(ada).get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.replicas.iter().any(|replica| replica.id == edge.replica && replica.connected));
}

#[tokio::test]
async fn a_stream_ends_with_its_certificate_and_clients_are_served_over_tls() {
    let (control_plane, _backend) = begun().await;
    let authority = control_plane.authority();
    // A short-lived certificate: it ends while its stream is open.
    let soon = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 4;
    craft(authority, "brief", "spiffe://vmcp.local/replica/brief", soon);
    let channel = connect(&control_plane.publish_url(), &files(authority, authority, "brief")).await.unwrap();
    let mut stream = follow(channel, "brief", &[]).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    let ended = async { while let Ok(Some(_)) = stream.message().await {} };
    assert!(tokio::time::timeout(Duration::from_secs(10), ended).await.is_ok());

    // Clients: a certificate that is replaced is shown to the next, without a restart.
    authority.certs(&["replica", "edge"]).good();
    authority.certs(&["control-plane", "front", "--host", "localhost"]).good();
    let [cert, key] = authority.pair("front");
    let more = ["--tls-cert", &cert, "--tls-key", &key];
    let edge = DataPlane::start_as(PROGRAMS.data_plane, &control_plane, "edge", &more).await;
    control_plane.until_current(&edge.replica, Duration::from_secs(10)).await;
    let url = edge.url.replace("http://127.0.0.1", "https://localhost").replace("/mcp", "/one/mcp");
    let ca = reqwest::Certificate::from_pem(&fs_err::read(authority.file("ca.pem")).unwrap()).unwrap();
    let ask = async || {
        let client = reqwest::Client::builder().tls_certs_only([ca.clone()]).tls_info(true).build().unwrap();
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
        let request = client
            .post(&url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        let answer = request.body(body).send().await.unwrap();
        let shown = answer
            .extensions()
            .get::<reqwest::tls::TlsInfo>()
            .and_then(|info| info.peer_certificate())
            .map(<[u8]>::to_vec);
        let version = answer.version();
        assert!(answer.text().await.unwrap().contains("a_echo"));
        (shown, version)
    };
    let (first, version) = ask().await;
    assert_eq!(version, http::Version::HTTP_2);
    authority.certs(&["control-plane", "front", "--host", "localhost"]).good();
    assert!(eventually(Duration::from_secs(5), async || ask().await.0 != first).await);
    // Nobody is spoken to in the clear.
    assert!(reqwest::get(&edge.url).await.is_err());
}

#[tokio::test]
async fn what_the_guide_of_the_channel_shows_works() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = crate::quickstart::blocks("docs/operating/control-channel.md", "sh");
    for line in blocks[0].lines() {
        let line = line.split('#').next().unwrap().trim();
        let arguments: Vec<&str> = line.split_whitespace().skip(1).collect();
        let output =
            std::process::Command::new(PROGRAMS.vmcpctl).args(&arguments).current_dir(&folder).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let access = &crate::quickstart::blocks("docs/operating/control-channel.md", "yaml")[0];
    fs_err::write(folder.path().join("certs/access.yaml"), access).unwrap();
    // The same flags, at free ports.
    let run = |program: &str, line: &str, more: &[&str]| {
        let mut command = std::process::Command::new(program);
        let arguments = line.split_whitespace().skip(1);
        command.args(arguments).args(more).current_dir(&folder);
        command
    };
    let lines: Vec<String> =
        blocks[1].lines().map(|line| line.replace(":4490", ":0").replace(":4491", ":0")).collect();
    let more = ["--http-listen", "127.0.0.1:0"];
    let mark = "control plane started";
    let control_plane =
        vmcp_testkit::Process::start_of(run(PROGRAMS.control_plane, &lines[0], &more), mark).await;
    let port = |mark: &str| control_plane.said(mark).rsplit(':').next().unwrap().to_owned();
    let follow = lines[1].replace(":0", &format!(":{}", port("publish=")));
    let more = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let _replica =
        vmcp_testkit::Process::start_of(run(PROGRAMS.data_plane, &follow, &more), "data plane started").await;
    let context = lines[2].replace(":0", &format!(":{}", port("api=")));
    let ctl = |line: &str| run(PROGRAMS.vmcpctl, line, &[]).env("HOME", folder.path()).output().unwrap();
    assert!(ctl(&context).status.success());
    let follows = async || {
        let status = ctl(&format!("{} -o json", lines[3]));
        String::from_utf8_lossy(&status.stdout).contains("\"connected\": true")
    };
    assert!(eventually(Duration::from_secs(10), follows).await, "{}", control_plane.log());
}
