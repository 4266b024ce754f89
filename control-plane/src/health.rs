//! How each backend fares, out of what probes, replicas and the platform say of it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use vmcp_core::backend::BackendId;
use vmcp_core::desired::Desired;
use vmcp_core::health::{Health, Seen, Steady};
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_core::operational::HealthChecks;
use vmcp_revision::Avoided;

use crate::introspect::Observations;
use crate::workloads::{Located, Workloads};

/// What is said of each backend, and since when.
#[derive(Debug)]
pub(crate) struct Healths {
    steady: BTreeMap<BackendId, Steady>,
    began: Instant,
}

/// How each backend fares.
pub(crate) type HealthOf = BTreeMap<BackendId, Fares>;

/// How a backend fares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fares {
    pub(crate) health: Health,
    /// Why it is not well, where it is not that it does not answer us.
    pub(crate) reason: Option<String>,
}

impl Healths {
    pub(crate) fn new() -> Self {
        Self { steady: BTreeMap::new(), began: Instant::now() }
    }

    /// How every workload fares now, and when to look again if nothing else happens.
    pub(crate) fn turn(
        &mut self,
        desired: &Desired,
        workloads: &Workloads,
        known: &Observations,
        avoided: &Avoided,
    ) -> (HealthOf, Option<Instant>) {
        let now = self.began.elapsed();
        self.steady.retain(|id, _| workloads.contains_key(id));
        let mut healths = HealthOf::new();
        let mut look_at: Option<Duration> = None;
        for (id, located) in workloads {
            let mut seen = Seen {
                threshold: checks(desired, &id.group).unhealthy_threshold,
                platform: located.as_ref().and_then(platform),
                avoided_by: avoided.by.get(id).copied().unwrap_or_default(),
                replicas: avoided.replicas,
                ..Seen::default()
            };
            if let Some(known) = known.get(id) {
                seen.has_answered = known.inventory.is_some();
                (seen.failures, seen.is_refused, seen.is_slow) =
                    (known.vitals.failures, known.vitals.is_refused, known.vitals.is_slow);
                seen.is_partial = known.is_stale
                    || known.inventory.as_ref().is_some_and(|inventory| !inventory.faults.is_empty());
            }
            let steady = self.steady.entry(id.clone()).or_default();
            let (health, again) = steady.turn(seen.health(), now, limits::BETTER_TIME);
            let reason = reason(&seen, located.as_ref()).filter(|_| health != Health::Healthy);
            healths.insert(id.clone(), Fares { health, reason });
            look_at = [look_at, again].into_iter().flatten().min();
        }
        (healths, look_at.map(|at| self.began + at))
    }
}

fn reason(seen: &Seen, located: Option<&Located>) -> Option<String> {
    let status = located.and_then(|located| located.status.as_deref());
    match (seen.avoided_by, seen.platform, status) {
        (0, Some(said), Some(status)) if said != Health::Healthy => Some(format!("ToolHive says `{status}`")),
        (0, ..) if seen.is_slow => Some("it answers slowly".to_owned()),
        (0, ..) => None,
        (avoided, ..) => {
            Some(format!("calls to it fail: {avoided} of {} replicas leave it alone", seen.replicas))
        }
    }
}

/// How a group's backends are asked whether they are there: as the strictest of the virtual servers that present it says.
pub(crate) fn checks(desired: &Desired, group: &Name) -> HealthChecks {
    let servers = desired.virtual_servers.values().filter(|server| server.group == *group);
    let strictest = servers.map(|server| server.operational.health).reduce(|one, other| HealthChecks {
        interval: one.interval.min(other.interval),
        timeout: one.timeout.min(other.timeout),
        unhealthy_threshold: one.unhealthy_threshold.min(other.unhealthy_threshold),
    });
    strictest.unwrap_or_default()
}

/// ToolHive's words for how a workload fares.
fn platform(located: &Located) -> Option<Health> {
    Some(match located.status.as_deref()? {
        "running" => Health::Healthy,
        "unhealthy" | "stopped" | "error" | "stopping" | "removing" | "policy_stopped" => Health::Unhealthy,
        "unauthenticated" => Health::Unauthenticated,
        "auth_retrying" => Health::Degraded,
        _ => return None,
    })
}
