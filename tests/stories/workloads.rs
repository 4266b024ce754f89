//! Workloads as they come, change, fail and go.

mod freshness;
mod hostile;
mod isolation;
mod reach;
mod toolhive;
