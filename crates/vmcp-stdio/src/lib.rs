//! Hosts stdio workloads: starts each, keeps it running, and offers it as streamable HTTP on loopback under a path that
//! nobody can guess, so that the planes see only a URL.

mod child;
mod connection;
mod environment;
mod handshake;
mod host;
mod line;
mod pending;
mod stderr;
mod supervise;

pub use environment::Environment;
pub use host::{StdioHost, Workload};
pub use supervise::{ChildState, ChildStatus};
