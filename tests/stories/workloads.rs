//! Workloads as they come, change, fail and go.

mod beside;
mod files;
mod freshness;
pub(crate) mod hostile;
mod hostile_sse;
mod identity;
mod isolation;
mod lists;
mod operational;
mod reach;
mod stdio;
mod toolhive;
