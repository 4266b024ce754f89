use std::sync::Arc;

use super::*;

const SETTINGS: operational::Breaker =
    operational::Breaker { is_enabled: true, failure_threshold: 3, timeout: Duration::from_secs(8) };

fn opened(now_ms: u64) -> Breaker {
    let breaker = Breaker::default();
    for _ in 0..SETTINGS.failure_threshold {
        breaker.failed(breaker.admit(now_ms).unwrap(), &SETTINGS, now_ms, 0.0);
    }
    breaker
}

#[test]
fn it_opens_after_failures_in_a_row_and_a_success_between_them_counts() {
    let breaker = Breaker::default();
    for _ in 0..10 {
        for _ in 0..2 {
            assert_eq!(breaker.failed(breaker.admit(1).unwrap(), &SETTINGS, 1, 0.0), None);
        }
        breaker.succeeded(breaker.admit(1).unwrap());
    }
    let breaker = opened(1);
    assert_eq!(breaker.admit(1), Err(1_000));
    assert_eq!(breaker.admit(900), Err(101));
    assert_eq!(breaker.state(900), State::Open { until_ms: 1_001 });
}

#[test]
fn half_open_admits_exactly_one() {
    let breaker = opened(1);
    assert_eq!(breaker.admit(2_000), Ok(Admission::Trial));
    assert_eq!(breaker.admit(2_000), Err(TRIAL_MS));
    assert_eq!(breaker.admit(90_000), Err(TRIAL_MS), "for as long as it takes");
    breaker.abandoned(Admission::Trial);
    assert_eq!(breaker.admit(90_000), Ok(Admission::Trial), "one that says nothing leaves it to the next");
    assert!(breaker.succeeded(Admission::Trial));
    assert_eq!(breaker.admit(90_000), Ok(Admission::Usual));
}

#[test]
fn each_failed_trial_doubles_the_time_up_to_the_longest() {
    let breaker = opened(1);
    let mut now_ms = 1;
    let mut times = Vec::new();
    for _ in 0..6 {
        let Err(wait) = breaker.admit(now_ms) else { panic!("open") };
        now_ms += wait;
        times.push(wait);
        assert_eq!(breaker.admit(now_ms), Ok(Admission::Trial));
        assert!(breaker.failed(Admission::Trial, &SETTINGS, now_ms, 0.0).is_some());
    }
    assert_eq!(times, [1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
    let Err(wait) = breaker.admit(now_ms) else { panic!("open") };
    assert_eq!(breaker.admit(now_ms + wait), Ok(Admission::Trial));
    breaker.succeeded(Admission::Trial);
    for _ in 0..3 {
        breaker.failed(Admission::Usual, &SETTINGS, now_ms, 0.0);
    }
    assert_eq!(breaker.admit(now_ms), Err(1_000), "a success has begun it anew");
}

#[test]
fn calls_that_were_sent_before_it_opened_neither_close_nor_extend_it() {
    let breaker = opened(1);
    assert!(!breaker.succeeded(Admission::Usual));
    assert_eq!(breaker.failed(Admission::Usual, &SETTINGS, 500, 0.0), None);
    assert_eq!(breaker.admit(500), Err(501));
}

#[test]
fn jitter_only_shortens_and_a_disabled_one_never_opens() {
    assert_eq!(open_ms(0, Duration::from_secs(8), 1.0), 750);
    assert_eq!(open_ms(31, Duration::from_secs(8), 0.0), 8_000);
    assert_eq!(open_ms(u32::MAX, Duration::from_secs(1), 0.5), 875);
    let off = operational::Breaker { is_enabled: false, ..SETTINGS };
    let breaker = Breaker::default();
    for _ in 0..100 {
        assert_eq!(breaker.failed(breaker.admit(1).unwrap(), &off, 1, 0.0), None);
    }
}

#[test]
fn of_many_threads_one_is_the_trial() {
    for _ in 0..200 {
        let breaker = Arc::new(opened(1));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let breaker = breaker.clone();
                std::thread::spawn(move || breaker.admit(5_000) == Ok(Admission::Trial))
            })
            .collect();
        let trials = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(trials.filter(|is_trial| *is_trial).count(), 1);
    }
}
