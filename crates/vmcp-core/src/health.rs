//! How a backend fares, and how that follows from what was seen of it. Pure: what was seen comes in, a word comes out.

use std::fmt;
use std::time::Duration;

/// How a backend fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Health {
    /// It answers.
    Healthy,
    /// It answers slowly, not whole, or not everybody; or it has just stopped, or just come back.
    Degraded,
    /// Nothing has been heard of it yet.
    #[default]
    Unknown,
    /// It answers, and does not accept what it is shown.
    Unauthenticated,
    /// It does not answer.
    Unhealthy,
}

/// What was seen of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// It has answered at some time.
    pub has_answered: bool,
    /// Questions in a row that were not answered, each due by itself.
    pub failures: u32,
    /// How many of these make it unhealthy.
    pub threshold: u32,
    /// It has refused what it was shown.
    pub is_refused: bool,
    /// Its last answer took longer than half of what it may.
    pub is_slow: bool,
    /// Not all that is known of it is so: a list could not be read to the end, or nothing has been confirmed yet.
    pub is_partial: bool,
    /// What the platform that runs it says of it.
    pub platform: Option<Health>,
    /// Replicas that do not call it now, since it fails.
    pub avoided_by: usize,
    /// Replicas that call backends.
    pub replicas: usize,
}

impl Seen {
    /// The word for it.
    pub fn health(&self) -> Health {
        if self.is_refused {
            return Health::Unauthenticated;
        }
        let by_probe = match self.failures {
            0 if !self.has_answered => Health::Unknown,
            0 if self.is_slow || self.is_partial => Health::Degraded,
            0 => Health::Healthy,
            failures if failures >= self.threshold => Health::Unhealthy,
            _ if self.has_answered => Health::Degraded,
            _ => Health::Unknown,
        };
        // Whoever answers is there, whatever others say of it.
        let by_platform = match (self.platform, self.failures) {
            (Some(said), 0) if self.has_answered => said.min(Health::Degraded),
            (Some(said), _) => said,
            (None, _) => Health::Healthy,
        };
        let by_replicas = match self.avoided_by {
            0 => Health::Healthy,
            avoided if avoided >= self.replicas => Health::Unhealthy,
            _ => Health::Degraded,
        };
        by_probe.max(by_platform).max(by_replicas)
    }
}

/// A word that becomes worse at once and better only after it has been better for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Steady {
    said: Health,
    /// For how long what is seen has been better.
    better_since: Option<Duration>,
}

impl Steady {
    /// What is said now, at this time on some clock, and when to look again if nothing else happens. Who comes back from being
    /// away is degraded in between.
    pub fn turn(&mut self, seen: Health, now: Duration, patience: Duration) -> (Health, Option<Duration>) {
        let is_first = self.said == Health::Unknown;
        if seen >= self.said || is_first {
            (self.said, self.better_since) = (seen, None);
            return (self.said, None);
        }
        let since = *self.better_since.get_or_insert(now);
        if now >= since + patience {
            (self.said, self.better_since) = (seen, None);
            return (self.said, None);
        }
        // It does answer.
        (self.said.min(Health::Degraded).max(seen), Some(since + patience))
    }
}

impl Health {
    /// As it stands in data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Unauthenticated => "unauthenticated",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Whether calls to it can be expected to fail, and what it offers may be missing.
    pub const fn is_unavailable(self) -> bool {
        matches!(self, Self::Unknown | Self::Unauthenticated | Self::Unhealthy)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_follows_from_what_was_seen() {
        use Health::{Degraded, Healthy, Unauthenticated, Unhealthy, Unknown};
        let good = Seen { has_answered: true, threshold: 3, replicas: 2, ..Seen::default() };
        let table = [
            (good, Healthy),
            (Seen { has_answered: false, ..good }, Unknown),
            (Seen { has_answered: false, failures: 2, ..good }, Unknown),
            (Seen { has_answered: false, failures: 3, ..good }, Unhealthy),
            (Seen { failures: 1, ..good }, Degraded),
            (Seen { failures: 3, ..good }, Unhealthy),
            (Seen { is_slow: true, ..good }, Degraded),
            (Seen { is_partial: true, ..good }, Degraded),
            (Seen { is_refused: true, failures: 1, ..good }, Unauthenticated),
            (Seen { avoided_by: 1, ..good }, Degraded),
            (Seen { avoided_by: 2, ..good }, Unhealthy),
            (Seen { platform: Some(Unhealthy), ..good }, Degraded),
            (Seen { platform: Some(Unhealthy), failures: 1, ..good }, Unhealthy),
            (Seen { platform: Some(Degraded), ..good }, Degraded),
            (Seen { platform: Some(Unauthenticated), has_answered: false, ..good }, Unauthenticated),
            (Seen { platform: Some(Healthy), failures: 3, ..good }, Unhealthy),
        ];
        for (seen, expected) in table {
            assert_eq!(seen.health(), expected, "{seen:?}");
        }
    }

    #[test]
    fn what_flaps_is_degraded_and_who_has_come_back_is_well_after_a_while() {
        use Health::{Degraded, Healthy, Unhealthy};
        let at = Duration::from_secs;
        let mut steady = Steady::default();
        assert_eq!(steady.turn(Healthy, at(0), at(5)), (Healthy, None));
        assert_eq!(steady.turn(Unhealthy, at(1), at(5)), (Unhealthy, None));
        assert_eq!(steady.turn(Healthy, at(2), at(5)), (Degraded, Some(at(7))));
        assert_eq!(steady.turn(Unhealthy, at(3), at(5)), (Unhealthy, None));
        assert_eq!(steady.turn(Healthy, at(4), at(5)), (Degraded, Some(at(9))));
        assert_eq!(steady.turn(Healthy, at(9), at(5)), (Healthy, None));
        assert_eq!(steady.turn(Healthy, at(10), at(5)), (Healthy, None));
    }
}
