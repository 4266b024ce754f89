//! Process scaffolding: telemetry, metrics and drain. No MCP word in it.

mod admin;
mod clock;
mod drain;
mod guard;
mod jitter;
mod lanes;
mod listen;
mod metrics;
mod plaintext;
mod program;
mod secrets;
mod telemetry;

pub use admin::AdminPages;
pub use clock::unix_ms;
pub use drain::{Drain, stop_signal};
pub use guard::{Foreign, Guard};
pub use jitter::jittered;
pub use lanes::serve_on_lanes;
pub use listen::listen;
pub use metrics::Metrics;
pub use plaintext::{NotPlain, plain_listener, plain_peer};
pub use program::{bind, run_program};
pub use secrets::{secret_file, secret_variable};
pub use telemetry::{LogFormat, start_telemetry};
