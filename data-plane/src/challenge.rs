//! Where clients learn whose tokens they need: the challenge of a 401, and the document that it leads to
//! (RFC 9728; MCP 2025-11-25, Authorization, Protected Resource Metadata Discovery Requirements).

use axum::response::Response;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST};
use http::{HeaderMap, HeaderValue, StatusCode};
use vmcp_core::boundary::{Incoming, Issuer};
use vmcp_json::quote;

use crate::reply::json;
use crate::snapshot::Server;

/// Where the documents are, with the path of what they describe behind it.
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Where somebody has come in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address<'a> {
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    pub(crate) path: &'a str,
    /// One of them says under which name.
    pub(crate) headers: &'a HeaderMap,
}

/// The value of `WWW-Authenticate` for a request to this path.
pub(crate) fn of(server: &Server, asked: Address<'_>, error: Option<&str>) -> String {
    let metadata = format!("{}{METADATA}{}", asked.base(server), resource(asked.path));
    let error = error.map(|error| format!(", error=\"{error}\"")).unwrap_or_default();
    let wanted = wanted(issuers(server));
    let scope = if wanted.is_empty() { String::new() } else { format!(", scope=\"{}\"", wanted.join(" ")) };
    format!("Bearer resource_metadata=\"{metadata}\"{scope}{error}")
}

/// The same where a token is good and does not allow enough: all that it needs, at once
/// (RFC 6750, section 3.1; MCP 2025-11-25, Authorization, Runtime Insufficient Scope Errors).
pub(crate) fn of_scopes(server: &Server, asked: Address<'_>, scopes: &[String]) -> String {
    let metadata = format!("{}{METADATA}{}", asked.base(server), resource(asked.path));
    let scopes = scopes.join(" ");
    format!("Bearer resource_metadata=\"{metadata}\", scope=\"{scopes}\", error=\"insufficient_scope\"")
}

fn issuers(server: &Server) -> &[Issuer] {
    match &server.incoming {
        Incoming::Oidc(issuers) => issuers,
        Incoming::Anonymous | Incoming::Local => &[],
    }
}

/// What clients should ask for: what is needed, and what an operator says besides.
fn wanted(issuers: &[Issuer]) -> Vec<&str> {
    let mut all: Vec<&str> = Vec::new();
    for scope in issuers.iter().flat_map(|issuer| issuer.required_scopes.iter().chain(&issuer.scopes)) {
        // It is for clients alone to want that (MCP 2025-11-25, Authorization).
        if scope != "offline_access" && !all.contains(&scope.as_str()) {
            all.push(scope);
        }
    }
    all
}

/// The document of what is at this path. `None`: nobody need know, since everybody may come in.
pub(crate) fn document(server: &Server, asked: Address<'_>) -> Option<Response> {
    let issuers = issuers(server);
    issuers.first()?;
    let named = issuers.iter().find_map(|issuer| issuer.resource.clone());
    let resource = named.unwrap_or_else(|| format!("{}{}", asked.base(server), resource(asked.path)));
    let list = |all: &[&str]| all.iter().map(|text| quote(text)).collect::<Vec<_>>().join(",");
    let servers: Vec<&str> = issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
    let wanted = wanted(issuers);
    let scopes = match wanted.is_empty() {
        true => String::new(),
        false => format!(",\"scopes_supported\":[{}]", list(&wanted)),
    };
    let body = format!(
        "{{\"resource\":{},\"authorization_servers\":[{}],\"bearer_methods_supported\":[\"header\"]{scopes}}}",
        quote(&resource),
        list(&servers),
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

impl Address<'_> {
    fn base(self, server: &Server) -> String {
        match &server.public_url {
            Some(url) => url.to_string().trim_end_matches('/').to_owned(),
            None => {
                let host = self.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
                let is_plain =
                    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte));
                format!("{}://{}", self.scheme, if is_plain { host } else { "localhost" })
            }
        }
    }
}
