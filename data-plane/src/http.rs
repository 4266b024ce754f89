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
use crate::snapshot::Server;

/// MCP at `/<virtual server>/mcp`, and at `/mcp` for the default one.
pub(crate) fn router(plane: Arc<Plane>) -> Router {
    Router::new()
        .route("/mcp", any(default_server))
        .route("/{name}/mcp", any(named_server))
        .fallback(async || Refusal::no_such_address().into_response())
        .with_state(plane)
}

async fn default_server(State(plane): State<Arc<Plane>>, request: Request) -> Response {
    let server = plane.snapshot.load().default_server().cloned();
    serve(&plane, server, request).await
}

async fn named_server(
    State(plane): State<Arc<Plane>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let server = plane.snapshot.load().server(&name).cloned();
    serve(&plane, server, request).await
}

async fn serve(plane: &Arc<Plane>, server: Option<Arc<Server>>, request: Request) -> Response {
    match plane.guard.check(request.uri(), request.headers()) {
        Ok(()) => {}
        Err(Foreign::Host) => return Refusal::foreign_host().into_response(),
        Err(Foreign::Origin) => return Refusal::foreign_origin().into_response(),
    }
    let Some(server) = server else {
        let is_ready = plane.snapshot.load().revision > 0;
        return if is_ready { Refusal::no_such_address() } else { Refusal::not_ready() }.into_response();
    };
    match *request.method() {
        Method::POST => request::post(plane, &server, request).await,
        Method::GET => request::get(plane, &server, request.headers()),
        Method::DELETE => request::delete(plane, &server, request.headers()).await,
        _ => Refusal::method_not_allowed().into_response(),
    }
}
