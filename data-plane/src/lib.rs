//! The data plane: follows what a control plane publishes, answers MCP clients from an immutable snapshot, and sends each
//! call to exactly one backend. The way of a request is [`request`]; the way of a revision is `follow` to `snapshot`.

mod answer;
mod app;
mod asked;
mod audit;
mod backend;
mod bridge;
mod challenge;
mod declared;
mod follow;
mod hear;
mod http;
mod inventories;
mod level;
mod mailboxes;
mod metrics;
mod outgoing;
mod plane;
mod principal;
mod program;
mod questions;
mod refusal;
mod relay;
mod reply;
pub mod request;
mod round;
mod sealing;
mod session;
mod settings;
mod shared;
mod snapshot;
mod status;
mod sticky;
mod streams;
mod task;
mod watch;

pub use app::{DataPlane, Settings, StartError};
pub use follow::{Observed, StateDir, StateFault};
pub use program::main;
pub use sealing::SessionKeys;
pub use snapshot::Decode;
pub use status::{HeldBack, Rejected, Status, describe};
