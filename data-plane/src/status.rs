//! How a data plane is, as an operator reads it.

use serde::Serialize;
use vmcp_core::limits;
use vmcp_runtime::unix_ms;

use crate::app::DataPlane;

/// How a data plane is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its id in the fleet.
    pub replica: String,
    /// What it serves; 0 before the first.
    pub revision: u64,
    /// The accepted desired state that this was made from.
    pub generation: u64,
    /// Whether it was read from disk, and no control plane has confirmed it.
    pub from_disk: bool,
    /// The control plane that it follows.
    pub control_plane: Option<String>,
    /// When it last heard from one, in milliseconds since 1970; absent while it follows one.
    pub stale_since_ms: Option<u64>,
    /// For how many milliseconds that has been so.
    pub stale_ms: Option<u64>,
    /// Why it follows none.
    pub last_error: Option<String>,
    /// Parts that it could not use.
    pub rejected: Vec<Rejected>,
    /// Virtual servers that are held at an earlier revision for that.
    pub held_back: Vec<HeldBack>,
    /// Why what was on disk was not used.
    pub kept_fault: Option<String>,
    /// Why what is served could not be kept on disk.
    pub spill_error: Option<String>,
    /// Backends of which nothing is to be expected, as the control plane says, up to a bound.
    pub unavailable: Vec<String>,
    /// How many there are in all.
    pub unavailable_count: usize,
    /// Backends that this replica does not call now, since calls to them fail, up to a bound.
    pub avoided: Vec<String>,
}

/// A part that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its name.
    pub part: String,
    /// Why.
    pub reason: String,
}

/// A virtual server at an earlier revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldBack {
    /// Its name.
    pub virtual_server: String,
    /// The revision that it is of; 0 if it is not served.
    pub revision: u64,
}

/// How it is now.
pub fn describe(data_plane: &DataPlane) -> Status {
    let observed = data_plane.observed().borrow().clone();
    let connection = data_plane.connection().borrow().clone();
    let told = data_plane.told().borrow().clone();
    let unavailable = told.backends.iter().filter(|(_, health)| health.is_unavailable());
    let unavailable: Vec<String> = unavailable.map(|(id, _)| id.to_string()).collect();
    let stale_since_ms = (connection.to.is_none() && connection.heard_ms > 0).then_some(connection.heard_ms);
    let rejected =
        observed.rejected.into_iter().map(|(name, reason)| Rejected { part: name.to_string(), reason });
    let held_back = observed.held_back.into_iter().map(|held_back| HeldBack {
        virtual_server: held_back.virtual_server.to_string(),
        revision: held_back.revision,
    });
    Status {
        replica: data_plane.replica().to_owned(),
        revision: observed.revision,
        generation: observed.generation,
        from_disk: observed.is_from_disk,
        control_plane: connection.to,
        stale_since_ms,
        stale_ms: stale_since_ms.map(|since| unix_ms().saturating_sub(since)),
        last_error: connection.last_error,
        rejected: rejected.collect(),
        held_back: held_back.collect(),
        kept_fault: observed.kept_fault,
        spill_error: observed.spill_error,
        unavailable_count: unavailable.len(),
        unavailable: unavailable.into_iter().take(limits::MISSING_BACKENDS).collect(),
        avoided: data_plane
            .avoided()
            .iter()
            .take(limits::MISSING_BACKENDS)
            .map(ToString::to_string)
            .collect(),
    }
}
