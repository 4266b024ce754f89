//! Listener, routes, and the checks that need no MCP: who is addressed, and from which page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::any;
use http::Method;
use http::header::HOST;
use vmcp_runtime::Foreign;

use crate::challenge::{self, Address};
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
    metadata(&plane, server.as_ref(), "/mcp", request)
}

async fn named_metadata(
    State(plane): State<Arc<Plane>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let server = plane.snapshot.load().server(&name).cloned();
    metadata(&plane, server.as_ref(), &format!("/{name}/mcp"), request)
}

/// Whose tokens are taken at this path, for who has none yet.
fn metadata(plane: &Plane, server: Option<&Arc<Server>>, path: &str, mut request: Request) -> Response {
    name_host(&mut request);
    if let Some(refusal) = foreign(plane, server.map(Arc::as_ref), &request) {
        return refusal.into_response();
    }
    let asked = Address { scheme: plane.scheme, path, headers: request.headers() };
    let document = server.filter(|_| request.method() == Method::GET);
    let document = document.and_then(|server| challenge::document(server, asked));
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

/// The name under which we are addressed, which HTTP/2 says elsewhere, and where it is said there, counts (RFC 9112, section 3.2.2).
fn name_host(request: &mut Request) {
    let authority = request.uri().authority().and_then(|authority| authority.as_str().parse().ok());
    if let Some(authority) = authority {
        request.headers_mut().insert(HOST, authority);
    }
}

async fn serve(plane: &Arc<Plane>, server: Result<Arc<Server>, Refusal>, mut request: Request) -> Response {
    name_host(&mut request);
    let foreign = foreign(plane, server.as_deref().ok(), &request);
    let server = match server {
        Ok(server) => server,
        Err(refusal) => return foreign.unwrap_or(refusal).into_response(),
    };
    if let Some(refusal) = foreign {
        return request::turn_away(&server, &request.into_parts().0, refusal).await;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match (method, path.rsplit('/').next()) {
        (Method::GET, Some("sse")) => request::over_sse::open(plane, &server, &request.into_parts().0).await,
        (Method::POST, Some("messages")) => request::over_sse::take(plane, &server, request).await,
        (Method::POST, Some("mcp")) => request::post(plane, &server, request).await,
        (Method::GET, Some("mcp")) => request::get(plane, &server, &request.into_parts().0).await,
        (Method::DELETE, Some("mcp")) => request::delete(plane, &server, &request.into_parts().0).await,
        _ => request::turn_away(&server, &request.into_parts().0, Refusal::method_not_allowed()).await,
    }
}
