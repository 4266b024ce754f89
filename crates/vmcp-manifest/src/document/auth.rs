//! The first boundary of a virtual server: who may come in.

use http::Uri;
use vmcp_core::boundary::{Authorization, Incoming, Issuer, Proof};
use vmcp_core::limits;
use vmcp_core::sentence::shown;

use crate::decode::Key::{Built, Later};
use crate::decode::{Decoder, Fields, Table, join};
use crate::document::{authz, client};
use crate::tree::{Node, Value};

pub(crate) const INCOMING: Table = Table {
    name: "IncomingAuth",
    keys: &[
        Built("type"),
        Built("oidc"),
        Built("authz"),
        Later("local"),
        Later("oidc_config_ref"),
        Later("authz_config"),
    ],
};

pub(crate) const INCOMING_TYPE: Table =
    Table { name: "IncomingType", keys: &[Built("anonymous"), Built("oidc"), Built("local")] };

pub(crate) const OIDC: Table = Table {
    name: "Oidc",
    keys: &[
        Built("issuer"),
        Built("audience"),
        Built("client_id"),
        Built("client_secret"),
        Built("client_secret_env"),
        Built("client_secret_file"),
        Built("client_auth_method"),
        Built("client_key"),
        Built("client_key_id"),
        Built("client_key_algorithm"),
        Built("resource"),
        Built("scopes"),
        Built("required_scopes"),
        Built("jwks_url"),
        Built("introspection_url"),
        Built("jwks_allow_private_ip"),
        Built("protected_resource_allow_private_ip"),
        Built("insecure_allow_http"),
        Built("ca_bundle_path"),
    ],
};

/// Said and never assumed: letting everybody in is a decision. `None`: it is said, and wrong, so that nothing follows from it.
pub(super) fn incoming(
    decoder: &mut Decoder,
    fields: &Fields<'_>,
    name: Option<&str>,
) -> (Option<Incoming>, Option<Authorization>) {
    let help = "write `incoming_auth: {type: anonymous}` to let everybody in who reaches the listener";
    let nobody = (None, None);
    let Some((node, path)) = fields.require(decoder, "incoming_auth", help) else { return nobody };
    let Some(fields) = decoder.mapping(node, &path, &INCOMING) else { return nobody };
    let authorization = fields
        .get("authz")
        .and_then(|(node, path)| authz::authorization(decoder, node, &path, name.unwrap_or_default()));
    // Whoever says whose tokens are good does not mean everybody.
    let of_type = if fields.get("oidc").is_some() { "write `type: oidc`" } else { help };
    let kind = fields
        .require(decoder, "type", of_type)
        .and_then(|(node, path)| decoder.word(node, &path, &INCOMING_TYPE));
    let oidc = fields.get("oidc");
    let incoming = match (kind, oidc) {
        (Some("oidc"), None) => {
            let help = "write `oidc: {issuer: https://…, audience: …}`";
            decoder.fault(fields.place, &path, "`type: oidc` needs `oidc`".to_owned(), Some(help.to_owned()));
            None
        }
        (Some("oidc"), Some((node, path))) => issuers(decoder, node, &path),
        (kind, Some((node, path))) => {
            issuers(decoder, node, &path);
            if kind.is_some() {
                decoder.fault(&node.place, &path, "`oidc` belongs to `type: oidc`".to_owned(), None);
            }
            None
        }
        (Some("local"), None) => Some(Incoming::Local),
        (Some(_), None) => Some(Incoming::Anonymous),
        (None, None) => None,
    };
    (incoming, authorization)
}

/// One, or a list of them.
fn issuers(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Incoming> {
    let Value::Sequence(nodes) = &node.value else {
        return issuer(decoder, node, path).map(|one| Incoming::Oidc(vec![one]));
    };
    if nodes.is_empty() || nodes.len() > limits::ISSUERS {
        let message = format!("an `oidc` has 1 to {} issuers", limits::ISSUERS);
        decoder.fault(&node.place, path, message, None);
        return None;
    }
    let mut all: Vec<Issuer> = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let Some(issuer) = issuer(decoder, node, &path) else { continue };
        if all.iter().any(|known| known.issuer == issuer.issuer) {
            let message = format!("the issuer `{}` is there already", shown(&issuer.issuer));
            decoder.fault(&node.place, &path, message, None);
            continue;
        }
        said_alike(decoder, (node, &path), &all, &issuer);
        all.push(issuer);
    }
    (all.len() == nodes.len()).then_some(Incoming::Oidc(all))
}

/// What clients are told of a virtual server is one whoever vouches for them, and a token that nobody can read is shown to one issuer alone.
fn said_alike(decoder: &mut Decoder, (node, path): (&Node, &str), others: &[Issuer], issuer: &Issuer) {
    let is_other = |known: &Issuer| known.resource.is_some() && known.resource != issuer.resource;
    if issuer.resource.is_some() && others.iter().any(is_other) {
        let help = "clients are told one `resource`, whoever vouches for them".to_owned();
        let message = "another issuer says another `resource`".to_owned();
        decoder.fault(&node.place, &join(path, "resource"), message, Some(help));
    }
    if issuer.introspection_url.is_some() && others.iter().any(|known| known.introspection_url.is_some()) {
        let help =
            "each would be shown the tokens of the others: nobody but their issuer can tell whose they are"
                .to_owned();
        let message = "another issuer has an `introspection_url` already".to_owned();
        decoder.fault(&node.place, &join(path, "introspection_url"), message, Some(help));
    }
}

fn issuer(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Issuer> {
    let fields = decoder.mapping(node, path, &OIDC)?;
    let reach =
        client::reach(decoder, &fields, &["jwks_allow_private_ip", "protected_resource_allow_private_ip"]);
    let issuer = fields.require(decoder, "issuer", "as the issuer writes itself in its tokens");
    let issuer = issuer.and_then(|(node, path)| client::address(decoder, node, &path, &reach));
    let audience = fields.require(decoder, "audience", "tokens that are for something else are not taken");
    let audience = audience.and_then(|(node, path)| {
        let text: String = decoder.text(node, &path)?;
        if text.is_empty() {
            decoder.fault(&node.place, &path, "`audience` is empty".to_owned(), None);
            return None;
        }
        Some(text)
    });
    let client = client::client(decoder, &fields);
    let mut url = |name: &str| {
        let (node, path) = fields.get(name)?;
        client::address(decoder, node, &path, &reach)
    };
    let (jwks_url, introspection_url) = (url("jwks_url"), url("introspection_url"));
    let is_known = client.as_ref().is_some_and(|client| client.proof != Proof::None)
        // What is wrong with it has been said.
        || (client.is_none() && fields.get("client_id").is_some());
    if let Some((node, path)) = fields.get("introspection_url").filter(|_| !is_known) {
        let help = "an issuer answers nobody whom it does not know (RFC 7662, section 2.1)".to_owned();
        let message = "`introspection_url` needs `client_id` and a secret".to_owned();
        decoder.fault(&node.place, &path, message, Some(help));
    }
    let resource = fields.get("resource").and_then(|(node, path)| decoder.text(node, &path));
    let scopes = client::scopes(decoder, &fields, "scopes");
    let required_scopes = client::scopes(decoder, &fields, "required_scopes");
    Some(Issuer {
        issuer: issuer?,
        audience: audience?,
        client,
        resource,
        scopes,
        required_scopes,
        jwks_url,
        introspection_url,
        reach,
    })
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

/// `allowed_hosts`: names, with a port where one must be.
pub(super) fn allowed_hosts(decoder: &mut Decoder, node: &Node, path: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    for (at, node) in decoder.list(node, path).iter().enumerate() {
        let path = format!("{path}[{at}]");
        let Some(text) = decoder.text::<String>(node, &path) else { continue };
        let is_host = text.parse::<http::uri::Authority>().is_ok() && !text.contains(['@', '*']);
        if !is_host {
            let message = format!("`{}` is not the name of a host", shown(&text));
            let help = "write `mcp.example.com`, or `mcp.example.com:8443` for that port alone".to_owned();
            decoder.fault(&node.place, &path, message, Some(help));
            continue;
        }
        hosts.push(text.to_ascii_lowercase());
    }
    hosts.sort();
    hosts.dedup();
    hosts
}
