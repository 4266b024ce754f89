//! A token in somebody's hands. It cannot be printed, and only those who may pass it on can read it.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// An access token of a caller. Only an exchange, and a backend that is said to get it, see what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer(String);

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl Bearer {
    /// As it came.
    pub fn new(token: &str) -> Self {
        Self(token.to_owned())
    }

    /// What a header holds for a backend that is to see it.
    pub fn pass_on(&self) -> String {
        format!("Bearer {}", self.0)
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// A hash of several texts that no other several have.
pub fn hash(texts: &[&[u8]]) -> [u8; 32] {
    let mut whole = Vec::new();
    for text in texts {
        whole.extend_from_slice(&(text.len() as u64).to_le_bytes());
        whole.extend_from_slice(text);
    }
    digest(&SHA256, &whole).as_ref().first_chunk().copied().unwrap_or_default()
}
