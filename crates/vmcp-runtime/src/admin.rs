//! The admin port of every program: is it alive, is it ready, how is it, what has it counted.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::{Guard, Metrics};

type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;

/// What a program tells of itself.
pub struct AdminPages {
    /// Whether it can take requests; if not, why not.
    pub ready: Ask<Result<(), String>>,
    /// How it is, as JSON.
    pub status: Ask<String>,
    /// What it has counted.
    pub metrics: Metrics,
}

impl fmt::Debug for AdminPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminPages")
    }
}

impl AdminPages {
    /// `/livez`, `/readyz`, `/status` and `/metrics`, for a listener at this address.
    pub fn router(self, address: SocketAddr) -> Router {
        let guard = Guard::new(address);
        Router::new()
            .route("/livez", get(async || "alive\n"))
            .route("/readyz", get(ready))
            .route("/status", get(status))
            .route("/metrics", get(metrics))
            .layer(middleware::from_fn_with_state(guard, keep_out))
            .with_state(Arc::new(self))
    }
}

async fn keep_out(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.uri(), request.headers(), &[]) {
        Ok(()) => next.run(request).await,
        Err(_) => (StatusCode::FORBIDDEN, "only for this machine\n").into_response(),
    }
}

async fn ready(State(pages): State<Arc<AdminPages>>) -> (StatusCode, String) {
    match (pages.ready)() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    }
}

async fn status(State(pages): State<Arc<AdminPages>>) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, content_type)], (pages.status)()).into_response()
}

async fn metrics(State(pages): State<Arc<AdminPages>>) -> Response {
    let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(CONTENT_TYPE, content_type)], pages.metrics.render()).into_response()
}
