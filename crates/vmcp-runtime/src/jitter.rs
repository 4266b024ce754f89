//! Pauses of a random length, so that many do not come at once.

use std::time::Duration;

use aws_lc_rs::rand;

/// Any time from `shortest` to `longest`; `longest` where there is no randomness.
pub fn jittered(shortest: Duration, longest: Duration) -> Duration {
    let mut bytes = [0; 2];
    if rand::fill(&mut bytes).is_err() {
        return longest;
    }
    let fraction = f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX);
    shortest + longest.saturating_sub(shortest).mul_f64(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_keeps_to_its_bounds_and_varies() {
        let (shortest, longest) = (Duration::from_millis(500), Duration::from_secs(1));
        let pauses: Vec<Duration> = (0..100).map(|_| jittered(shortest, longest)).collect();
        assert!(pauses.iter().all(|pause| (shortest..=longest).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        assert_eq!(jittered(longest, longest), longest);
    }
}
