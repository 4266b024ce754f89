//! What is known, as messages of the control service.

use std::time::Duration;

use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_manifest::Written;
use vmcp_proto::v1;
use vmcp_revision::codec::{Decoded, decode};
use vmcp_revision::{PartName, Published, Replica};

use crate::accept::{DocumentChange, PlacedFault};
use crate::app::ControlPlane;
use crate::preview::{CatalogChange, ItemChange};
use crate::status::{BackendStatus, Counts, DiagnosticStatus, Status};
use crate::store::Generation;

/// How everything is, the fleet included.
pub type WholeStatus = v1::Status;

/// How everything is now.
pub fn whole_status(control_plane: &ControlPlane) -> WholeStatus {
    let status = control_plane.status.borrow().clone();
    let publisher = &control_plane.publisher;
    let published = publisher.current();
    let replicas = publisher.fleet().replicas();
    let virtual_servers = status.virtual_servers.iter().map(|server| {
        let counts = counts(server.counts);
        v1::VirtualServerStatus {
            name: server.name.clone(),
            group: server.group.clone(),
            default: server.default,
            tools: counts.tools,
            resources: counts.resources,
            resource_templates: counts.resource_templates,
            prompts: counts.prompts,
        }
    });
    v1::Status {
        // What is accepted is accepted, though nothing has been compiled yet.
        generation: control_plane.acceptor.documents().0,
        revision: published.revision,
        virtual_servers: virtual_servers.collect(),
        backends: status.backends.iter().map(backend).collect(),
        replicas: replicas.iter().map(|(id, known)| replica(id, known, publisher.now())).collect(),
        diagnostics: status.diagnostics.iter().map(diagnostic).collect(),
        settled_generation: status.progress.settled_generation,
        settled_revision: status.progress.settled_revision,
        error: status.error.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        returning_ms: returning(control_plane),
    }
}

/// How long it may take until everybody is back who followed before.
fn returning(control_plane: &ControlPlane) -> u64 {
    if !control_plane.has_resumed {
        return 0;
    }
    // A pause, and a little for what comes behind it.
    let time = limits::RECONNECT_LONGEST + Duration::from_secs(2);
    u64::try_from(time.saturating_sub(control_plane.publisher.now()).as_millis()).unwrap_or(u64::MAX)
}

/// What a virtual server offers; `None` if it is not published.
pub(super) fn catalog(server: &Name, published: &Published, status: &Status) -> Option<v1::Catalog> {
    published.parts.get(&PartName::VirtualServer(server.clone()))?;
    let mut catalog = v1::Catalog::default();
    for share in shares(server, published) {
        for item in share.visible() {
            let listed = v1::CatalogItem {
                exposed_name: item.exposed_name.clone(),
                original_name: item.original_name.clone(),
                backend: share.backend.to_string(),
            };
            match item.kind {
                Kind::Tool => catalog.tools.push(listed),
                Kind::Resource => catalog.resources.push(listed),
                Kind::Template => catalog.resource_templates.push(listed),
                Kind::Prompt => catalog.prompts.push(listed),
            }
        }
    }
    let told = status.diagnostics.iter().filter(|diagnostic| diagnostic.virtual_server == server.as_str());
    catalog.diagnostics = told.map(diagnostic).collect();
    Some(catalog)
}

fn shares<'p>(
    server: &'p Name,
    published: &'p Published,
) -> impl Iterator<Item = vmcp_core::catalog::Share> + 'p {
    let parts = published.parts.values().filter(
        move |part| matches!(&part.name, PartName::Catalog { virtual_server, .. } if virtual_server == server),
    );
    parts.filter_map(|part| match decode(part) {
        Ok(Decoded::Share(share)) => Some(share),
        _ => None,
    })
}

fn backend(backend: &BackendStatus) -> v1::BackendStatus {
    let labels =
        backend.labels.iter().map(|(name, value)| v1::Label { name: name.clone(), value: value.clone() });
    v1::BackendStatus {
        name: backend.name.clone(),
        group: backend.group.clone(),
        url: backend.url.clone(),
        eras: backend.eras.iter().map(ToString::to_string).collect(),
        health: backend.health.to_string(),
        stale: backend.stale,
        counts: backend.counts.map(counts),
        last_error: backend.last_error.clone(),
        workload_status: backend.workload_status.clone(),
        labels: labels.collect(),
    }
}

fn counts(counts: Counts) -> v1::Counts {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    v1::Counts {
        tools: number(counts.tools),
        resources: number(counts.resources),
        resource_templates: number(counts.resource_templates),
        prompts: number(counts.prompts),
    }
}

fn replica(id: &str, known: &Replica, now: Duration) -> v1::ReplicaStatus {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let rejected = known
        .rejected
        .iter()
        .map(|rejected| v1::Rejection { part: rejected.name.to_string(), reason: rejected.reason.clone() });
    let held_back = known.held_back.iter().map(|held_back| v1::HeldBackServer {
        virtual_server: held_back.virtual_server.to_string(),
        revision: held_back.revision,
        parts: held_back.parts.iter().map(ToString::to_string).collect(),
    });
    let report = &known.report;
    v1::ReplicaStatus {
        id: id.to_owned(),
        revision: known.revision,
        rejected: rejected.collect(),
        generation: known.generation,
        software_version: known.software_version.clone(),
        connected: known.stream.is_some(),
        answered: known.has_answered,
        held_back: held_back.collect(),
        stuck: known.stuck.clone(),
        spill_error: known.spill_error.clone(),
        since_ms: milliseconds(now.saturating_sub(known.since)),
        was_stale_ms: milliseconds(known.was_stale),
        bytes: known.bytes,
        revision_bytes: known.revision_bytes,
        requests: report.answered + report.forwarded + report.refused + report.failed,
        failed: report.failed,
        answered_after_ms: known.answered_after.map(milliseconds),
    }
}

pub(super) fn diagnostic(diagnostic: &DiagnosticStatus) -> v1::Diagnostic {
    v1::Diagnostic {
        severity: diagnostic.severity.to_owned(),
        virtual_server: diagnostic.virtual_server.clone(),
        backends: diagnostic.backends.clone(),
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone(),
        line: diagnostic.line.clone(),
    }
}

pub(super) fn document_change(change: DocumentChange) -> v1::DocumentChange {
    let both = change.before.as_ref().zip(change.after.as_ref());
    v1::DocumentChange {
        unshown_differs: both.is_some_and(|(before, after)| before.unshown() != after.unshown()),
        kind: change.kind.key().to_owned(),
        name: change.name.to_string(),
        before: change.before.map(|document| document.shown()),
        after: change.after.map(|document| document.shown()),
    }
}

pub(super) fn catalog_change(change: CatalogChange) -> v1::CatalogChange {
    let (word, former_name) = match change.change {
        ItemChange::Added => ("added", None),
        ItemChange::Removed => ("removed", None),
        ItemChange::Renamed { from } => ("renamed", Some(from)),
        ItemChange::Redescribed => ("redescribed", None),
    };
    v1::CatalogChange {
        virtual_server: change.virtual_server.to_string(),
        kind: change.kind.noun().to_owned(),
        change: word.to_owned(),
        backend: change.backend.to_string(),
        exposed_name: change.exposed_name,
        former_name,
    }
}

pub(super) fn fault(placed: PlacedFault) -> v1::Fault {
    let PlacedFault { file, is_stored, fault } = placed;
    v1::Fault {
        file,
        line: fault.place.line,
        column: fault.place.column,
        path: fault.path,
        message: fault.message,
        length: fault.place.end.saturating_sub(fault.place.start),
        stored: is_stored,
        help: fault.help,
    }
}

pub(super) fn document(document: &Written) -> v1::Document {
    v1::Document {
        kind: document.kind.key().to_owned(),
        name: document.name.to_string(),
        file: document.file.clone(),
        line: document.line,
        text: document.shown(),
    }
}

pub(super) fn history_entry(generation: Generation) -> v1::HistoryEntry {
    v1::HistoryEntry {
        generation: generation.number,
        accepted_ms: generation.accepted_ms,
        cause: generation.cause,
        changes: generation.changes,
    }
}
