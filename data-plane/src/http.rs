//! Listener, routes, and the checks that need no MCP: who is addressed, and from which page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::any;
use http::Method;
use vmcp_runtime::Foreign;

use crate::plane::Plane;
use crate::refusal::Refusal;
use crate::request;
use crate::snapshot::{Server, Snapshot};

/// MCP at `/<virtual server>/mcp`, and at `/mcp` for the default one; over HTTP with SSE at `sse` beside it.
pub(crate) fn router(plane: Arc<Plane>) -> Router {
    Router::new()
        .route("/mcp", any(default_server))
        .route("/sse", any(default_server))
        .route("/messages", any(default_server))
        .route("/{name}/mcp", any(named_server))
        .route("/{name}/sse", any(named_server))
        .route("/{name}/messages", any(named_server))
        .fallback(async || Refusal::no_such_address().into_response())
        .with_state(plane)
}

async fn default_server(State(plane): State<Arc<Plane>>, request: Request) -> Response {
    let snapshot = plane.snapshot.load();
    let found = snapshot.default_server().cloned().ok_or_else(|| missing(&snapshot, None));
    drop(snapshot);
    serve(&plane, found, request).await
}

async fn named_server(
    State(plane): State<Arc<Plane>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let snapshot = plane.snapshot.load();
    let found = snapshot.server(&name).cloned().ok_or_else(|| missing(&snapshot, Some(&name)));
    drop(snapshot);
    serve(&plane, found, request).await
}

/// What is not here may be there at another replica, or later.
fn missing(snapshot: &Snapshot, name: Option<&str>) -> Refusal {
    if snapshot.lacks(name) { Refusal::not_ready() } else { Refusal::no_such_address() }
}

async fn serve(plane: &Arc<Plane>, server: Result<Arc<Server>, Refusal>, request: Request) -> Response {
    match plane.guard.check(request.uri(), request.headers()) {
        Ok(()) => {}
        Err(Foreign::Host) => return Refusal::foreign_host().into_response(),
        Err(Foreign::Origin) => return Refusal::foreign_origin().into_response(),
    }
    let server = match server {
        Ok(server) => server,
        Err(refusal) => return refusal.into_response(),
    };
    let path = request.uri().path();
    match (request.method(), path.rsplit('/').next()) {
        (&Method::GET, Some("sse")) => {
            return request::over_sse::open(plane, &server, path, request.headers());
        }
        (&Method::POST, Some("messages")) => {
            return request::over_sse::take(plane, &server, request).await;
        }
        (_, Some("sse" | "messages")) => return Refusal::method_not_allowed().into_response(),
        _ => {}
    }
    match *request.method() {
        Method::POST => request::post(plane, &server, request).await,
        Method::GET => request::get(plane, &server, request.headers()).await,
        Method::DELETE => request::delete(plane, &server, request.headers()).await,
        _ => Refusal::method_not_allowed().into_response(),
    }
}
