//! Something wrong in a manifest: what, where, why, and what to do.

use std::ops::Range;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which of the sources, counted from 0.
    pub source: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// In bytes of the source.
    pub start: usize,
    /// In bytes of the source.
    pub end: usize,
}

impl Place {
    /// As a range of the source's bytes.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// One thing that is wrong. Ordered by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// The way to it through the document, such as `aggregation.tools[0].workload`; empty at the top.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}
