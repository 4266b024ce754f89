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
mod tls;

pub use admin::AdminPages;
pub use clock::unix_ms;
pub use drain::{Drain, stop_signal};
pub use guard::{Foreign, Guard};
pub use jitter::jittered;
pub use lanes::{Peer, serve_on_lanes};
pub use listen::listen;
pub use metrics::Metrics;
pub use plaintext::{NotPlain, grpc_peer, plain_listener};
pub use program::{bind, run_program};
pub use secrets::{regular_file, secret_file, secret_variable};
pub use telemetry::{LogFormat, start_telemetry};
pub use tls::{Admission, Certified, Clients, ConnectFiles, ServerTls, Shown, connector, serve_grpc};
