//! The control service: what operators ask, over gRPC.

mod answers;

use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use futures_util::{Stream, stream};
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use vmcp_core::access::Role;
use vmcp_core::name::Name;
use vmcp_manifest::DocumentKind;
use vmcp_proto::v1::control_server::{Control, ControlServer};
use vmcp_proto::{DESCRIPTORS, v1};
use vmcp_runtime::Drain;

use crate::accept::{Change, Manifest, Refused};
use crate::app::ControlPlane;
use crate::gate::{self, Operator};
use crate::preview::{Preview, preview};
pub use answers::{WholeStatus, whole_status};

/// The largest request: every manifest of a large installation at once.
const REQUEST_BYTES: usize = 64 * 1024 * 1024;
/// The largest answer: a catalog of some hundred thousand items.
const ANSWER_BYTES: usize = 256 * 1024 * 1024;
/// Changes that come together are told together.
const WATCH_PAUSE: Duration = Duration::from_millis(50);

struct Service {
    control_plane: ControlPlane,
    drain: Drain,
}

/// What operators ask, health and reflection. Each request carries an [`Operator`].
///
/// # Errors
/// The services cannot be described.
pub(crate) async fn router(control_plane: &ControlPlane, drain: &Drain) -> anyhow::Result<Router> {
    let service = ControlServer::new(Service { control_plane: control_plane.clone(), drain: drain.clone() })
        .max_decoding_message_size(REQUEST_BYTES)
        .max_encoding_message_size(ANSWER_BYTES);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ControlServer<Service>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let mut routes = Routes::new(service);
    routes = routes.add_service(health_service).add_service(reflection);
    Ok(routes.into_axum_router())
}

impl Service {
    async fn change(
        &self,
        operator: &Operator,
        change: Change,
        expected: Option<u64>,
        dry_run: bool,
    ) -> Answer<v1::ChangeResponse> {
        let acceptor = &self.control_plane.acceptor;
        let response = if dry_run {
            let planned = acceptor.plan(&change, expected).await;
            planned.map(|planned| {
                let current = acceptor.desired();
                let known = self.control_plane.backends.borrow().clone();
                let Preview { changes, not_asked, diagnostics } = preview(&current, &planned.desired, &known);
                v1::ChangeResponse {
                    generation: planned.generation,
                    changes: planned.changes.into_iter().map(answers::document_change).collect(),
                    catalog: changes.into_iter().map(answers::catalog_change).collect(),
                    diagnostics: diagnostics.iter().map(|told| answers::diagnostic(&told.into())).collect(),
                    not_asked: not_asked.iter().map(ToString::to_string).collect(),
                    faults: Vec::new(),
                }
            })
        } else {
            let by = operator.is_certified.then(|| operator.name.clone());
            acceptor.accept(change, expected, by).await.map(|outcome| v1::ChangeResponse {
                generation: outcome.generation,
                changes: outcome.changes.into_iter().map(answers::document_change).collect(),
                ..v1::ChangeResponse::default()
            })
        };
        match response {
            Ok(response) => Ok(Response::new(response)),
            Err(Refused::Faults(faults)) => Ok(Response::new(v1::ChangeResponse {
                generation: acceptor.documents().0,
                faults: faults.into_iter().map(answers::fault).collect(),
                ..v1::ChangeResponse::default()
            })),
            Err(refused @ Refused::Conflict { .. }) => Err(Status::aborted(refused.to_string())),
            Err(refused @ Refused::NotFound(_)) => Err(Status::not_found(refused.to_string())),
            Err(refused @ (Refused::InUse { .. } | Refused::Empty)) => {
                Err(Status::failed_precondition(refused.to_string()))
            }
            Err(refused @ Refused::Store(_)) => Err(Status::internal(refused.to_string())),
        }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Control for Service {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::Status, Status>> + Send>>;

    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Answer<v1::ChangeResponse> {
        let operator = operator(&request)?;
        let v1::ApplyRequest { manifests, prune, dry_run, expected_generation } = request.into_inner();
        if prune && !dry_run {
            needs(&operator, Role::Admin)?;
        }
        let manifests =
            manifests.into_iter().map(|manifest| Manifest { file: manifest.file, text: manifest.text });
        let change = Change::Apply { manifests: manifests.collect(), prune };
        self.change(&operator, change, expected_generation, dry_run).await
    }

    async fn diff(&self, request: Request<v1::ApplyRequest>) -> Answer<v1::ChangeResponse> {
        self.apply(request.map(|request| v1::ApplyRequest { dry_run: true, ..request })).await
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Answer<v1::ChangeResponse> {
        let operator = operator(&request)?;
        let v1::DeleteRequest { kind, name, dry_run, expected_generation } = request.into_inner();
        let change = Change::Delete(read_kind(&kind)?, read_name(&name)?);
        self.change(&operator, change, expected_generation, dry_run).await
    }

    async fn rollback(&self, request: Request<v1::RollbackRequest>) -> Answer<v1::ChangeResponse> {
        let operator = operator(&request)?;
        let v1::RollbackRequest { generation, dry_run, expected_generation } = request.into_inner();
        self.change(&operator, Change::Rollback(generation), expected_generation, dry_run).await
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Answer<v1::GetResponse> {
        let v1::GetRequest { kind, name } = request.into_inner();
        let kind = if kind.is_empty() { None } else { Some(read_kind(&kind)?) };
        let name = if name.is_empty() { None } else { Some(read_name(&name)?) };
        let (generation, documents) = self.control_plane.acceptor.documents();
        let wanted = documents.values().filter(|document| {
            kind.is_none_or(|kind| kind == document.kind)
                && name.as_ref().is_none_or(|name| *name == document.name)
        });
        let documents = wanted.map(answers::document).collect();
        Ok(Response::new(v1::GetResponse { generation, documents }))
    }

    async fn get_catalog(&self, request: Request<v1::GetCatalogRequest>) -> Answer<v1::Catalog> {
        let name = read_name(&request.into_inner().virtual_server)?;
        let status = self.control_plane.status.borrow().clone();
        let catalog = answers::catalog(&name, &self.control_plane.publisher.current(), &status);
        catalog
            .map(Response::new)
            .ok_or_else(|| Status::not_found(format!("there is no virtual server `{name}`")))
    }

    async fn history(&self, request: Request<v1::HistoryRequest>) -> Answer<v1::HistoryResponse> {
        let limit = match request.into_inner().limit {
            0 => 20,
            limit => limit as usize,
        };
        let history = self.control_plane.acceptor.history(limit).await;
        let history = history.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(v1::HistoryResponse {
            entries: history.into_iter().map(answers::history_entry).collect(),
        }))
    }

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::Status> {
        Ok(Response::new(whole_status(&self.control_plane)))
    }

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        let control_plane = self.control_plane.clone();
        let (status, fleet) = (control_plane.status(), control_plane.publisher.fleet().changes());
        let begin = (control_plane, status, fleet, self.drain.clone(), true);
        let stream =
            stream::unfold(begin, async |(control_plane, mut status, mut fleet, drain, is_first)| {
                if !is_first {
                    tokio::select! {
                        () = drain.stopped() => return None,
                        changed = status.changed() => changed.ok()?,
                        changed = fleet.changed() => changed.ok()?,
                    }
                    tokio::time::sleep(WATCH_PAUSE).await;
                }
                status.mark_unchanged();
                fleet.mark_unchanged();
                Some((Ok(whole_status(&control_plane)), (control_plane, status, fleet, drain, false)))
            });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// Who asks. Whoever comes past the gate carries it.
fn operator<T>(request: &Request<T>) -> Result<Operator, Status> {
    let operator = request.extensions().get::<Operator>().cloned();
    operator.ok_or_else(|| Status::unauthenticated("it is not known who asks"))
}

fn needs(operator: &Operator, role: Role) -> Result<(), Status> {
    if operator.role >= Some(role) {
        return Ok(());
    }
    Err(Status::permission_denied(format!("this needs the role `{}`", gate::word(role))))
}

fn read_kind(text: &str) -> Result<DocumentKind, Status> {
    text.parse().map_err(|error: vmcp_manifest::UnknownKind| Status::invalid_argument(error.to_string()))
}

fn read_name(text: &str) -> Result<Name, Status> {
    text.parse().map_err(|error: vmcp_core::name::InvalidName| Status::invalid_argument(error.to_string()))
}

#[cfg(test)]
mod tests;
