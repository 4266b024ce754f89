//! Workloads as they come, change, fail and go.

mod hostile;
mod isolation;
mod toolhive;
