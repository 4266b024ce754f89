//! What is counted per request, by one atomic addition, and what there is to say of what is served.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use vmcp_core::backend::BackendId;
use vmcp_revision::protocol::Report;
use vmcp_runtime::Metrics;

use crate::audit::Counted;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered from the snapshot.
    Answered,
    /// Answered by a backend.
    Forwarded,
    /// Refused before anything was asked of a backend.
    Refused,
    /// The backend did not answer as it should.
    Failed,
}

/// Counters, made once.
#[derive(Debug)]
pub(crate) struct Counters {
    outcomes: Vec<Counter>,
    dropped: Counter,
    records: Counted,
    revision: Gauge,
    connected: Gauge,
    rejected: Gauge,
}

impl Counters {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let values = ["answered", "forwarded", "refused", "failed"];
        let outcomes = metrics.counters("requests", "Requests of MCP clients by outcome", "outcome", &values);
        let help = "Messages of backends that belong to no request";
        let dropped = metrics.counters("backend_messages_dropped", help, "reason", &["unasked"]);
        let help = "Audit records that were written and that were lost, and writes that were tried again";
        let records = metrics.counters("audit_records", help, "result", &["written", "dropped", "retried"]);
        let [written, lost, retried] = [0, 1, 2].map(|at| records.get(at).cloned().unwrap_or_default());
        Self {
            records: Counted { written, dropped: lost, retried },
            outcomes,
            dropped: dropped.into_iter().next().unwrap_or_default(),
            revision: metrics.gauge("revision", "Number of the revision that is served"),
            connected: metrics.gauge("connected", "Whether a control plane is followed"),
            rejected: metrics.gauge("parts_rejected", "Parts of the revision that could not be used"),
        }
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.inc();
        }
    }

    /// Notes what is served.
    pub(crate) fn serves(&self, revision: u64, rejected: usize) {
        self.revision.set(i64::try_from(revision).unwrap_or(i64::MAX));
        self.rejected.set(i64::try_from(rejected).unwrap_or(i64::MAX));
    }

    /// Notes whether a control plane is followed.
    pub(crate) fn follows(&self, is_connected: bool) {
        self.connected.set(i64::from(is_connected));
    }

    /// What the control plane is told now and then.
    pub(crate) fn report(&self, avoided: Vec<BackendId>) -> Report {
        let count = |outcome: Outcome| self.outcomes.get(outcome as usize).map_or(0, Counter::get);
        Report {
            answered: count(Outcome::Answered),
            forwarded: count(Outcome::Forwarded),
            refused: count(Outcome::Refused),
            failed: count(Outcome::Failed),
            avoided,
        }
    }

    /// For records.
    pub(crate) fn records(&self) -> Counted {
        self.records.clone()
    }

    pub(crate) fn dropped(&self) -> &Counter {
        &self.dropped
    }
}
