//! Faults that the seeded world plants, to show that it would find them. In a build that is not its test there are none.

/// One for each property and trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "two are planted in the store that the world simulates"))]
pub(crate) enum Fault {
    /// The control plane leaves out a change (a gap).
    SkipsAChange,
    /// A replica takes a revision that is older than its own (a regression).
    GoesBack,
    /// A replica shows a revision before `Commit` (half applied).
    ShowsEarly,
    /// The bytes of a rejected part are sent again on the stream.
    SendsRejectedAgain,
    /// A replica claims what it has rejected, so that a mended version never gets it.
    ClaimsRejected,
    /// A control plane begins empty after a restart instead of with what it has stored.
    BeginsEmpty,
    /// A number is used again after a crash between store and publish.
    RepeatsNumbers,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
pub(crate) fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
}

#[cfg(test)]
pub(crate) fn is_planted(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

#[cfg(not(test))]
pub(crate) const fn is_planted(_: Fault) -> bool {
    false
}
