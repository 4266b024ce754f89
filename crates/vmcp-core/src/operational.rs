//! How a virtual server deals with backends that are slow, busy or gone.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits;
use crate::name::Name;

/// `operational` of a virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operational {
    /// How long workloads may take that are not in `per_workload`.
    pub timeouts: Timeouts,
    /// How long single workloads may take.
    pub per_workload: BTreeMap<Name, Timeouts>,
    /// How the control plane asks whether backends are there.
    pub health: HealthChecks,
    /// How often replicas say how they fare.
    pub status_reporting_interval: Option<Duration>,
    /// What becomes of lists while a backend is unavailable.
    pub partial_failure: PartialFailure,
    /// When a replica stops calling a backend that fails.
    pub breaker: Breaker,
}

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// From the request until the answer begins.
    pub first_byte: Duration,
    /// Within an answer, from one message to the next; progress begins it anew.
    pub idle: Duration,
    /// All of it, whatever happens.
    pub total: Duration,
}

/// How the control plane asks whether backends are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthChecks {
    /// From one question to the next.
    pub interval: Duration,
    /// Until a question counts as not answered.
    pub timeout: Duration,
    /// Questions in a row that were not answered before a backend is unhealthy.
    pub unhealthy_threshold: u32,
}

/// What becomes of lists while a backend is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PartialFailure {
    /// They are answered, and name the backends that are missing.
    #[default]
    BestEffort,
    /// They are refused.
    Fail,
}

/// When a replica stops calling a backend that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Whether it ever does.
    pub is_enabled: bool,
    /// Failed calls in a row that open it.
    pub failure_threshold: u32,
    /// The longest time that it stays open before one call is let through to see.
    pub timeout: Duration,
}

impl Operational {
    /// How long a workload may take.
    pub fn timeouts(&self, workload: &Name) -> Timeouts {
        self.per_workload.get(workload).copied().unwrap_or(self.timeouts)
    }
}

impl Timeouts {
    /// One time for everything that is waiting for the backend: until its answer begins, and from one message to the next.
    pub fn of(time: Duration) -> Self {
        let usual = Self::default();
        Self { first_byte: time, idle: time, total: usual.total.max(time), connect: usual.connect.min(time) }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: limits::CONNECT_TIME,
            first_byte: limits::FIRST_BYTE_TIME,
            idle: limits::STREAM_SILENCE_TIME,
            total: limits::CALL_TIME,
        }
    }
}

impl Default for HealthChecks {
    fn default() -> Self {
        Self {
            interval: limits::HEALTH_CHECK_INTERVAL,
            timeout: limits::PROBE_TIME,
            unhealthy_threshold: limits::UNHEALTHY_THRESHOLD,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            is_enabled: true,
            failure_threshold: limits::BREAKER_FAILURES,
            timeout: limits::BREAKER_LONGEST,
        }
    }
}
