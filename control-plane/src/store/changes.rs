//! What has changed since the last revision, and how it is written.

use std::collections::BTreeMap;

use vmcp_core::backend::BackendId;
use vmcp_core::name::Name;
use vmcp_core::owners::Owners;

use super::sealed::Sealed;
use super::{FOUND, OBSERVATIONS, OWNERS, Outcome, fault, records};
use crate::introspect::Observation;
use crate::workloads::FoundWorkloads;

/// What has changed since the last revision.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// `None`: nothing is remembered of it any more.
    pub(crate) observations: Vec<(BackendId, Option<Observation>)>,
    /// `None`: no provider finds anything of the group any more.
    pub(crate) workloads: BTreeMap<Name, Option<FoundWorkloads>>,
    /// Of the names of one backend in one virtual server. Empty: it has none.
    pub(crate) owners: BTreeMap<(Name, Name), Owners>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.observations.is_empty() && self.workloads.is_empty() && self.owners.is_empty()
    }
}

pub(super) fn write_changes(
    transaction: &redb::WriteTransaction,
    sealed: &Sealed,
    changes: &Changes,
) -> Outcome<()> {
    let mut observations = transaction.open_table(OBSERVATIONS).map_err(fault)?;
    for (id, observation) in &changes.observations {
        let key = id.to_string();
        match observation {
            Some(observation) => {
                let record = sealed.seal("observations", &key, &records::write_observation(observation)?)?;
                observations.insert(key.as_str(), record.as_slice()).map_err(fault)?;
            }
            None => drop(observations.remove(key.as_str()).map_err(fault)?),
        }
    }
    let mut found = transaction.open_table(FOUND).map_err(fault)?;
    for (group, workloads) in &changes.workloads {
        let key = group.as_str();
        match workloads {
            Some(workloads) => {
                let record = sealed.seal("found", key, &records::write_found(workloads)?)?;
                found.insert(key, record.as_slice()).map_err(fault)?;
            }
            None => drop(found.remove(key).map_err(fault)?),
        }
    }
    let mut owners = transaction.open_table(OWNERS).map_err(fault)?;
    for ((server, backend), owned) in &changes.owners {
        let key = format!("{server}/{backend}");
        if owned.is_empty() {
            owners.remove(key.as_str()).map_err(fault)?;
            continue;
        }
        let record = sealed.seal("owners", &key, &records::write_owners(owned)?)?;
        owners.insert(key.as_str(), record.as_slice()).map_err(fault)?;
    }
    Ok(())
}
