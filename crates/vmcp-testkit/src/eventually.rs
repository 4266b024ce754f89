//! Waiting for something to come true, without sleeping for a time that somebody has guessed.

use std::time::{Duration, Instant};

/// Whether a condition comes true within `patience`.
pub async fn eventually(patience: Duration, mut condition: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if condition().await {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
