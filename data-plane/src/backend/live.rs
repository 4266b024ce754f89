//! What a replica knows of a backend by its own calls. It outlives snapshots, and is shared by all lanes without a lock.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::Uri;
use tokio::time::Instant;
use vmcp_core::{limits, operational};

use crate::backend::breaker::{Admission, Breaker};
use crate::backend::budget::Budget;
use crate::backend::slots::Slots;

/// Of one backend of one virtual server.
#[derive(Debug)]
pub(crate) struct Live {
    pub(super) breaker: Breaker,
    pub(super) slots: Slots,
    pub(super) budget: Budget,
    /// It has asked to be left alone until then.
    busy_until_ms: AtomicU64,
    endpoints: Vec<Endpoint>,
    turn: AtomicUsize,
}

/// One of its addresses.
#[derive(Debug)]
struct Endpoint {
    url: Uri,
    under_way: AtomicU32,
    /// Where the backend has others, one that fails is left out for a while.
    breaker: Breaker,
}

/// When an address is left out.
const EJECTION: operational::Breaker = operational::Breaker {
    is_enabled: true,
    failure_threshold: limits::EJECTION_FAILURES,
    timeout: limits::EJECTION_LONGEST,
};

/// Milliseconds since the process began, from 1.
pub(super) fn now_ms() -> u64 {
    static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGINNING.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
}

impl Live {
    /// Nothing is known yet.
    pub(crate) fn new(urls: &[Uri]) -> Self {
        let endpoint = |url: &Uri| Endpoint {
            url: url.clone(),
            under_way: AtomicU32::new(0),
            breaker: Breaker::default(),
        };
        Self {
            breaker: Breaker::default(),
            slots: Slots::new(limits::BACKEND_CALLS, limits::BACKEND_QUEUE, limits::BACKEND_QUEUE_TIME),
            budget: Budget::default(),
            busy_until_ms: AtomicU64::new(0),
            endpoints: urls.iter().map(endpoint).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Where it is.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &Uri> {
        self.endpoints.iter().map(|endpoint| &endpoint.url)
    }

    /// Whether this is about these addresses.
    pub(crate) fn is_at(&self, urls: &[Uri]) -> bool {
        self.urls().eq(urls)
    }

    /// Whether it is not called now, since it fails.
    pub(crate) fn is_avoided(&self) -> bool {
        self.breaker.is_open(now_ms)
    }

    /// For how long it wants to be left alone.
    pub(super) fn busy_ms(&self, now_ms: u64) -> Option<u64> {
        let until_ms = self.busy_until_ms.load(Ordering::Relaxed);
        (until_ms > now_ms).then(|| until_ms - now_ms)
    }

    /// It wants to be left alone, and is believed within a bound. Returns for how long.
    pub(super) fn is_busy(&self, time: Duration, now_ms: u64) -> u64 {
        let time = time.min(limits::RETRY_AFTER_LONGEST);
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.busy_until_ms.fetch_max(now_ms + time_ms, Ordering::Relaxed);
        time_ms
    }

    /// The address with the fewest calls under way, of those that are not left out; if all are, of all. `not` was tried already.
    pub(super) fn pick(&self, not: Option<usize>) -> Picked {
        if self.endpoints.len() == 1 {
            return Picked { place: 0, admission: Admission::Usual };
        }
        let now_ms = now_ms();
        let load = |place: &usize| self.endpoints[*place].under_way.load(Ordering::Relaxed);
        // Of those that are alike, each in turn.
        let (count, turn) = (self.endpoints.len(), self.turn.fetch_add(1, Ordering::Relaxed));
        let in_turn = (0..count).map(|place| turn.wrapping_add(place) % count);
        let mut places: Vec<usize> = in_turn.filter(|place| Some(*place) != not).collect();
        places.sort_by_key(load);
        let admitted = places.iter().find_map(|place| {
            let admission = self.endpoints[*place].breaker.admit(now_ms).ok()?;
            Some(Picked { place: *place, admission })
        });
        let least = places.first().copied().unwrap_or_default();
        admitted.unwrap_or(Picked { place: least, admission: Admission::Usual })
    }

    /// How many addresses there are.
    pub(super) fn len(&self) -> usize {
        self.endpoints.len()
    }

    pub(super) fn url(&self, place: usize) -> &Uri {
        &self.endpoints[place].url
    }

    /// The address that a session was begun at.
    pub(super) fn place_of(&self, url: &Uri) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| endpoint.url == *url)
    }

    pub(super) fn begins(&self, place: usize) {
        self.endpoints[place].under_way.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ends(&self, place: usize) {
        self.endpoints[place].under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// What a call has shown of an address; `None` for nothing.
    pub(super) fn judge(&self, picked: Picked, is_good: Option<bool>) {
        if self.endpoints.len() == 1 {
            return;
        }
        let breaker = &self.endpoints[picked.place].breaker;
        match is_good {
            Some(true) => drop(breaker.succeeded(picked.admission)),
            Some(false) => drop(breaker.failed(picked.admission, &EJECTION, now_ms(), random())),
            None => breaker.abandoned(picked.admission),
        }
    }
}

/// An address that was picked, and whether the call shows if it is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picked {
    pub(super) place: usize,
    pub(super) admission: Admission,
}

/// From 0 to 1; only where something has failed.
pub(super) fn random() -> f64 {
    let mut bytes = [0; 2];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(count: usize) -> Live {
        let urls: Vec<Uri> = (0..count).map(|n| format!("http://h:{}/", n + 1).parse().unwrap()).collect();
        Live::new(&urls)
    }

    #[test]
    fn the_address_with_the_fewest_calls_is_picked() {
        let live = live(3);
        let mut calls = [0; 3];
        for _ in 0..30 {
            let picked = live.pick(None);
            live.begins(picked.place);
            calls[picked.place] += 1;
        }
        assert_eq!(calls, [10, 10, 10]);
        live.ends(1);
        assert_eq!(live.pick(None).place, 1);
        assert_ne!(live.pick(Some(1)).place, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_is_left_out_and_tried_again_by_one_call() {
        let live = live(2);
        for _ in 0..limits::EJECTION_FAILURES {
            live.judge(Picked { place: 0, admission: Admission::Usual }, Some(false));
        }
        assert!((0..10).all(|_| live.pick(None).place == 1));
        assert_eq!(live.pick(Some(1)).place, 0, "better than none");
        tokio::time::advance(Duration::from_secs(2)).await;
        let picks = [live.pick(None), live.pick(None)];
        let trial = Picked { place: 0, admission: Admission::Trial };
        assert!(picks.contains(&trial), "{picks:?}");
        assert_eq!(live.pick(None).place, 1, "one at a time");
        live.judge(trial, Some(true));
        let again = Picked { place: 0, admission: Admission::Usual };
        assert!([live.pick(None), live.pick(None)].contains(&again));
    }

    #[test]
    fn a_backend_is_believed_for_a_minute_at_most() {
        let live = live(1);
        assert_eq!(live.is_busy(Duration::from_secs(600), 1_000), 60_000);
        assert_eq!(live.is_busy(Duration::from_secs(1), 1_000), 1_000);
        assert_eq!((live.busy_ms(1_000), live.busy_ms(61_000)), (Some(60_000), None));
    }
}
