//! Something wrong in a manifest: what, where, why, and what to do.

use std::ops::Range;

/// Where something stands. Small, since every value of a manifest carries one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which of the sources, counted from 0.
    pub source: u32,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// In bytes of the source.
    pub start: u32,
    /// In bytes of the source.
    pub end: u32,
}

impl Place {
    /// As a range of the source's bytes.
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
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
