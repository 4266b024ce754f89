//! What tests need: backends that speak raw bytes, `vmcpctl serve` as a process of its own, and a client that sends exactly
//! what it is told. No shipped binary depends on it.

#![expect(clippy::expect_used, reason = "a test that goes wrong may panic")]

mod authority;
mod backend;
mod client;
mod eventually;
mod issuer;
mod planes;
mod process;
mod schema;
mod served;
mod sse;
mod tls;
mod toolhive;
mod wire;

pub use authority::Authority;
pub use backend::{RawBackend, Recorded, Reply, mcp_reply};
pub use client::{Answer, Client, Events, Headers, LEGACY, modern};
pub use eventually::eventually;
pub use issuer::{Asked, Issuer, Mood, Published, claims};
pub use planes::{ControlPlane, DataPlane, Programs, Said};
pub use process::Process;
pub use served::Served;
pub use sse::SseBackend;
pub use tls::{Certificate, TlsDoor};
pub use toolhive::ToolHiveHome;
pub use wire::{Step, WireBackend, event, events, well, whole};
