//! Groups that providers find, and how their backends are dealt with.

use std::time::Duration;

use vmcp_core::desired::{Address, Endpoints, Sessions, ToolHive, ToolHiveApi, ToolHiveSource, Transport};
use vmcp_core::operational::{Operational, PartialFailure, Timeouts};

use super::{faults, read_one};

const SERVER: &str = "name: s\ngroup: team\nincoming_auth: {type: anonymous}\n";

fn toolhive(text: &str) -> Result<ToolHive, Vec<String>> {
    let text = format!("kind: group\nname: team\ntoolhive: {text}\n");
    match read_one(&text) {
        Ok(desired) => Ok(desired.groups.into_values().next().unwrap().toolhive.unwrap()),
        Err(_) => Err(faults(&text)),
    }
}

#[test]
fn a_group_that_nobody_describes_is_toolhive_s() {
    let desired = read_one(SERVER).unwrap();
    let found = desired.groups[&"team".parse().unwrap()].toolhive.clone().unwrap();
    assert_eq!(found, toolhive("{}").unwrap());
    assert_eq!(found.source, ToolHiveSource::Files { state: None, data: None });
    let near = faults(&format!("{SERVER}---\nkind: group\nname: teams\nworkloads: []\n"));
    assert_eq!(near, ["2:8 group: no document describes the group `team`"]);
}

#[test]
fn workloads_that_a_provider_finds_may_be_named() {
    let rules = "aggregation: {tools: [{workload: github, filter: [x]}]}\n";
    assert!(read_one(&format!("{SERVER}{rules}")).is_ok());
    let written = format!("{SERVER}{rules}---\nkind: group\nname: team\nworkloads: []\n");
    assert!(faults(&written)[0].contains("no workload `github`"));
}

#[test]
fn toolhive_is_found_where_the_group_says() {
    let api = toolhive("{group: my team, host: '::1', api: 'http://10.0.0.1:8080'}").unwrap();
    assert_eq!((api.group.as_str(), api.host.as_str()), ("my team", "[::1]"));
    assert!(matches!(api.source, ToolHiveSource::Api(ToolHiveApi::Url(_))));
    let files = toolhive("{state_dir: /a, data_dir: /b, host: host.docker.internal}").unwrap();
    assert_eq!(files.source, ToolHiveSource::Files { state: Some("/a".into()), data: Some("/b".into()) });
    for (text, part) in [
        ("{group: Team}", "ToolHive has no group called `Team`"),
        ("{host: 'http://h'}", "not the name of a host"),
        ("{host: 'h:80'}", "not the name of a host"),
        ("{api: 'unix:/x'}", "not an http or https address"),
        ("{socket: x}", "`x` is not an absolute path"),
        ("{api: 'http://h', socket: /x}", "either at `api` or at `socket`"),
        ("{api: 'http://h', state_dir: /x}", "and the API is asked"),
        ("{hosts: x}", "unknown key `hosts`"),
        ("[]", "expected a mapping"),
    ] {
        let found = toolhive(text).unwrap_err().join("\n");
        assert!(found.contains(part), "{text}: {found}");
    }
}

fn operational(text: &str) -> Result<Operational, Vec<String>> {
    let text = format!("{SERVER}operational: {text}\n");
    match read_one(&text) {
        Ok(desired) => Ok(desired.virtual_servers.into_values().next().unwrap().operational),
        Err(_) => Err(faults(&text)),
    }
}

#[test]
fn every_key_of_operational_is_read_in_both_spellings() {
    let snake = "{timeouts: {default: 20s, per_workload: {a: 45s, b: {connect: 2s, first_byte: 3s, idle: 4s, total: 5m}, c: {idle: 9s}}}, failure_handling: {health_check_interval: 7s, health_check_timeout: 6s, unhealthy_threshold: 2, status_reporting_interval: 8s, partial_failure_mode: fail, circuit_breaker: {enabled: false, failure_threshold: 9, timeout: 10s}}}";
    let camel = "{timeouts: {default: 20s, perWorkload: {a: 45s, b: {connect: 2s, firstByte: 3s, idle: 4s, total: 5m}, c: {idle: 9s}}}, failureHandling: {healthCheckInterval: 7s, healthCheckTimeout: 6s, unhealthyThreshold: 2, statusReportingInterval: 8s, partialFailureMode: fail, circuitBreaker: {enabled: false, failureThreshold: 9, timeout: 10s}}}";
    let read = operational(snake).unwrap();
    assert_eq!(read, operational(camel).unwrap());
    let seconds = Duration::from_secs;
    let of = |name: &str| read.timeouts(&name.parse().unwrap());
    assert_eq!(of("z"), Timeouts::of(seconds(20)));
    assert_eq!(of("a"), Timeouts::of(seconds(45)));
    let all = Timeouts { connect: seconds(2), first_byte: seconds(3), idle: seconds(4), total: seconds(300) };
    assert_eq!(of("b"), all);
    assert_eq!(of("c"), Timeouts { idle: seconds(9), ..Timeouts::of(seconds(20)) });
    assert_eq!((read.health.interval, read.health.timeout), (seconds(7), seconds(6)));
    assert_eq!((read.health.unhealthy_threshold, read.status_reporting_interval), (2, Some(seconds(8))));
    assert_eq!(read.partial_failure, PartialFailure::Fail);
    assert!(!read.breaker.is_enabled);
    assert_eq!((read.breaker.failure_threshold, read.breaker.timeout), (9, seconds(10)));
    assert_eq!(operational("{}").unwrap(), Operational::default());
}

#[test]
fn times_that_cannot_be_meant_are_refused() {
    for (text, part) in [
        ("{timeouts: {default: 30}}", "`30` is not a length of time"),
        ("{timeouts: {default: 0s}}", "`0s` is too short"),
        ("{timeouts: {per_workload: {a: 200h}}}", "`200h` is too long"),
        ("{failure_handling: {health_check_interval: 100ms}}", "too short"),
        ("{failure_handling: {health_check_interval: 5s, health_check_timeout: 5s}}", "not shorter than"),
        ("{failure_handling: {unhealthy_threshold: -1}}", "`-1`"),
        ("{failure_handling: {partial_failure_mode: best-effort}}", "unknown value"),
        ("{failure_handling: {circuit_breaker: {failure_threshold: 0}}}", "at least 1"),
        ("{failure_handling: {circuit_breaker: {timeout: 10ms}}}", "too short"),
        ("{log_level: debug}", "`log_level` is not built yet"),
    ] {
        let found = operational(text).unwrap_err().join("\n");
        assert!(found.contains(part), "{text}: {found}");
    }
    let short =
        operational("{failure_handling: {health_check_interval: 3s, health_check_timeout: 0}}").unwrap();
    assert_eq!(short.health.timeout, Duration::from_secs(3), "the usual time, as far as it fits");
}

fn workload(text: &str) -> Result<Endpoints, Vec<String>> {
    let text = format!("kind: group\nname: team\nworkloads: [{{name: w, {text}}}]\n");
    match read_one(&text) {
        Ok(desired) => {
            let group = desired.groups.into_values().next().unwrap();
            let Some(Address::Remote(endpoints)) = group.workloads.into_values().next() else { panic!() };
            Ok(endpoints)
        }
        Err(_) => Err(faults(&text)),
    }
}

#[test]
fn a_workload_says_where_it_is_and_what_it_is_shown() {
    let text = "urls: ['http://a/', 'http://b/'], transport: sse, sessions: shared, ca_bundle: /ca.pem, headers: {X-Team: 7, Authorization: {env: KEY, prefix: 'Bearer '}}";
    let endpoints = workload(text).unwrap();
    assert_eq!((endpoints.urls.len(), endpoints.transport), (2, Transport::Sse));
    assert_eq!(endpoints.sessions, Sessions::Shared);
    assert_eq!(endpoints.ca_bundle, Some("/ca.pem".into()));
    let names: Vec<&str> = endpoints.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["authorization", "x-team"]);
    let headers = endpoints.header_map(|_| Ok("secret".into())).unwrap();
    assert_eq!(
        (&headers["authorization"], &headers["x-team"]),
        (&"Bearer secret".parse().unwrap(), &"7".parse().unwrap())
    );
    assert!(!format!("{headers:?}{endpoints:?}").contains("secret"));
    for (text, part) in [
        ("url: 'http://a/', urls: ['http://b/']", "either `url` or `urls`"),
        ("urls: []", "`urls` is empty"),
        ("urls: ['http://a/', 'http://a/']", "stands in `urls` twice"),
        ("urls: ['http://a/', 'nowhere']", "not an http or https address"),
        ("url: 'http://a/', headers: {Host: x}", "`host` is set by what carries the request"),
        ("url: 'http://a/', headers: {Mcp-Session-Id: x}", "`mcp-session-id` is set by"),
        ("url: 'http://a/', headers: {'a b': x}", "`a b` is not the name of a header"),
        ("url: 'http://a/', headers: {x: 1, X: 2}", "`x` is written twice"),
        ("url: 'http://a/', headers: {x: \"a\\nb\"}", "this cannot stand in a header"),
        ("url: 'http://a/', ca_bundle: ca.pem", "`ca.pem` is not an absolute path"),
        ("command: x, headers: {x: 1}", "`headers` belongs to a `url`"),
        ("command: x, sessions: sticky", "`sessions` belongs to a `url`"),
        ("url: 'http://a/', sessions: stickey", "`sticky`"),
    ] {
        let found = workload(text).unwrap_err().join("\n");
        assert!(found.contains(part), "{text}: {found}");
    }
}

#[test]
fn headers_of_clients_are_passed_on_if_they_are_nobody_s_secret() {
    let read = |text: &str| {
        let text = format!("{SERVER}passthroughHeaders: {text}\n");
        read_one(&text).map_err(|_| faults(&text))
    };
    let desired = read("[X-Tenant, x-trace, X-Tenant]").unwrap();
    let server = desired.virtual_servers.into_values().next().unwrap();
    assert_eq!(server.passthrough_headers, ["x-tenant", "x-trace"]);
    for (text, part) in [
        ("[Authorization]", "is not passed on"),
        ("[cookie]", "is not passed on"),
        ("[X-Forwarded-For]", "is set by what carries the request"),
        ("['']", "is not the name of a header"),
    ] {
        let found = read(text).unwrap_err().join("\n");
        assert!(found.contains(part), "{text}: {found}");
    }
}
