//! How many calls to one backend are under way, and how many may wait for one to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bound on calls to one backend.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    patience: Duration,
}

/// One call under way; its end makes room.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// Too many are under way, and too many wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Slots {
    /// `calls` at a time; `queue` more wait for at most `patience`.
    pub(crate) fn new(calls: usize, queue: usize, patience: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(calls)), waiting: AtomicUsize::new(0), queue, patience }
    }

    /// A place, at once or within the time that a call may wait. First come, first served.
    pub(crate) async fn take(&self) -> Result<Slot, Full> {
        match self.free.clone().try_acquire_owned() {
            Ok(permit) => Ok(Slot { _permit: permit }),
            Err(_) => self.wait().await,
        }
    }

    async fn wait(&self) -> Result<Slot, Full> {
        let _place = Place::take(&self.waiting, self.queue)?;
        match tokio::time::timeout(self.patience, self.free.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Slot { _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }
}

/// A place in the queue, left whatever happens.
struct Place<'q>(&'q AtomicUsize);

impl<'q> Place<'q> {
    fn take(waiting: &'q AtomicUsize, queue: usize) -> Result<Self, Full> {
        let taken = waiting.fetch_add(1, Ordering::AcqRel);
        let place = Self(waiting);
        if taken < queue { Ok(place) } else { Err(Full) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn some_are_served_some_wait_and_the_rest_are_refused() {
        let slots = Arc::new(Slots::new(2, 1, Duration::from_millis(500)));
        let first = slots.take().await.unwrap();
        let _second = slots.take().await.unwrap();
        let waiter = slots.clone();
        let waiting = tokio::spawn(async move { waiter.take().await.is_ok() });
        tokio::task::yield_now().await;
        assert_eq!(slots.take().await.err(), Some(Full), "the queue is full");
        drop(first);
        assert!(waiting.await.unwrap());
        let last = slots.take().await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(slots.take().await.err(), Some(Full));
        assert_eq!(began.elapsed(), Duration::from_millis(500));
        assert_eq!(slots.waiting.load(Ordering::Acquire), 0);
        drop(last);
    }
}
