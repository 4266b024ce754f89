//! How often it came to what.

/// What has come about while there were faults: a world in which nothing happens would find nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Revisions that replicas served.
    pub(super) served: u64,
    /// Of those, with parts that were rejected.
    pub(super) rejecting: u64,
    /// What was rejected on a stream and not sent again.
    pub(super) repeated: u64,
    /// Replicas that came back with something.
    pub(super) resumed: u64,
    /// Replicas that met a member that lags behind them.
    pub(super) ahead: u64,
    /// Crashes between store and publish.
    pub(super) unpublished: u64,
}

impl Tally {
    pub(super) fn add(self, other: Self) -> Self {
        Self {
            served: self.served + other.served,
            rejecting: self.rejecting + other.rejecting,
            repeated: self.repeated + other.repeated,
            resumed: self.resumed + other.resumed,
            ahead: self.ahead + other.ahead,
            unpublished: self.unpublished + other.unpublished,
        }
    }

    pub(super) fn least(self) -> u64 {
        let Self { served, rejecting, repeated, resumed, ahead, unpublished } = self;
        [served, rejecting, repeated, resumed, ahead, unpublished].into_iter().min().unwrap_or_default()
    }
}
