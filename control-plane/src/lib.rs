//! The control plane: what operators want and what workloads offer become parts of a published revision.
//!
//! `accept` → desired ─┐
//! workloads → `introspect` ┴→ `reconcile` → `compile` → publish

mod accept;
mod api;
mod app;
mod compile;
mod gate;
mod health;
mod introspect;
mod issuers;
mod metrics;
mod policies;
mod preview;
mod program;
mod reconcile;
mod settings;
mod status;
mod store;
mod workloads;

pub use accept::{
    Acceptor, Change, DocumentChange, Documents, Expected, Manifest, Outcome, PlacedFault, Planned, Refused,
};
pub use api::{WholeStatus, whole_status};
pub use app::{ControlPlane, Settings, StartError};
pub use introspect::{Service, inventory, service, set_origins};
pub use policies::odd;
pub use program::main;
pub use settings::toolhive_folders;
pub use status::{BackendStatus, Counts, DiagnosticStatus, Progress, Status, VirtualServerStatus};
pub use store::{Generation, Store, StoreFault};
pub use workloads::{Hosted, Located, ToolHiveFolders, find_toolhive_group, look_for_toolhive_group};
