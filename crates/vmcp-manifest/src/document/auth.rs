//! The two boundaries of a virtual server: who may come in, and what its backends are shown.

use std::sync::Arc;

use http::Uri;
use vmcp_core::desired::{Incoming, Oidc};
use vmcp_core::sentence::shown;

use crate::decode::Key::{Built, Later};
use crate::decode::{Decoder, Fields, Table, join};
use crate::document::{Mention, Step};
use crate::tree::Node;

pub(crate) const INCOMING: Table = Table {
    name: "IncomingAuth",
    keys: &[
        Built("type"),
        Built("oidc"),
        Later("local"),
        Later("authz"),
        Later("oidc_config_ref"),
        Later("authz_config"),
    ],
};

pub(crate) const INCOMING_TYPE: Table =
    Table { name: "IncomingType", keys: &[Built("anonymous"), Built("oidc"), Later("local")] };

pub(crate) const OIDC: Table = Table {
    name: "Oidc",
    keys: &[
        Built("issuer"),
        Built("audience"),
        Later("client_id"),
        Later("client_secret"),
        Later("client_secret_env"),
        Later("client_secret_file"),
        Later("resource"),
        Later("scopes"),
        Later("required_scopes"),
        Later("jwks_url"),
        Later("introspection_url"),
        Later("jwks_allow_private_ip"),
        Later("protected_resource_allow_private_ip"),
        Later("insecure_allow_http"),
        Later("ca_bundle_path"),
    ],
};

pub(crate) const OUTGOING: Table =
    Table { name: "OutgoingAuth", keys: &[Built("source"), Built("default"), Built("backends")] };

pub(crate) const OUTGOING_SOURCE: Table =
    Table { name: "OutgoingSource", keys: &[Built("inline"), Later("discovered"), Later("mixed")] };

pub(crate) const STRATEGY: Table = Table {
    name: "Strategy",
    keys: &[
        Built("type"),
        Later("pass_through"),
        Later("token_exchange"),
        Later("service_account"),
        Later("header_injection"),
        Later("upstream_inject"),
        Later("aws_sts"),
        Later("obo"),
        Later("xaa"),
        Later("oauth_proxy"),
        Later("mapped_claims"),
        Later("client_credentials"),
        Later("external_auth_config_ref"),
        Later("metadata"),
    ],
};

pub(crate) const STRATEGY_TYPE: Table = Table {
    name: "StrategyType",
    keys: &[
        Built("unauthenticated"),
        Later("pass_through"),
        Later("token_exchange"),
        Later("service_account"),
        Later("client_credentials"),
        Later("header_injection"),
        Later("upstream_inject"),
        Later("aws_sts"),
        Later("obo"),
        Later("xaa"),
        Later("oauth_proxy"),
        Later("mapped_claims"),
        Later("error"),
        Later("discovered"),
        Later("externalAuthConfigRef"),
    ],
};

/// Said and never assumed: letting everybody in is a decision.
pub(super) fn incoming(decoder: &mut Decoder, fields: &Fields<'_>) -> Incoming {
    let help = "write `incoming_auth: {type: anonymous}` to let everybody in who reaches the listener";
    let Some((node, path)) = fields.require(decoder, "incoming_auth", help) else {
        return Incoming::Anonymous;
    };
    let Some(fields) = decoder.mapping(node, &path, &INCOMING) else { return Incoming::Anonymous };
    let kind = fields
        .require(decoder, "type", help)
        .and_then(|(node, path)| decoder.word(node, &path, &INCOMING_TYPE));
    let oidc = fields.get("oidc");
    match (kind, oidc) {
        (Some("oidc"), None) => {
            let help = "write `oidc: {issuer: https://…, audience: …}`";
            decoder.fault(fields.place, &path, "`type: oidc` needs `oidc`".to_owned(), Some(help.to_owned()));
            Incoming::Anonymous
        }
        (Some("oidc"), Some((node, path))) => {
            issuer(decoder, node, &path).map_or(Incoming::Anonymous, Incoming::Oidc)
        }
        (_, Some((node, path))) => {
            decoder.fault(&node.place, &path, "`oidc` belongs to `type: oidc`".to_owned(), None);
            Incoming::Anonymous
        }
        (_, None) => Incoming::Anonymous,
    }
}

fn issuer(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Oidc> {
    let fields = decoder.mapping(node, path, &OIDC)?;
    let issuer = fields.require(decoder, "issuer", "as the issuer writes itself in its tokens");
    let issuer = issuer.and_then(|(node, path)| {
        let text: String = decoder.text(node, &path)?;
        if is_issuer(&text) {
            return Some(text);
        }
        let message = format!("`{}` is no address of an issuer", shown(&text));
        let help = "it is an https address without `?` and `#`; http is for loopback addresses alone";
        decoder.fault(&node.place, &path, message, Some(help.to_owned()));
        None
    });
    let audience = fields.require(decoder, "audience", "tokens that are for something else are not taken");
    let audience = audience.and_then(|(node, path)| {
        let text: String = decoder.text(node, &path)?;
        if text.is_empty() {
            decoder.fault(&node.place, &path, "`audience` is empty".to_owned(), None);
            return None;
        }
        Some(text)
    });
    Some(Oidc { issuer: issuer?, audience: audience? })
}

/// OpenID Connect Discovery 1.0, section 2: https, no query, no fragment.
fn is_issuer(text: &str) -> bool {
    let Ok(url) = text.parse::<Uri>() else { return false };
    let Some(host) = url.host().filter(|host| !host.is_empty()) else { return false };
    let is_loopback = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
    let is_safe = match url.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback,
        _ => false,
    };
    is_safe && !text.contains(['?', '#', '@'])
}

/// Where clients reach it: no path, since each virtual server has its own.
pub(super) fn public_url(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Uri> {
    let text: String = decoder.text(node, path)?;
    let url: Uri = text.parse().unwrap_or_default();
    let is_http =
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty());
    let is_bare = matches!(url.path(), "" | "/") && !text.contains(['?', '#', '@']);
    if is_http && is_bare {
        return Some(url);
    }
    let message = format!("`{}` is not the address of a host", shown(&text));
    let help = "write `https://mcp.example.com`; `/<name>/mcp` is added to it";
    decoder.fault(&node.place, path, message, Some(help.to_owned()));
    None
}

/// The workloads that it names.
pub(super) fn outgoing(decoder: &mut Decoder, node: &Node, path: &str) -> Vec<Mention> {
    let mut mentions = Vec::new();
    let Some(fields) = decoder.mapping(node, path, &OUTGOING) else { return mentions };
    if let Some((node, path)) = fields.get("source") {
        decoder.word(node, &path, &OUTGOING_SOURCE);
    }
    if let Some((node, path)) = fields.get("default") {
        strategy(decoder, node, &path);
    }
    if let Some((node, path)) = fields.get("backends") {
        let base: Arc<str> = path.as_str().into();
        for (key, node) in decoder.free_mapping(node, &path) {
            strategy(decoder, node, &join(&path, &shown(key.text())));
            let step = Step::Key;
            mentions.push(Mention {
                workload: key.text().into(),
                path: base.clone(),
                step,
                place: key.place,
            });
        }
    }
    mentions
}

fn strategy(decoder: &mut Decoder, node: &Node, path: &str) {
    let Some(fields) = decoder.mapping(node, path, &STRATEGY) else { return };
    if let Some((node, path)) = fields.require(decoder, "type", "write `type: unauthenticated`") {
        decoder.word(node, &path, &STRATEGY_TYPE);
    }
}
