//! When a backend is left alone: after failures in a row, for a time that grows, until one call has shown that it is back.
//! Without locks and without a clock of its own: times are milliseconds from some beginning.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use vmcp_core::limits;
use vmcp_core::operational;

/// What is known of the failures of a backend.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// In a row.
    failures: AtomicU32,
    /// In a row, without a success between them.
    openings: AtomicU32,
    /// 0: closed.
    open_until_ms: AtomicU64,
    /// One call is under way to see whether the backend is back.
    is_tried: AtomicBool,
}

/// How a breaker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Calls go through.
    Closed,
    /// They do not, until then.
    Open {
        /// In the same milliseconds.
        until_ms: u64,
    },
    /// One goes through, to see.
    HalfOpen,
}

/// A call may go through. Which kind of call it is decides what its end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Like all others.
    Usual,
    /// The one that shows whether the backend is back.
    Trial,
}

/// What those hear who are refused while another call is trying.
const TRIAL_MS: u64 = 1_000;

impl Breaker {
    /// Whether a call may go through now; else in how many milliseconds to come back.
    pub(crate) fn admit(&self, now_ms: u64) -> Result<Admission, u64> {
        match self.state(now_ms) {
            State::Closed => Ok(Admission::Usual),
            State::Open { until_ms } => Err(until_ms - now_ms),
            State::HalfOpen => {
                let is_first =
                    self.is_tried.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).is_ok();
                // Whoever has tried since may have closed it.
                match (is_first, self.state(now_ms)) {
                    (true, State::HalfOpen) => Ok(Admission::Trial),
                    (true, other) => {
                        self.is_tried.store(false, Ordering::Release);
                        match other {
                            State::Open { until_ms } => Err(until_ms - now_ms),
                            State::Closed | State::HalfOpen => Ok(Admission::Usual),
                        }
                    }
                    (false, State::Closed) => Ok(Admission::Usual),
                    (false, _) => Err(TRIAL_MS),
                }
            }
        }
    }

    /// Whether calls are refused now. One that waits for somebody to try is not known to fail any more. A closed one asks no clock.
    pub(crate) fn is_open(&self, now_ms: impl FnOnce() -> u64) -> bool {
        let until_ms = self.open_until_ms.load(Ordering::Acquire);
        until_ms != 0 && now_ms() < until_ms
    }

    /// How it is.
    fn state(&self, now_ms: u64) -> State {
        match self.open_until_ms.load(Ordering::Acquire) {
            0 => State::Closed,
            until_ms if now_ms < until_ms => State::Open { until_ms },
            _ => State::HalfOpen,
        }
    }

    /// The backend has answered. While it is open only the trial counts: others were sent before. Says whether this has closed it.
    pub(crate) fn succeeded(&self, admission: Admission) -> bool {
        // Read before it is written: nearly all calls find nothing to write.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if admission == Admission::Usual {
            return false;
        }
        self.openings.store(0, Ordering::Relaxed);
        self.open_until_ms.store(0, Ordering::Release);
        self.is_tried.store(false, Ordering::Release);
        true
    }

    /// The backend has failed. `random` is from 0 to 1. If this has opened it, for how many milliseconds.
    pub(crate) fn failed(
        &self,
        admission: Admission,
        settings: &operational::Breaker,
        now_ms: u64,
        random: f64,
    ) -> Option<u64> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let is_closed = self.open_until_ms.load(Ordering::Acquire) == 0;
        let opens = match admission {
            Admission::Trial => true,
            Admission::Usual => is_closed && failures >= settings.failure_threshold,
        };
        if !opens || !settings.is_enabled {
            return None;
        }
        let openings = self.openings.fetch_add(1, Ordering::Relaxed);
        let open_ms = open_ms(openings, settings.timeout, random);
        self.open_until_ms.store(now_ms + open_ms, Ordering::Release);
        self.is_tried.store(false, Ordering::Release);
        Some(open_ms)
    }

    /// The call has ended and says nothing of the backend, as when the client has gone: another one may try.
    pub(crate) fn abandoned(&self, admission: Admission) {
        if admission == Admission::Trial {
            self.is_tried.store(false, Ordering::Release);
        }
    }
}

/// A second at first, twice as long each time, at most `longest`; less by up to a quarter, so that replicas do not come back as one.
fn open_ms(openings: u32, longest: Duration, random: f64) -> u64 {
    let doubled =
        limits::BREAKER_FIRST.saturating_mul(1_u32.checked_shl(openings.min(30)).unwrap_or(u32::MAX));
    let time = doubled.min(longest).mul_f64(1.0 - random.clamp(0.0, 1.0) / 4.0);
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests;
