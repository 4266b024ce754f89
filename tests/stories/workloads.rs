//! Workloads as they come, change, fail and go.

mod toolhive;
