//! Where clients learn whose tokens they need: the challenge of a 401, and the document that it leads to
//! (RFC 9728; MCP 2025-11-25, Authorization, Protected Resource Metadata Discovery Requirements).

use axum::response::Response;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST};
use http::{HeaderMap, HeaderValue, StatusCode};
use vmcp_core::desired::Incoming;
use vmcp_json::quote;

use crate::reply::json;
use crate::snapshot::Server;

/// Where the documents are, with the path of what they describe behind it.
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// The value of `WWW-Authenticate` for a request to this path.
pub(crate) fn of(server: &Server, path: &str, headers: &HeaderMap, error: Option<&str>) -> String {
    let metadata = format!("{}{METADATA}{}", base(server, headers), resource(path));
    let error = error.map(|error| format!(", error=\"{error}\"")).unwrap_or_default();
    format!("Bearer resource_metadata=\"{metadata}\"{error}")
}

/// The document of what is at this path. `None`: nobody need know, since everybody may come in.
pub(crate) fn document(server: &Server, path: &str, headers: &HeaderMap) -> Option<Response> {
    let Incoming::Oidc(oidc) = &server.incoming else { return None };
    let resource = format!("{}{}", base(server, headers), resource(path));
    let body = format!(
        "{{\"resource\":{},\"authorization_servers\":[{}],\"bearer_methods_supported\":[\"header\"]}}",
        quote(&resource),
        quote(&oidc.issuer),
    );
    let mut response = json(StatusCode::OK, body);
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Some(response)
}

/// One resource, by whichever transport.
fn resource(path: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/mcp")
}

fn base(server: &Server, headers: &HeaderMap) -> String {
    match &server.public_url {
        Some(url) => url.to_string().trim_end_matches('/').to_owned(),
        None => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte));
            format!("http://{}", if is_plain { host } else { "localhost" })
        }
    }
}
