//! The last of what a child wrote to standard error, for people who ask why it died.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

/// At most so many bytes, the newest, without the secrets that the child was given. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tail {
    limit: usize,
    bytes: Arc<Mutex<VecDeque<u8>>>,
    secrets: Arc<Mutex<Vec<String>>>,
}

/// What a child was given that must not be told, nor printed.
#[derive(Default)]
pub(crate) struct Secrets(pub(crate) Vec<String>);

/// Shorter ones stand in every other word.
const SHORTEST_SECRET: usize = 6;

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, bytes: Arc::default(), secrets: Arc::default() }
    }

    /// What is kept, from the first whole line on if something was dropped.
    pub(crate) fn text(&self) -> String {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_cut = bytes.len() == self.limit;
        let text = String::from_utf8_lossy(bytes.make_contiguous()).into_owned();
        drop(bytes);
        match text.split_once('\n') {
            Some((_, rest)) if is_cut => self.without_secrets(rest),
            _ => self.without_secrets(&text),
        }
    }

    /// Whatever the child says from now on is told without these.
    pub(crate) fn hide(&self, secrets: Secrets) {
        let mut hidden = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        *hidden = secrets.0.into_iter().filter(|secret| secret.len() >= SHORTEST_SECRET).collect();
    }

    /// What a child has said, without its secrets.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        let hidden = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        hidden.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
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

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_child_says_is_told_without_its_secrets() {
        let tail = Tail::new(100);
        tail.hide(Secrets(vec!["s3cret-key".to_owned(), "ab".to_owned()]));
        tail.clone().fill(&b"bad key: s3cret-key, about\n"[..]).await;
        assert_eq!(tail.text(), "bad key: \u{2026}, about\n");
        assert!(!format!("{tail:?}").contains("s3cret"));
    }

    #[tokio::test]
    async fn only_the_newest_whole_lines_are_kept() {
        let tail = Tail::new(20);
        tail.clone().fill(&b"first line\n"[..]).await;
        assert_eq!(tail.text(), "first line\n");
        tail.clone().fill(&b"second line\nthird line\n"[..]).await;
        assert_eq!(tail.text(), "third line\n");
    }
}
