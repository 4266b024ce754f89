//! Groups that providers find, and how their backends are dealt with.

use std::time::Duration;

use vmcp_core::desired::{ToolHive, ToolHiveApi, ToolHiveSource};
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
