//! The admin port: is it alive, is it ready, how is it, what has it counted.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::watch;
use vmcp_control_plane::{ControlPlane, Status};
use vmcp_data_plane::{DataPlane, Observed};
use vmcp_runtime::{Guard, Metrics};
use vmcp_stdio::ChildStatus;

use crate::serve::workloads::{Children, Hosting};

/// What the admin port can tell.
#[derive(Debug)]
pub(super) struct Admin {
    guard: Guard,
    status: watch::Receiver<Arc<Status>>,
    observed: watch::Receiver<Observed>,
    children: Children,
    metrics: Metrics,
}

impl Admin {
    pub(super) fn new(
        address: SocketAddr,
        control_plane: &ControlPlane,
        data_plane: &DataPlane,
        hosting: &Hosting,
        metrics: Metrics,
    ) -> Self {
        let (status, observed) = (control_plane.status(), data_plane.observed());
        Self { guard: Guard::new(address), status, observed, children: hosting.children(), metrics }
    }

    pub(super) fn router(self) -> Router {
        let admin = Arc::new(self);
        Router::new()
            .route("/livez", get(async || "alive\n"))
            .route("/readyz", get(ready))
            .route("/status", get(status))
            .route("/metrics", get(metrics))
            .layer(middleware::from_fn_with_state(admin.clone(), guard))
            .with_state(admin)
    }
}

async fn guard(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    match admin.guard.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(_) => (StatusCode::FORBIDDEN, "only for this machine\n").into_response(),
    }
}

/// Ready when the first whole revision is served.
async fn ready(State(admin): State<Arc<Admin>>) -> (StatusCode, &'static str) {
    match admin.observed.borrow().revision {
        0 => (StatusCode::SERVICE_UNAVAILABLE, "waiting for the first revision\n"),
        _ => (StatusCode::OK, "ready\n"),
    }
}

#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    status: Status,
    replicas: [Replica; 1],
    processes: Vec<Process>,
}

/// This process as a data plane.
#[derive(Debug, Serialize)]
struct Replica {
    id: &'static str,
    revision: u64,
    rejected: Vec<Rejected>,
}

#[derive(Debug, Serialize)]
struct Rejected {
    part: String,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Process {
    group: String,
    name: String,
    #[serde(flatten)]
    child: ChildStatus,
}

async fn status(State(admin): State<Arc<Admin>>) -> Json<Whole> {
    let mut status = Status::clone(&admin.status.borrow());
    // The address of a hosted workload is a secret: whoever knows it can call the workload past every check.
    for backend in &mut status.backends {
        let is_hosted = admin
            .children
            .keys()
            .any(|id| id.group.as_str() == backend.group && id.name.as_str() == backend.name);
        if is_hosted && backend.url.is_some() {
            backend.url = Some("stdio".to_owned());
        }
    }
    let observed = admin.observed.borrow().clone();
    let rejected = observed.rejected.into_iter().map(|(part, reason)| Rejected { part, reason });
    let replica = Replica { id: "local", revision: observed.revision, rejected: rejected.collect() };
    let processes = admin.children.iter().map(|(id, child)| Process {
        group: id.group.to_string(),
        name: id.name.to_string(),
        child: child.status(),
    });
    Json(Whole { status, replicas: [replica], processes: processes.collect() })
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(CONTENT_TYPE, content_type)], admin.metrics.render()).into_response()
}
