//! The last of what a child wrote to standard error, for people who ask why it died.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

/// At most so many bytes, the newest. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    limit: usize,
    bytes: Arc<Mutex<VecDeque<u8>>>,
}

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, bytes: Arc::default() }
    }

    /// What is kept, from the first whole line on if something was dropped.
    pub(crate) fn text(&self) -> String {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_cut = bytes.len() == self.limit;
        let text = String::from_utf8_lossy(bytes.make_contiguous()).into_owned();
        match text.split_once('\n') {
            Some((_, rest)) if is_cut => rest.to_owned(),
            _ => text,
        }
    }

    /// Reads to the end.
    pub(crate) async fn fill(self, mut stderr: impl AsyncRead + Unpin) {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
            self.push(&chunk[..read]);
        }
    }

    fn push(&self, chunk: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend(chunk);
        let excess = bytes.len().saturating_sub(self.limit);
        bytes.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_newest_whole_lines_are_kept() {
        let tail = Tail::new(20);
        tail.clone().fill(&b"first line\n"[..]).await;
        assert_eq!(tail.text(), "first line\n");
        tail.clone().fill(&b"second line\nthird line\n"[..]).await;
        assert_eq!(tail.text(), "third line\n");
    }
}
