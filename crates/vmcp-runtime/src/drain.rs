//! Stopping without dropping what runs: everybody is told, and there is a moment when waiting ends.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tells tasks to stop and waits for them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drain {
    /// Nothing runs, and nobody has been told to stop.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task that [`Drain::finish`] waits for. It must watch [`Drain::stopped`].
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task);
    }

    /// Resolves when it is time to stop.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Whether it is time to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Tells everybody to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Tells everybody to stop and waits until they have, at most for `patience`; says whether they have.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.stop();
        self.tasks.close();
        tokio::time::timeout(patience, self.tasks.wait()).await.is_ok()
    }
}

/// Resolves when the operating system asks the process to stop (SIGINT or SIGTERM).
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => {
            tracing::error!("cannot listen for signals; stop the process with SIGKILL");
            std::future::pending::<()>().await;
        }
    }
}
