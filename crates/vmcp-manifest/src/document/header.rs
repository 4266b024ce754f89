//! Headers that backends get: some that the manifest says, and some of the client's.

use http::HeaderName;
use vmcp_core::desired::Text;
use vmcp_core::sentence::shown;

use crate::decode::{Decoder, join};
use crate::document::secret;
use crate::tree::Node;

/// What belongs to a connection, to whoever is in between, or to MCP itself; the first of them are ToolHive's restrictions.
const OURS: [&str; 22] = [
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "transfer-encoding",
    "content-length",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "accept",
    "accept-encoding",
    "content-type",
    "content-encoding",
    "expect",
];

/// By name, each with a text or a reference.
pub(super) fn headers(decoder: &mut Decoder, node: &Node, path: &str) -> Vec<(HeaderName, Text)> {
    let mut headers: Vec<(HeaderName, Text)> = Vec::new();
    for (key, node) in decoder.free_mapping(node, path) {
        let here = join(path, &shown(key.text()));
        let name = name(decoder, key, &here);
        let text = value(decoder, node, &here);
        let (Some(name), Some(text)) = (name, text) else { continue };
        if headers.iter().any(|(known, _)| *known == name) {
            decoder.fault(&key.place, &here, format!("`{name}` is written twice"), None);
            continue;
        }
        headers.push((name, text));
    }
    headers.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
    headers
}

/// What a header holds: a text, or a reference to where it is found.
pub(super) fn value(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Text> {
    let text = secret::text(decoder, node, path)?;
    if matches!(&text, Text::Plain(plain) if plain == "***") {
        let message = "the value of this header was left out where it was shown".to_owned();
        let help = "write it again, or better `{env: NAME}` or `{file: PATH}`".to_owned();
        decoder.fault(&node.place, path, message, Some(help));
        return None;
    }
    if let Text::Plain(plain) = &text
        && http::HeaderValue::from_str(plain).is_err()
    {
        decoder.fault(&node.place, path, "this cannot stand in a header".to_owned(), None);
        return None;
    }
    Some(text)
}

/// `passthrough_headers`: names of headers of clients.
pub(super) fn passthrough(decoder: &mut Decoder, node: &Node, path: &str) -> Vec<HeaderName> {
    let mut names = Vec::new();
    for (at, node) in decoder.list(node, path).iter().enumerate() {
        let path = format!("{path}[{at}]");
        let Some(name) = name(decoder, node, &path) else { continue };
        if matches!(name.as_str(), "authorization" | "cookie") {
            let message = format!("`{name}` of a client is for us, and is not passed on");
            let help = "what a backend is shown is said in `outgoing_auth`".to_owned();
            decoder.fault(&node.place, &path, message, Some(help));
        } else if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A header that a manifest may speak of.
pub(super) fn name(decoder: &mut Decoder, node: &Node, path: &str) -> Option<HeaderName> {
    let text: String = decoder.text(node, path)?;
    let Ok(name) = text.parse::<HeaderName>() else {
        decoder.fault(&node.place, path, format!("`{}` is not the name of a header", shown(&text)), None);
        return None;
    };
    if OURS.contains(&name.as_str()) || name.as_str().starts_with("mcp-") {
        let message = format!("`{name}` is set by what carries the request");
        decoder.fault(&node.place, path, message, Some("take it out".to_owned()));
        return None;
    }
    Some(name)
}
