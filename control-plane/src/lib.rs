//! The control plane: what operators want and what workloads offer become parts of a published revision.
//!
//! `accept` → desired ─┐
//! workloads → `introspect` ┴→ `reconcile` → `compile` → publish

mod app;
mod compile;
mod introspect;
mod reconcile;
mod status;

pub use app::{ControlPlane, Hosted, Settings};
pub use introspect::{Located, inventory};
pub use status::{BackendStatus, Counts, DiagnosticStatus, Health, Status, VirtualServerStatus};
