//! Counters for Prometheus, made once at start, so that counting takes no lock.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What `/metrics` shows. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// Nothing is counted yet; every name begins with `vmcp_`.
    pub fn new() -> Self {
        Self { registry: Arc::new(Mutex::new(Registry::with_prefix("vmcp"))) }
    }

    /// One counter of a family for each of `values` of `label`, in that order.
    pub fn counters(
        &self,
        name: &str,
        help: &str,
        label: &'static str,
        values: &[&'static str],
    ) -> Vec<Counter> {
        use prometheus_client::metrics::family::Family;
        let family = Family::<Vec<(&'static str, &'static str)>, Counter>::default();
        let counters =
            values.iter().map(|value| family.get_or_create(&vec![(label, *value)]).clone()).collect();
        self.with(|registry| registry.register(name, help, family));
        counters
    }

    /// One gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.with(|registry| registry.register(name, help, gauge.clone()));
        gauge
    }

    /// Everything in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.with(|registry| {
            // Writing to a `String` cannot fail.
            let _ = encode(&mut text, registry);
        });
        text
    }

    fn with(&self, act: impl FnOnce(&mut Registry)) {
        act(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
