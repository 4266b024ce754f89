//! The forms in which things are stored, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vmcp_core::backend::BackendId;
use vmcp_core::desired::{Endpoints, Transport};
use vmcp_core::inventory::{Abilities, Eras, Extensions, Inventory, Legacy};
use vmcp_core::item::{Item, Kind};
use vmcp_core::name::Name;
use vmcp_core::owners::{Owner, Owners};
use vmcp_manifest::Written;

use super::StoreFault;
use super::sealed::Sealed;
use crate::introspect::Observation;
use crate::workloads::{FoundWorkload, FoundWorkloads};

/// An accepted desired state, without its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_ms: u64,
    /// What was done: `apply`, `delete`, `rollback to 3`.
    pub cause: String,
    /// What that changed, such as `+ group everyday`.
    pub changes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct GenerationRecord {
    accepted_ms: u64,
    cause: String,
    changes: Vec<String>,
    documents: Vec<DocumentRecord>,
}

#[derive(Serialize, Deserialize)]
struct DocumentRecord {
    kind: String,
    name: String,
    file: String,
    line: u32,
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct ObservationRecord {
    url: String,
    modern: bool,
    legacy: Option<(String, bool)>,
    completes: bool,
    #[serde(default)]
    logs: bool,
    #[serde(default)]
    subscribes: bool,
    #[serde(default)]
    tasks: bool,
    #[serde(default)]
    apps: bool,
    instructions: Option<String>,
    faults: Vec<String>,
    unread: Vec<String>,
    /// Kind and definition of each.
    items: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct WorkloadRecord {
    name: String,
    url: String,
    is_sse: bool,
    status: String,
    labels: BTreeMap<String, String>,
}

/// What a provider has found of a group.
pub(super) fn write_found(workloads: &FoundWorkloads) -> Result<Vec<u8>, StoreFault> {
    let workloads = workloads.iter().map(|(name, workload)| WorkloadRecord {
        name: name.to_string(),
        url: workload.endpoints.urls.first().map(ToString::to_string).unwrap_or_default(),
        is_sse: workload.endpoints.transport == Transport::Sse,
        status: workload.status.clone(),
        labels: workload.labels.clone(),
    });
    write(&workloads.collect::<Vec<_>>())
}

pub(super) fn read_found(clear: &[u8]) -> Result<FoundWorkloads, StoreFault> {
    let records: Vec<WorkloadRecord> = read(clear)?;
    let workloads = records.into_iter().map(|record| {
        let transport = if record.is_sse { Transport::Sse } else { Transport::StreamableHttp };
        let endpoints = Endpoints { transport, ..Endpoints::at(record.url.parse().map_err(unreadable)?) };
        let workload = FoundWorkload { endpoints, status: record.status, labels: record.labels };
        Ok((record.name.parse().map_err(unreadable)?, workload))
    });
    workloads.collect()
}

pub(super) fn write_generation(
    generation: &Generation,
    documents: &[Written],
    sealed: &Sealed,
) -> Result<Vec<u8>, StoreFault> {
    let documents = documents.iter().map(|document| DocumentRecord {
        kind: document.kind.key().to_owned(),
        name: document.name.to_string(),
        file: document.file.clone(),
        line: document.line,
        hash: sealed.fingerprint(document.text.as_bytes()),
    });
    write(&GenerationRecord {
        accepted_ms: generation.accepted_ms,
        cause: generation.cause.clone(),
        changes: generation.changes.clone(),
        documents: documents.collect(),
    })
}

/// The documents come without their texts, each with the hash of its own.
pub(super) fn read_generation(
    number: u64,
    clear: &[u8],
) -> Result<(Generation, Vec<(Written, String)>), StoreFault> {
    let GenerationRecord { accepted_ms, cause, changes, documents } = read(clear)?;
    let documents = documents.into_iter().map(|record| {
        let written = Written {
            kind: record.kind.parse().map_err(unreadable)?,
            name: record.name.parse().map_err(unreadable)?,
            file: record.file,
            line: record.line,
            text: String::new(),
        };
        Ok((written, record.hash))
    });
    let documents = documents.collect::<Result<_, StoreFault>>()?;
    Ok((Generation { number, accepted_ms, cause, changes }, documents))
}

pub(super) fn write_observation(observation: &Observation) -> Result<Vec<u8>, StoreFault> {
    let inventory = observation.inventory.as_deref().cloned().unwrap_or_default();
    let items = inventory
        .items
        .iter()
        .map(|item| (item.kind.list().to_owned(), String::from_utf8_lossy(&item.definition).into_owned()));
    write(&ObservationRecord {
        url: observation.url.as_ref().map(ToString::to_string).unwrap_or_default(),
        modern: inventory.eras.modern,
        legacy: inventory.eras.legacy.as_ref().map(|legacy| (legacy.version.clone(), legacy.has_sessions)),
        completes: inventory.abilities.completes,
        logs: inventory.abilities.logs,
        subscribes: inventory.abilities.subscribes,
        tasks: inventory.abilities.extensions.tasks,
        apps: inventory.abilities.extensions.apps,
        items: items.collect(),
        unread: inventory.unread.iter().map(|kind| kind.list().to_owned()).collect(),
        instructions: inventory.instructions,
        faults: inventory.faults,
    })
}

/// Nobody has confirmed what is read.
pub(super) fn read_observation(clear: &[u8]) -> Result<Observation, StoreFault> {
    let record: ObservationRecord = read(clear)?;
    let items = record
        .items
        .iter()
        .map(|(kind, definition)| Item::read(read_kind(kind)?, definition).map_err(unreadable));
    let legacy = record.legacy.map(|(version, has_sessions)| Legacy { version, has_sessions });
    let inventory = Inventory {
        eras: Eras { modern: record.modern, legacy },
        items: items.collect::<Result<_, _>>()?,
        abilities: Abilities {
            completes: record.completes,
            logs: record.logs,
            subscribes: record.subscribes,
            extensions: Extensions { tasks: record.tasks, apps: record.apps },
        },
        instructions: record.instructions,
        faults: record.faults,
        unread: record.unread.iter().map(|kind| read_kind(kind)).collect::<Result<_, _>>()?,
    };
    let url = record.url.parse().map_err(unreadable)?;
    Ok(Observation {
        inventory: Some(Arc::new(inventory)),
        url: Some(url),
        is_stale: true,
        ..Observation::default()
    })
}

pub(super) fn write_owners(owners: &Owners) -> Result<Vec<u8>, StoreFault> {
    let owned = owners
        .iter()
        .map(|((kind, exposed), owner)| (kind.list(), exposed.as_str(), owner.original_name.as_str()));
    write(&owned.collect::<Vec<_>>())
}

pub(super) fn read_owners(backend: &Name, clear: &[u8]) -> Result<Owners, StoreFault> {
    let owned: Vec<(String, String, String)> = read(clear)?;
    let owned = owned.into_iter().map(|(kind, exposed, original_name)| {
        Ok(((read_kind(&kind)?, exposed), Owner { backend: backend.clone(), original_name }))
    });
    owned.collect()
}

/// `group/name`.
pub(super) fn read_id(key: &str) -> Result<BackendId, StoreFault> {
    let (group, name) = key.split_once('/').ok_or_else(|| unreadable("a key without `/`"))?;
    Ok(BackendId { group: group.parse().map_err(unreadable)?, name: name.parse().map_err(unreadable)? })
}

fn read_kind(text: &str) -> Result<Kind, StoreFault> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.list() == text)
        .ok_or_else(|| unreadable(format!("unknown kind `{text}`")))
}

fn write(record: &impl Serialize) -> Result<Vec<u8>, StoreFault> {
    serde_json::to_vec(record).map_err(unreadable)
}

fn read<T: DeserializeOwned>(clear: &[u8]) -> Result<T, StoreFault> {
    serde_json::from_slice(clear).map_err(unreadable)
}

fn unreadable(error: impl std::fmt::Display) -> StoreFault {
    StoreFault::Record(error.to_string())
}
