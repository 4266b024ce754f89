//! The data plane: follows what a control plane publishes, answers MCP clients from an immutable snapshot, and sends each
//! call to exactly one backend. The way of a request is [`request`]; the way of a revision is `follow` to `snapshot`.

mod answer;
mod app;
mod asked;
mod backend;
mod bridge;
mod follow;
mod http;
mod metrics;
mod plane;
mod refusal;
mod relay;
mod reply;
pub mod request;
mod session;
mod snapshot;

pub use app::{DataPlane, Settings, StartError};
pub use follow::Observed;
