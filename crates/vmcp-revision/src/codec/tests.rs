use vmcp_core::aggregation::{Annotations, ConflictResolution, Filter, Override, ToolRules};
use vmcp_core::audit::{Destination, Overflow};
use vmcp_core::boundary::{Client, Grant, Issuer, Proof, Reach, Strategy, SubjectTokenType, TokenExchange};
use vmcp_core::desired::{Endpoints, Found, Inventories, Sessions, Text, Transport};
use vmcp_core::inventory::Extensions;
use vmcp_core::operational::{Breaker, PartialFailure, Timeouts};
use vmcp_core::written::Line;

use super::*;

fn served(text: &str, is_default: bool) -> ServedServer {
    ServedServer {
        name: name(text),
        is_default,
        group: name("g"),
        incoming: Incoming::Anonymous,
        has_policies: false,
        outgoing: Outgoing::default(),
        public_url: None,
        allowed_hosts: Vec::new(),
        operational: Operational::default(),
        passthrough_headers: Vec::new(),
        workloads: vec![name("a"), name("b")],
        audit: None,
        resolution: None,
        held_names: Vec::new(),
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn what_is_encoded_is_decoded() {
    let mut server = served("all", true);
    server.passthrough_headers = vec![HeaderName::from_static("x-tenant")];
    let second = std::time::Duration::from_secs(1);
    server.operational.per_workload.insert(name("b"), Timeouts::of(second));
    server.incoming = Incoming::Oidc(issuers());
    server.outgoing = outgoing();
    (server.has_policies, server.allowed_hosts) = (true, vec!["mcp.example.com".into()]);
    server.public_url = Some("https://mcp.example.com/".parse().unwrap());
    server.operational.partial_failure = PartialFailure::Fail;
    let to = Destination::File { path: "/var/log/vmcp".into(), max_bytes: 4096, keep: 2 };
    let (event_types, redact) = (vec!["mcp_ping".into()], vec!["ssn".into()]);
    server.audit = Some(Audit { event_types, redact, to, overflow: Overflow::Refuse, ..Audit::default() });
    server.resolution = Some(resolution());
    server.held_names = vec![(Kind::Tool, "deploy".to_owned()), (Kind::Prompt, "review".to_owned())];
    server.operational.status_reporting_interval = Some(second);
    server.operational.breaker = Breaker { is_enabled: false, failure_threshold: 2, timeout: second };
    assert_eq!(decode(&encode_virtual_server(&server)), Ok(Decoded::VirtualServer(Box::new(server))));

    let id = BackendId { group: name("g"), name: name("b") };
    let legacy = Legacy { version: "2025-11-25".into(), has_sessions: true };
    let url = "http://127.0.0.1:1/mcp".parse().unwrap();
    let secret = |found| Text::Secret { before: "Bearer ".into(), found };
    let headers = [
        ("authorization", secret(Found::Variable("KEY".into()))),
        ("x-key", secret(Found::File("/run/key".into()))),
        ("x-plain", Text::Plain("1".into())),
    ];
    let headers = headers.map(|(name, text)| (HeaderName::from_static(name), text));
    let endpoints = Endpoints {
        urls: vec![url, "http://127.0.0.1:2/mcp".parse().unwrap()],
        transport: Transport::Sse,
        sessions: Sessions::Sticky,
        inventory: Inventories::PerPrincipal,
        headers: headers.into(),
        ca_bundle: Some("/etc/ca.pem".into()),
    };
    let backend = Backend { id, endpoints, eras: Eras { modern: true, legacy: Some(legacy) } };
    assert_eq!(decode(&encode_backend(&backend)), Ok(Decoded::Backend(backend)));

    let items = Kind::ALL.map(|kind| Exposed {
        kind,
        exposed_name: "b_x".into(),
        original_name: "x".into(),
        definition: Bytes::from_static(b"{}"),
        is_hidden: kind == Kind::Tool,
    });
    let extensions = Extensions { tasks: true, apps: true };
    let abilities = Abilities { completes: true, logs: false, subscribes: true, extensions };
    let share = Share { backend: name("b"), items: items.into(), abilities, instructions: None };
    assert_eq!(decode(&encode_share(&name("all"), &name("g"), &share)), Ok(Decoded::Share(share)));
}

fn resolution() -> Aggregation {
    let nowhere = || Line { file: "".into(), number: 0 };
    let annotations =
        Annotations { title: Some("T".into()), read_only_hint: Some(true), ..Annotations::default() };
    let changes = Override {
        line: nowhere(),
        name: Some("other".parse().unwrap()),
        description: Some("d".into()),
        annotations,
    };
    let rules = ToolRules {
        line: nowhere(),
        filter: vec![Filter { name: "x".into(), line: nowhere() }],
        overrides: [("own".to_owned(), changes)].into(),
        exclude_all: Some(nowhere()),
    };
    Aggregation {
        conflict_resolution: ConflictResolution::Manual,
        prefix_format: "{workload}.".parse().unwrap(),
        max_name_length: Some("64".parse().unwrap()),
        exclude_all_tools: None,
        deny_by_default: Some(nowhere()),
        tools: [(name("b"), rules)].into(),
    }
}

fn issuers() -> Vec<Issuer> {
    let issuer = |proof: Option<Proof>| Issuer {
        issuer: "https://issuer.example".into(),
        audience: "vmcp".into(),
        client: proof.map(|proof| Client { id: "us".into(), proof }),
        resource: Some("https://mcp.example.com".into()),
        scopes: vec!["a".into()],
        required_scopes: vec!["b".into()],
        jwks_url: Some("https://issuer.example/keys".into()),
        introspection_url: Some("https://issuer.example/introspect".into()),
        reach: Reach { ca_bundle: Some("/ca.pem".into()), allows_private_ip: true, allows_http: true },
    };
    let found = || Found::Variable("SECRET".into());
    let (key, key_id) = (Found::File("/key.pem".into()), Some("k".to_owned()));
    let signed = Proof::PrivateKey { key, key_id, algorithm: "ES256".into() };
    let proofs =
        [None, Some(Proof::None), Some(Proof::Basic(found())), Some(Proof::Post(found())), Some(signed)];
    proofs.map(issuer).into()
}

fn outgoing() -> Outgoing {
    let grant = Grant { token_url: Some("https://t".into()), scopes: vec!["s".into()], ..Grant::default() };
    let exchange = TokenExchange { grant: grant.clone(), subject_token_type: SubjectTokenType::Jwt };
    let header = Strategy::Header(HeaderName::from_static("x-key"), Text::Plain("1".into()));
    let all = [
        ("a", Strategy::PassThrough),
        ("b", Strategy::TokenExchange(Box::new(exchange))),
        ("c", Strategy::ClientCredentials(Box::new(grant))),
        ("d", Strategy::Unauthenticated),
    ];
    Outgoing { default: header, backends: all.map(|(backend, strategy)| (name(backend), strategy)).into() }
}

#[test]
fn policies_are_decoded_as_they_were_encoded() {
    let authorization = Authorization {
        policies: vec!["permit(principal, action, resource);".into()],
        entities: Some("[]".into()),
        group_claim: Some("groups".into()),
        role_claim: Some("realm_access.roles".into()),
        group_type: Some("Team".into()),
        ..Authorization::default()
    };
    let part = encode_policy_set(&name("all"), &authorization);
    assert_eq!(decode(&part), Ok(Decoded::PolicySet(Box::new(authorization))));
}

#[test]
fn damaged_and_misnamed_parts_are_rejected() {
    let good = encode_virtual_server(&served("all", false));
    let check = |name: PartName, bytes: &[u8]| decode(&Part::new(name, Bytes::copy_from_slice(bytes)));
    assert!(matches!(check(good.name.clone(), b"\xff"), Err(Rejection::Bytes(_))));
    let mut later = good.bytes.to_vec();
    later.extend_from_slice(b"\xc2\x0c\x01x");
    assert_eq!(check(good.name.clone(), &later), Err(Rejection::UnknownFields));
    assert!(matches!(check(good.name.clone(), b""), Err(Rejection::Field { field: "name", .. })));
    let other = PartName::VirtualServer(name("other"));
    assert_eq!(check(other, &good.bytes), Err(Rejection::Misnamed(good.name)));
}
