//! What needs no backend: the handshake, `ping`, lists and change notifications, from memory.

mod initialize;
mod listen;

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use vmcp_core::inventory::{Abilities, Extensions};
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_core::operational::PartialFailure;
use vmcp_json::quote;
use vmcp_mcp::{OURSELVES, ProtocolVersion, extension, result};

use crate::asked::{Ask, Asked, Client};
use crate::level::Level;
use crate::plane::Plane;
use crate::principal::{Identity, Scope};
use crate::refusal::Refusal;
use crate::reply::json;
use crate::snapshot::{Lists, Page, Server};

pub(crate) use listen::{listen_legacy, listen_modern};

/// Answers a question about ourselves.
pub(crate) async fn answer(
    plane: &Arc<Plane>,
    server: &Arc<Server>,
    identity: &Identity,
    asked: &Asked<'_>,
) -> Result<Response, Refusal> {
    match (asked.ask, asked.client) {
        (Ask::List(kind), client) => list(plane, server, identity, kind, client, asked),
        (Ask::Initialize, Client::Legacy { version, .. }) => {
            Box::pin(initialize::initialize(plane, server, version, (identity, asked))).await
        }
        (Ask::Discover, _) => Ok(respond(asked, discovered(server, identity).as_bytes())),
        (Ask::Ping, _) => Ok(respond(asked, b"{}")),
        (Ask::SetLevel, client) => set_level(plane, server, identity, client, asked),
        // Only a legacy client can ask to initialize, and the rest goes to backends.
        _ => Err(Refusal::unknown_method(&asked.request.method, asked.client == Client::Modern)),
    }
}

/// The owner of a prompt or template completes nothing, so there is nothing to propose.
pub(crate) fn no_completion(asked: &Asked<'_>) -> Response {
    let result_type = if asked.client == Client::Modern { ",\"resultType\":\"complete\"" } else { "" };
    respond(asked, format!("{{\"completion\":{{\"values\":[]}}{result_type}}}").as_bytes())
}

fn respond(asked: &Asked<'_>, value: &[u8]) -> Response {
    json(StatusCode::OK, result(asked.request.id.raw(), value))
}

/// For all backends of a session, those that it has none with yet included.
fn set_level(
    plane: &Arc<Plane>,
    server: &Arc<Server>,
    identity: &Identity,
    client: Client,
    asked: &Asked<'_>,
) -> Result<Response, Refusal> {
    let level = asked.request.params.as_ref().and_then(|params| params.get("level"));
    let level = level.and_then(|level| Level::parse(&level.as_str()?)).ok_or_else(Refusal::unknown_level)?;
    // Without a session nothing is remembered.
    if let Some(client) = client.session() {
        plane.backend_sessions.set_level(&client, level);
        let (plane, server, identity) = (plane.clone(), server.clone(), identity.clone());
        tokio::spawn(async move {
            let logging = server.backends.iter().filter(|backend| backend.abilities.logs);
            for opened in plane.backend_sessions.of((&client, &identity), logging).await {
                opened.log(&plane.exchange, level).await;
            }
        });
    }
    Ok(respond(asked, b"{}"))
}

/// MCP 2026-07-28, Discovery.
fn discovered(server: &Server, identity: &Identity) -> String {
    format!(
        "{{\"supportedVersions\":{},\"capabilities\":{}{}{}",
        ProtocolVersion::all_as_json(),
        capabilities(server, true),
        instructions(server, identity),
        modern_tail(server, ""),
    )
}

/// The backends of which nothing is to be expected now, as a member of `_meta`; nothing if there is none.
fn missing_json(missing: &[&Name]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    let names: Vec<String> =
        missing.iter().take(limits::MISSING_BACKENDS).map(|name| quote(name.as_str())).collect();
    format!("\"vmcp/unavailableBackends\":[{}]", names.join(","))
}

/// What every complete, cacheable modern result ends with. It is `public` where lists are the same for every caller.
fn modern_tail(server: &Server, missing: &str) -> String {
    let comma = if missing.is_empty() { "" } else { "," };
    let scope = if server.is_public() { "public" } else { "private" };
    format!(
        ",\"resultType\":\"complete\",\"ttlMs\":{},\"cacheScope\":\"{scope}\",\"_meta\":{{\"io.modelcontextprotocol/serverInfo\":{}{comma}{missing}}}}}",
        limits::LIST_FRESH_TIME.as_millis(),
        server_info(server),
    )
}

/// What is served now or may be later: lists change while clients are connected.
fn capabilities(server: &Server, is_modern: bool) -> String {
    let Abilities { completes, logs, extensions, .. } = server.abilities;
    let subscribes = server.backends.iter().any(|backend| backend.tells_of_resources(is_modern));
    let extensions = extended(extensions, is_modern);
    let completions = if completes { ",\"completions\":{}" } else { "" };
    let logging = if logs { ",\"logging\":{}" } else { "" };
    let subscribe = if subscribes { ",\"subscribe\":true" } else { "" };
    format!(
        "{{\"tools\":{{\"listChanged\":true}},\"resources\":{{\"listChanged\":true{subscribe}}},\"prompts\":{{\"listChanged\":true}}{completions}{logging}{extensions}}}"
    )
}

/// The extensions that some backend has, as a member; a call for one goes to whoever owns what it is about.
fn extended(extensions: Extensions, is_modern: bool) -> String {
    let all = [(extensions.tasks && is_modern, extension::TASKS), (extensions.apps, extension::APPS)];
    let named: Vec<String> =
        all.iter().filter(|(is_had, _)| *is_had).map(|(_, name)| format!("\"{name}\":{{}}")).collect();
    if named.is_empty() { String::new() } else { format!(",\"extensions\":{{{}}}", named.join(",")) }
}

fn server_info(server: &Server) -> String {
    format!("{{\"name\":{},\"version\":{}}}", quote(server.name.as_str()), quote(OURSELVES.version))
}

fn instructions(server: &Server, identity: &Identity) -> String {
    let told = server.instructions(identity);
    told.map(|text| format!(",\"instructions\":{}", quote(&text))).unwrap_or_default()
}

/// One page of a list: definitions as they were joined when the snapshot was built.
fn list(
    plane: &Plane,
    server: &Server,
    identity: &Identity,
    kind: Kind,
    client: Client,
    asked: &Asked<'_>,
) -> Result<Response, Refusal> {
    let filtered = server.guards.as_ref().map(|guards| guards.lists(identity, &server.lists));
    let told = plane.told.load();
    let mut missing = server.unavailable(&told);
    // A caller does not hear of whom it may use nothing. What nobody has heard of yet is missed by all.
    missing.retain(|backend| {
        let is_seen = |lists: &Arc<Lists>| lists.has_any_of(backend) || !server.lists.has_any_of(backend);
        filtered.as_ref().is_none_or(is_seen)
    });
    if !missing.is_empty() && server.partial_failure == PartialFailure::Fail {
        return Err(Refusal::missing(&missing));
    }
    let scope = Scope { server: &server.name, principal: asked.principal };
    let list = filtered.as_deref().unwrap_or(&server.lists).of(kind);
    let cursor = asked.request.params.as_ref().and_then(|params| params.get("cursor"));
    let page = match cursor {
        None => list.first_page(),
        Some(cursor) => {
            let cursor = cursor.as_str().ok_or_else(Refusal::unknown_cursor)?;
            let position = plane.sessions.open_cursor(scope, kind, &cursor);
            list.page_behind(&position.map_err(|_| Refusal::unknown_cursor())?)
        }
    };
    let next = match &page.last {
        None => String::new(),
        Some(last) => {
            let cursor = plane.sessions.cursor(scope, kind, last).map_err(|_| Refusal::no_randomness())?;
            format!(",\"nextCursor\":\"{cursor}\"")
        }
    };
    let missing = missing_json(&missing);
    let tail = match (client == Client::Modern, missing.is_empty()) {
        (true, _) => modern_tail(server, &missing),
        (false, true) => "}".to_owned(),
        (false, false) => format!(",\"_meta\":{{{missing}}}}}"),
    };
    Ok(page_response(kind, &page, &next, &tail, asked.request.id.raw()))
}

fn page_response(kind: Kind, page: &Page, next: &str, tail: &str, id: &str) -> Response {
    let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"{}\":[", kind.list());
    let pieces = [head.as_bytes(), &page.items, b"]", next.as_bytes(), tail.as_bytes(), b"}"];
    json(StatusCode::OK, pieces.concat())
}
