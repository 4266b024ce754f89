//! What is known of each backend, and how an answer, or none, changes that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, Uri};
use tokio::time::Instant;
use vmcp_core::backend::BackendId;
use vmcp_core::inventory::Inventory;
use vmcp_mcp::Failure;

use crate::workloads::Located;

/// What is known of each backend.
pub(crate) type Observations = BTreeMap<BackendId, Observation>;

/// What is known of a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Observation {
    /// What it offers, as it last said.
    pub(crate) inventory: Option<Arc<Inventory>>,
    /// Where it said so.
    pub(crate) url: Option<Uri>,
    /// Nothing has confirmed it since it was read from the store, or since somebody wants it again.
    pub(crate) is_stale: bool,
    /// Why the last question was not answered.
    pub(crate) last_error: Option<String>,
    /// Where it was last asked, whatever came of that.
    pub(crate) asked: Option<Located>,
    /// How it answers.
    pub(crate) vitals: Vitals,
}

/// How a backend answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Questions in a row that were not answered. Those that are asked sooner than one is due do not count by themselves.
    pub(crate) failures: u32,
    counted_at: Option<Instant>,
    /// It does not accept what it is shown.
    pub(crate) is_refused: bool,
    /// The last answer took long.
    pub(crate) is_slow: bool,
}

impl Observation {
    /// Whether it is to be stored: what the next process begins with.
    pub(crate) fn is_same_record(&self, other: &Self) -> bool {
        self.url == other.url
            && match (&self.inventory, &other.inventory) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
                (None, None) => true,
                _ => false,
            }
    }

    /// It has said what it offers. What is as it was stays the same value.
    pub(super) fn listed(&self, inventory: Inventory, located: &Located) -> Self {
        let inventory = match &self.inventory {
            Some(previous) => inventory.keeping(previous),
            None => inventory,
        };
        let same = self.inventory.clone().filter(|previous| **previous == inventory);
        Self {
            inventory: Some(same.unwrap_or_else(|| Arc::new(inventory))),
            url: located.url().cloned(),
            asked: Some(located.clone()),
            vitals: Vitals { is_slow: self.vitals.is_slow, ..Vitals::default() },
            ..Self::default()
        }
    }

    /// It is still there.
    pub(super) fn answered(&self, is_slow: bool) -> Self {
        Self { last_error: None, vitals: Vitals { is_slow, ..Vitals::default() }, ..self.clone() }
    }

    /// It has not answered. Questions are due every `interval`.
    pub(super) fn failed(
        &self,
        failure: &Failure,
        located: &Located,
        interval: Duration,
        now: Instant,
    ) -> Self {
        let is_refused = matches!(failure, Failure::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN));
        // A question that comes a little early, since pauses differ, is the one that was due.
        let is_due = self.vitals.counted_at.is_none_or(|counted| now >= counted + interval.mul_f64(0.9));
        let vitals = match is_due {
            true => Vitals {
                failures: self.vitals.failures.saturating_add(1),
                counted_at: Some(now),
                is_refused,
                ..self.vitals
            },
            false => Vitals { is_refused, ..self.vitals },
        };
        let (last_error, asked) = (Some(failure.in_full()), Some(located.clone()));
        Self { last_error, asked, vitals, ..self.clone() }
    }
}
