//! The control plane: what operators want and what workloads offer become parts of a published revision.
//!
//! `accept` → desired ─┐
//! workloads → `introspect` ┴→ `reconcile` → `compile` → publish

mod accept;
mod app;
mod compile;
mod introspect;
mod reconcile;
mod status;
mod workloads;

pub use app::{ControlPlane, Settings};
pub use introspect::inventory;
pub use status::{BackendStatus, Counts, DiagnosticStatus, Health, Status, VirtualServerStatus};
pub use workloads::{Hosted, Located};
