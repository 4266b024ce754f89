//! What people write of backends that are slow, busy or gone, as types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// How a virtual server deals with backends that are slow, busy or gone.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Operational {
    /// How long calls may take.
    #[serde(default)]
    timeouts: Option<Timeouts>,
    /// What is done about backends that fail.
    #[serde(default)]
    failure_handling: Option<FailureHandling>,
}

/// How long calls may take.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Timeouts {
    /// For workloads that are not in `per_workload`. One time bounds all waiting for the backend: until its answer begins, and
    /// from one message to the next.
    #[serde(default)]
    default: Option<TimeOrBounds>,
    /// By workload.
    #[serde(default)]
    per_workload: Option<BTreeMap<String, TimeOrBounds>>,
}

/// One time for all waiting, or each bound by itself.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum TimeOrBounds {
    Time(String),
    Bounds(TimeBounds),
}

/// How long a call may take, bound by bound.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct TimeBounds {
    /// Until a connection stands.
    #[serde(default = "connect")]
    connect: String,
    /// Until the answer begins.
    #[serde(default = "first_byte")]
    first_byte: String,
    /// Within an answer, from one message to the next: progress begins it anew, a comment or part of a message does not.
    #[serde(default = "idle")]
    idle: String,
    /// The whole call, whatever progress it makes.
    #[serde(default = "total")]
    total: String,
}

fn connect() -> String {
    "1s".to_owned()
}

fn first_byte() -> String {
    "30s".to_owned()
}

fn idle() -> String {
    "60s".to_owned()
}

fn total() -> String {
    "1h".to_owned()
}

/// What is done about backends that fail.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct FailureHandling {
    /// How often the control plane asks a backend whether it is there.
    #[serde(default = "first_byte")]
    health_check_interval: String,
    /// When such a question counts as not answered; shorter than the interval. `0` is the usual one.
    #[serde(default = "ten_seconds")]
    health_check_timeout: String,
    /// Questions in a row without an answer before a backend is unhealthy. Until then it is degraded.
    #[serde(default = "three")]
    #[schemars(range(min = 1))]
    unhealthy_threshold: u32,
    /// How often a replica tells the control plane how it fares; the shortest of its virtual servers counts.
    #[serde(default = "five_seconds")]
    status_reporting_interval: String,
    /// `best_effort` answers lists while a backend is unavailable, and names it in `_meta`. `fail` refuses them.
    #[serde(default)]
    partial_failure_mode: PartialFailureMode,
    /// When a replica stops calling a backend that fails.
    #[serde(default)]
    circuit_breaker: Option<CircuitBreaker>,
}

fn ten_seconds() -> String {
    "10s".to_owned()
}

fn five_seconds() -> String {
    "5s".to_owned()
}

fn three() -> u32 {
    3
}

/// What becomes of lists while a backend is unavailable.
#[derive(JsonSchema, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub(super) enum PartialFailureMode {
    #[default]
    BestEffort,
    Fail,
}

/// When a replica stops calling a backend that fails. Calls are refused at once then, with when to come back.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct CircuitBreaker {
    /// Whether it ever does.
    #[serde(default = "yes")]
    enabled: bool,
    /// Failed calls in a row that open it.
    #[serde(default = "five")]
    #[schemars(range(min = 1))]
    failure_threshold: u32,
    /// The longest time that it stays open before one call is let through to see whether the backend is back. The first time is a
    /// second; each failure of that one call doubles it.
    #[serde(default = "sixty_seconds")]
    timeout: String,
}

fn yes() -> bool {
    true
}

fn five() -> u32 {
    5
}

fn sixty_seconds() -> String {
    "60s".to_owned()
}
