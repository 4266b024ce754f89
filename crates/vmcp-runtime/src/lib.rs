//! Process scaffolding: telemetry, metrics and drain. No MCP word in it.

mod drain;
mod guard;
mod jitter;
mod lanes;
mod listen;
mod metrics;
mod telemetry;

pub use drain::{Drain, stop_signal};
pub use guard::{Foreign, Guard};
pub use jitter::jittered;
pub use lanes::serve_on_lanes;
pub use listen::listen;
pub use metrics::Metrics;
pub use telemetry::{LogFormat, start_telemetry};
