//! Listener, routes, and the checks that need no MCP: who is addressed, and from which page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::any;
use http::Method;
use vmcp_runtime::Foreign;

use crate::challenge;
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
        .route("/.well-known/oauth-protected-resource", any(default_metadata))
        .route("/.well-known/oauth-protected-resource/mcp", any(default_metadata))
        .route("/.well-known/oauth-protected-resource/{name}/mcp", any(named_metadata))
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

async fn default_metadata(State(plane): State<Arc<Plane>>, request: Request) -> Response {
    let server = plane.snapshot.load().default_server().cloned();
    metadata(&plane, server.as_ref(), "/mcp", &request)
}

async fn named_metadata(
    State(plane): State<Arc<Plane>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let server = plane.snapshot.load().server(&name).cloned();
    metadata(&plane, server.as_ref(), &format!("/{name}/mcp"), &request)
}

/// Whose tokens are taken at this path, for who has none yet.
fn metadata(plane: &Plane, server: Option<&Arc<Server>>, path: &str, request: &Request) -> Response {
    if let Some(refusal) = foreign(plane, server.map(Arc::as_ref), request) {
        return refusal.into_response();
    }
    let document = server.filter(|_| request.method() == Method::GET);
    let document = document.and_then(|server| challenge::document(server, path, request.headers()));
    document.unwrap_or_else(|| Refusal::no_such_address().into_response())
}

fn foreign(plane: &Plane, server: Option<&Server>, request: &Request) -> Option<Refusal> {
    let allowed = server.map_or(&[][..], |server| &server.allowed_hosts);
    match plane.guard.check(request.uri(), request.headers(), allowed) {
        Ok(()) => None,
        Err(Foreign::Host) => Some(Refusal::foreign_host()),
        Err(Foreign::Origin) => Some(Refusal::foreign_origin()),
    }
}

/// What is not here may be there at another replica, or later.
fn missing(snapshot: &Snapshot, name: Option<&str>) -> Refusal {
    if snapshot.lacks(name) { Refusal::not_ready() } else { Refusal::no_such_address() }
}

async fn serve(plane: &Arc<Plane>, server: Result<Arc<Server>, Refusal>, request: Request) -> Response {
    if let Some(refusal) = foreign(plane, server.as_deref().ok(), &request) {
        return refusal.into_response();
    }
    let server = match server {
        Ok(server) => server,
        Err(refusal) => return refusal.into_response(),
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match (method, path.rsplit('/').next()) {
        (Method::GET, Some("sse")) => request::over_sse::open(plane, &server, &path, request.headers()).await,
        (Method::POST, Some("messages")) => request::over_sse::take(plane, &server, request).await,
        (_, Some("sse" | "messages")) => Refusal::method_not_allowed().into_response(),
        (Method::POST, _) => request::post(plane, &server, request).await,
        (Method::GET, _) => request::get(plane, &server, &path, request.headers()).await,
        (Method::DELETE, _) => request::delete(plane, &server, &path, request.headers()).await,
        _ => Refusal::method_not_allowed().into_response(),
    }
}
