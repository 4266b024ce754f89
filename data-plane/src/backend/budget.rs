//! How many calls may be sent a second time: a share of those that are made, and a few besides, so that a backend that is down
//! is not called twice as often for it (finagle's retry budget).

use std::sync::atomic::{AtomicU64, Ordering};

/// Thousandths of a retry that each call brings.
const OF_CALL: u64 = 200;
/// Thousandths of a retry that each millisecond brings: ten a second.
const OF_MILLISECOND: u64 = 10;
/// What can be saved up: a second's worth, and a hundred calls'.
const MOST: u64 = 1_000 * OF_MILLISECOND + 100 * OF_CALL;

/// What is left of it. No lock: two that meet may lose one retry between them, and never gain one.
#[derive(Debug, Default)]
pub(super) struct Budget {
    thousandths: AtomicU64,
    filled_ms: AtomicU64,
}

impl Budget {
    /// A call is made.
    pub(super) fn called(&self) {
        if self.thousandths.load(Ordering::Relaxed) < MOST {
            self.thousandths.fetch_add(OF_CALL, Ordering::Relaxed);
        }
    }

    /// Whether one may be sent again.
    pub(super) fn take(&self, now_ms: u64) -> bool {
        let before_ms = self.filled_ms.swap(now_ms, Ordering::Relaxed);
        let passed_ms = now_ms.saturating_sub(before_ms);
        let fill = |left: u64| (left + passed_ms.saturating_mul(OF_MILLISECOND)).min(MOST);
        let take = |left: u64| fill(left).checked_sub(1_000);
        let has_taken = self.thousandths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        if !has_taken {
            let _ =
                self.thousandths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(fill(left)));
        }
        has_taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_and_a_fifth_of_the_calls() {
        let budget = Budget::default();
        let taken = |from_ms: u64, to_ms: u64, calls: usize| {
            let mut taken = 0;
            for now_ms in from_ms..to_ms {
                (0..calls).for_each(|_| budget.called());
                taken += usize::from(budget.take(now_ms));
            }
            taken
        };
        let _saved = taken(1, 2_000, 0);
        assert!((99..=101).contains(&taken(2_000, 12_000, 0)), "ten a second");
        assert!((2_090..=2_110).contains(&taken(12_000, 22_000, 1)), "and a fifth of ten thousand calls");
    }
}
