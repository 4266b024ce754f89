//! How a virtual server deals with backends that are slow, busy or gone.

use std::collections::BTreeMap;
use std::time::Duration;

use vmcp_core::name::Name;
use vmcp_core::operational::{Breaker, HealthChecks, Operational, PartialFailure, Timeouts};
use vmcp_core::sentence::shown;

use crate::decode::Key::{Built, Later};
use crate::decode::{Decoder, Fields, Table, join};
use crate::document::{Mention, Step};
use crate::duration::duration;
use crate::tree::{Node, Value};

pub(crate) const OPERATIONAL: Table =
    Table { name: "Operational", keys: &[Built("timeouts"), Built("failure_handling"), Later("log_level")] };

pub(crate) const TIMEOUTS: Table =
    Table { name: "Timeouts", keys: &[Built("default"), Built("per_workload")] };

pub(crate) const BOUNDS: Table = Table {
    name: "TimeBounds",
    keys: &[Built("connect"), Built("first_byte"), Built("idle"), Built("total")],
};

pub(crate) const FAILURE_HANDLING: Table = Table {
    name: "FailureHandling",
    keys: &[
        Built("health_check_interval"),
        Built("health_check_timeout"),
        Built("unhealthy_threshold"),
        Built("status_reporting_interval"),
        Built("partial_failure_mode"),
        Built("circuit_breaker"),
    ],
};

pub(crate) const PARTIAL_FAILURE_MODE: Table =
    Table { name: "PartialFailureMode", keys: &[Built("best_effort"), Built("fail")] };

pub(crate) const CIRCUIT_BREAKER: Table =
    Table { name: "CircuitBreaker", keys: &[Built("enabled"), Built("failure_threshold"), Built("timeout")] };

/// The shortest time that a breaker stays open, and from one question to the next: less is no rest.
const SHORTEST: Duration = Duration::from_secs(1);

/// What it says, and the workloads that it names.
pub(super) fn operational(decoder: &mut Decoder, node: &Node, path: &str) -> (Operational, Vec<Mention>) {
    let mut operational = Operational::default();
    let mut mentions = Vec::new();
    let Some(fields) = decoder.mapping(node, path, &OPERATIONAL) else { return (operational, mentions) };
    if let Some((node, path)) = fields.get("timeouts")
        && let Some(fields) = decoder.mapping(node, &path, &TIMEOUTS)
    {
        if let Some((node, path)) = fields.get("default") {
            operational.timeouts = timeouts(decoder, node, &path, Timeouts::default()).unwrap_or_default();
        }
        if let Some((node, path)) = fields.get("per_workload") {
            operational.per_workload =
                per_workload(decoder, node, &path, operational.timeouts, &mut mentions);
        }
    }
    if let Some((node, path)) = fields.get("failure_handling")
        && let Some(fields) = decoder.mapping(node, &path, &FAILURE_HANDLING)
    {
        operational.health = health(decoder, &fields);
        operational.status_reporting_interval = time(decoder, &fields, "status_reporting_interval", SHORTEST);
        let mode = fields.get("partial_failure_mode");
        if mode.and_then(|(node, path)| decoder.word(node, &path, &PARTIAL_FAILURE_MODE)) == Some("fail") {
            operational.partial_failure = PartialFailure::Fail;
        }
        if let Some((node, path)) = fields.get("circuit_breaker") {
            operational.breaker = breaker(decoder, node, &path);
        }
    }
    (operational, mentions)
}

fn per_workload(
    decoder: &mut Decoder,
    node: &Node,
    path: &str,
    usual: Timeouts,
    mentions: &mut Vec<Mention>,
) -> BTreeMap<Name, Timeouts> {
    let mut all = BTreeMap::new();
    for (key, node) in decoder.free_mapping(node, path) {
        let here = join(path, &shown(key.text()));
        let name = decoder.text::<Name>(key, &here);
        let timeouts = timeouts(decoder, node, &here, usual);
        if let (Some(name), Some(timeouts)) = (name, timeouts) {
            let (workload, path) = (name.as_str().into(), path.into());
            mentions.push(Mention { workload, path, step: Step::Key, place: key.place });
            all.insert(name, timeouts);
        }
    }
    all
}

/// One time for all waiting, or each bound by itself; those that are not written are the usual ones.
fn timeouts(decoder: &mut Decoder, node: &Node, path: &str, usual: Timeouts) -> Option<Timeouts> {
    if !matches!(node.value, Value::Mapping(_)) {
        return duration(decoder, node, path, Duration::from_millis(1)).map(Timeouts::of);
    }
    let fields = decoder.mapping(node, path, &BOUNDS)?;
    let shortest = Duration::from_millis(1);
    let timeouts = Timeouts {
        connect: time(decoder, &fields, "connect", shortest).unwrap_or(usual.connect),
        first_byte: time(decoder, &fields, "first_byte", shortest).unwrap_or(usual.first_byte),
        idle: time(decoder, &fields, "idle", shortest).unwrap_or(usual.idle),
        total: time(decoder, &fields, "total", shortest).unwrap_or(usual.total),
    };
    Some(timeouts)
}

fn health(decoder: &mut Decoder, fields: &Fields<'_>) -> HealthChecks {
    let mut health = HealthChecks::default();
    if let Some(interval) = time(decoder, fields, "health_check_interval", SHORTEST) {
        health.interval = interval;
        health.timeout = health.timeout.min(interval);
    }
    if let Some((node, path)) = fields.get("health_check_timeout")
        && let Some(timeout) = duration(decoder, node, &path, Duration::ZERO)
    {
        // As in ToolHive, 0 is the usual one.
        if timeout >= health.interval {
            let message = "`health_check_timeout` is not shorter than `health_check_interval`".to_owned();
            let help = "a question must have ended before the next one is asked".to_owned();
            decoder.fault(&node.place, &path, message, Some(help));
        } else if !timeout.is_zero() {
            health.timeout = timeout;
        }
    }
    health.unhealthy_threshold =
        count(decoder, fields, "unhealthy_threshold").unwrap_or(health.unhealthy_threshold);
    health
}

fn breaker(decoder: &mut Decoder, node: &Node, path: &str) -> Breaker {
    let usual = Breaker::default();
    let Some(fields) = decoder.mapping(node, path, &CIRCUIT_BREAKER) else { return usual };
    let enabled = fields.get("enabled").and_then(|(node, path)| decoder.boolean(node, &path));
    Breaker {
        is_enabled: enabled.unwrap_or(usual.is_enabled),
        failure_threshold: count(decoder, &fields, "failure_threshold").unwrap_or(usual.failure_threshold),
        timeout: time(decoder, &fields, "timeout", SHORTEST).unwrap_or(usual.timeout),
    }
}

fn time(decoder: &mut Decoder, fields: &Fields<'_>, key: &str, shortest: Duration) -> Option<Duration> {
    let (node, path) = fields.get(key)?;
    duration(decoder, node, &path, shortest)
}

/// How often something may happen: at least once.
fn count(decoder: &mut Decoder, fields: &Fields<'_>, key: &str) -> Option<u32> {
    let (node, path) = fields.get(key)?;
    let count: u32 = decoder.text(node, &path)?;
    if count == 0 {
        decoder.fault(&node.place, &path, format!("`{key}` is at least 1"), None);
        return None;
    }
    Some(count)
}
