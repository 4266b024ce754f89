//! What a control plane tells of itself to Prometheus.

use prometheus_client::metrics::gauge::Gauge;
use vmcp_runtime::{Drain, Metrics};

use crate::app::ControlPlane;
use vmcp_core::health::Health;

/// Keeps the gauges at what is so, until `drain` says to stop.
pub(crate) async fn keep(control_plane: ControlPlane, metrics: Metrics, drain: Drain) {
    let gauges = Gauges::register(&metrics);
    let (mut status, mut fleet) = (control_plane.status(), control_plane.publisher.fleet().changes());
    loop {
        status.mark_unchanged();
        fleet.mark_unchanged();
        gauges.set(&control_plane);
        tokio::select! {
            () = drain.stopped() => return,
            changed = status.changed() => if changed.is_err() { return },
            changed = fleet.changed() => if changed.is_err() { return },
        }
    }
}

struct Gauges {
    generation: Gauge,
    revision: Gauge,
    following: Gauge,
    rejecting: Gauge,
    unhealthy: Gauge,
}

impl Gauges {
    fn register(metrics: &Metrics) -> Self {
        Self {
            generation: metrics.gauge("generation", "Number of the accepted desired state"),
            revision: metrics.gauge("revision", "Number of the published state"),
            following: metrics.gauge("replicas_following", "Replicas that follow"),
            rejecting: metrics.gauge("replicas_rejecting", "Replicas that reject a part of what they follow"),
            unhealthy: metrics
                .gauge("backends_unhealthy", "Backends that did not answer when they were last asked"),
        }
    }

    fn set(&self, control_plane: &ControlPlane) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let status = control_plane.status().borrow().clone();
        let replicas = control_plane.publisher.fleet().replicas();
        self.generation.set(number(status.generation));
        self.revision.set(number(control_plane.publisher.current().revision));
        self.following.set(count(replicas.values().filter(|replica| replica.stream.is_some()).count()));
        self.rejecting.set(count(replicas.values().filter(|replica| !replica.rejected.is_empty()).count()));
        let is_unhealthy = |health: Health| health == Health::Unhealthy;
        self.unhealthy
            .set(count(status.backends.iter().filter(|backend| is_unhealthy(backend.health)).count()));
    }
}
