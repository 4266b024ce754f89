//! The second boundary of a virtual server: what its backends are shown.

use std::sync::Arc;

use http::HeaderName;
use vmcp_core::boundary::{Grant, Incoming, Outgoing, Strategy, SubjectTokenType, TokenExchange};
use vmcp_core::desired::{Found, Text};
use vmcp_core::name::Name;
use vmcp_core::sentence::shown;

use crate::decode::Key::{Built, Later, Synonym};
use crate::decode::{Decoder, Fields, Table, join};
use crate::document::{Mention, Step, client, header};
use crate::tree::Node;

pub(crate) const OUTGOING: Table =
    Table { name: "OutgoingAuth", keys: &[Built("source"), Built("default"), Built("backends")] };

pub(crate) const OUTGOING_SOURCE: Table =
    Table { name: "OutgoingSource", keys: &[Built("inline"), Later("discovered"), Later("mixed")] };

pub(crate) const STRATEGY: Table = Table {
    name: "Strategy",
    keys: &[
        Built("type"),
        Built("token_exchange"),
        Built("service_account"),
        Synonym("client_credentials", "service_account"),
        Built("header_injection"),
        Later("pass_through"),
        Later("upstream_inject"),
        Later("aws_sts"),
        Later("obo"),
        Later("xaa"),
        Later("oauth_proxy"),
        Later("mapped_claims"),
        Later("external_auth_config_ref"),
        Later("metadata"),
    ],
};

pub(crate) const STRATEGY_TYPE: Table = Table {
    name: "StrategyType",
    keys: &[
        Built("unauthenticated"),
        Built("pass_through"),
        Built("token_exchange"),
        Built("service_account"),
        Synonym("client_credentials", "service_account"),
        Built("header_injection"),
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

pub(crate) const TOKEN_EXCHANGE: Table = Table {
    name: "TokenExchange",
    keys: &[
        Built("token_url"),
        Built("client_id"),
        Built("client_secret"),
        Built("client_secret_env"),
        Built("client_secret_file"),
        Built("client_auth_method"),
        Built("client_key"),
        Built("client_key_id"),
        Built("client_key_algorithm"),
        Built("audience"),
        Built("resource"),
        Built("scopes"),
        Built("subject_token_type"),
        Later("subject_provider_name"),
        Built("allow_private_ip"),
        Built("insecure_allow_http"),
        Built("ca_bundle_path"),
    ],
};

pub(crate) const SERVICE_ACCOUNT: Table = Table {
    name: "ServiceAccount",
    keys: &[
        Built("token_url"),
        Built("client_id"),
        Built("client_secret"),
        Built("client_secret_env"),
        Built("client_secret_file"),
        Built("client_auth_method"),
        Built("client_key"),
        Built("client_key_id"),
        Built("client_key_algorithm"),
        Built("audience"),
        Built("resource"),
        Built("scopes"),
        Built("allow_private_ip"),
        Built("insecure_allow_http"),
        Built("ca_bundle_path"),
        Built("credentials_env"),
        Built("credentials_file"),
        Built("header_name"),
        Built("header_format"),
        Later("credentials_ref"),
    ],
};

pub(crate) const HEADER_INJECTION: Table = Table {
    name: "HeaderInjection",
    keys: &[
        Built("header_name"),
        Built("header_value"),
        Built("header_value_env"),
        Built("header_value_file"),
    ],
};

/// What backends are shown, and the workloads that it names.
pub(super) fn outgoing(
    decoder: &mut Decoder,
    node: &Node,
    path: &str,
    incoming: &Incoming,
) -> (Outgoing, Vec<Mention>) {
    let (mut outgoing, mut mentions) = (Outgoing::default(), Vec::new());
    let Some(fields) = decoder.mapping(node, path, &OUTGOING) else { return (outgoing, mentions) };
    if let Some((node, path)) = fields.get("source") {
        decoder.word(node, &path, &OUTGOING_SOURCE);
    }
    if let Some((node, path)) = fields.get("default") {
        outgoing.default = strategy(decoder, node, &path, incoming).unwrap_or_default();
    }
    if let Some((node, path)) = fields.get("backends") {
        let base: Arc<str> = path.as_str().into();
        for (key, node) in decoder.free_mapping(node, &path) {
            let strategy = strategy(decoder, node, &join(&path, &shown(key.text())), incoming);
            if let (Some(strategy), Ok(name)) = (strategy, key.text().parse::<Name>()) {
                outgoing.backends.insert(name, strategy);
            }
            let step = Step::Key;
            mentions.push(Mention {
                workload: key.text().into(),
                path: base.clone(),
                step,
                place: key.place,
            });
        }
    }
    (outgoing, mentions)
}

fn strategy(decoder: &mut Decoder, node: &Node, path: &str, incoming: &Incoming) -> Option<Strategy> {
    let fields = decoder.mapping(node, path, &STRATEGY)?;
    let (node, type_path) = fields.require(decoder, "type", "write `type: unauthenticated`")?;
    let kind = decoder.word(node, &type_path, &STRATEGY_TYPE)?;
    for other in ["token_exchange", "service_account", "header_injection"] {
        if let Some((node, path)) = fields.get(other).filter(|_| other != kind) {
            decoder.fault(&node.place, &path, format!("`{other}` belongs to `type: {other}`"), None);
        }
    }
    let has_tokens = matches!(incoming, Incoming::Oidc(_));
    if matches!(kind, "pass_through" | "token_exchange") && !has_tokens {
        let message = format!("`{kind}` needs callers with tokens");
        let help = "only `incoming_auth: {type: oidc, …}` asks for them".to_owned();
        decoder.fault(&node.place, &type_path, message, Some(help));
        return None;
    }
    let mut needed = |kind: &str| {
        let found = fields.get(kind);
        if found.is_none() {
            let message = format!("`type: {kind}` needs `{kind}`");
            decoder.fault(fields.place, path, message, None);
        }
        found
    };
    match kind {
        "pass_through" => Some(Strategy::PassThrough),
        "token_exchange" => {
            let (node, path) = needed(kind)?;
            exchange(decoder, node, &path, incoming)
        }
        "service_account" => {
            let (node, path) = needed(kind)?;
            service_account(decoder, node, &path, incoming)
        }
        "header_injection" => {
            let (node, path) = needed(kind)?;
            injection(decoder, node, &path)
        }
        _ => Some(Strategy::Unauthenticated),
    }
}

fn exchange(decoder: &mut Decoder, node: &Node, path: &str, incoming: &Incoming) -> Option<Strategy> {
    let fields = decoder.mapping(node, path, &TOKEN_EXCHANGE)?;
    let grant = grant(decoder, &fields, path, incoming)?;
    let kind = fields.get("subject_token_type").map(|(node, path)| {
        let text: String = decoder.text(node, &path)?;
        let kind = SubjectTokenType::parse(&text);
        if kind.is_none() {
            let message = format!("`{}` is no type of tokens that can be exchanged", shown(&text));
            let help = "it can be `access_token`, `id_token`, `jwt`, or one of their URNs".to_owned();
            decoder.fault(&node.place, &path, message, Some(help));
        }
        kind
    });
    let subject_token_type = kind.unwrap_or_else(|| Some(SubjectTokenType::default()))?;
    if grant.audience.is_none() && grant.resource.is_none() {
        let message = "it says neither `audience` nor `resource`".to_owned();
        let help =
            "a token that is for nobody in particular is good everywhere: name the backend's".to_owned();
        decoder.fault(&node.place, path, message, Some(help));
        return None;
    }
    Some(Strategy::TokenExchange(Box::new(TokenExchange { grant, subject_token_type })))
}

/// A grant of our own, or ToolHive's early shape: a credential that is there already.
fn service_account(decoder: &mut Decoder, node: &Node, path: &str, incoming: &Incoming) -> Option<Strategy> {
    let fields = decoder.mapping(node, path, &SERVICE_ACCOUNT)?;
    let Some(credentials) = client::secret_of(decoder, &fields, "credentials") else {
        for name in ["header_name", "header_format"] {
            if let Some((node, path)) = fields.get(name) {
                let message = format!("`{name}` belongs to `credentials_env`");
                decoder.fault(&node.place, &path, message, None);
            }
        }
        let grant = grant(decoder, &fields, path, incoming)?;
        return Some(Strategy::ClientCredentials(Box::new(grant)));
    };
    for name in ["token_url", "client_id", "audience", "resource", "scopes"] {
        if let Some((node, path)) = fields.get(name) {
            let message = format!("`{name}` asks for a token, and `credentials_env` is one");
            decoder.fault(&node.place, &path, message, Some("say one of them".to_owned()));
        }
    }
    let name = match fields.get("header_name") {
        Some((node, path)) => header::name(decoder, node, &path)?,
        None => http::header::AUTHORIZATION,
    };
    let format = match fields.get("header_format") {
        Some((node, path)) => (decoder.text::<String>(node, &path)?, node.place, path),
        None => ("Bearer {token}".to_owned(), node.place, path.to_owned()),
    };
    let Some(before) = format.0.strip_suffix("{token}").filter(|before| !before.contains("{token}")) else {
        let help = "such as `Bearer {token}`".to_owned();
        let message = "the credential stands at the end, as `{token}`".to_owned();
        decoder.fault(&format.1, &format.2, message, Some(help));
        return None;
    };
    Some(Strategy::Header(name, Text::Secret { before: before.to_owned(), found: credentials }))
}

fn grant(decoder: &mut Decoder, fields: &Fields<'_>, path: &str, incoming: &Incoming) -> Option<Grant> {
    let reach = client::reach(decoder, fields, &["allow_private_ip"]);
    let token_url = fields.get("token_url").map(|(node, path)| client::address(decoder, node, &path, &reach));
    let has_client = fields.get("client_id").is_some();
    let client = client::client(decoder, fields);
    let mut text = |name: &str| {
        let (node, path) = fields.get(name)?;
        decoder.text::<String>(node, &path).filter(|text| !text.is_empty())
    };
    let (audience, resource) = (text("audience"), text("resource"));
    let scopes = client::scopes(decoder, fields, "scopes");
    let issuers = match incoming {
        Incoming::Oidc(issuers) => issuers.as_slice(),
        Incoming::Anonymous | Incoming::Local => &[],
    };
    if token_url.is_none() && issuers.is_empty() {
        let message = "`token_url` is missing".to_owned();
        let help =
            "it can be left out where callers come with tokens of an issuer, which is asked then".to_owned();
        decoder.fault(fields.place, &join(path, "token_url"), message, Some(help));
        return None;
    }
    if !has_client && issuers.iter().all(|issuer| issuer.client.is_none()) {
        let message = "`client_id` is missing".to_owned();
        let help = "it can be left out where `incoming_auth.oidc` says one with its secret".to_owned();
        decoder.fault(fields.place, &join(path, "client_id"), message, Some(help));
        return None;
    }
    if has_client && client.is_none() {
        return None;
    }
    Some(Grant { token_url: token_url.unwrap_or_default(), client, audience, resource, scopes, reach })
}

fn injection(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Strategy> {
    let fields = decoder.mapping(node, path, &HEADER_INJECTION)?;
    let name = fields.require(decoder, "header_name", "such as `X-Api-Key`");
    let name: Option<HeaderName> = name.and_then(|(node, path)| header::name(decoder, node, &path));
    let value = match fields.get("header_value") {
        Some((node, path)) if node.text().contains("${") => {
            let message = "variables are not put into a text".to_owned();
            let help = "write `header_value_env: NAME`".to_owned();
            decoder.fault(&node.place, &path, message, Some(help));
            None
        }
        Some((node, path)) => header::value(decoder, node, &path),
        None => {
            let found: Option<Found> = client::secret_of(decoder, &fields, "header_value");
            if found.is_none()
                && ["header_value_env", "header_value_file"].iter().all(|key| fields.get(key).is_none())
            {
                let help = "write `header_value_env: NAME`".to_owned();
                decoder.fault(
                    fields.place,
                    &join(path, "header_value_env"),
                    "the value is missing".to_owned(),
                    Some(help),
                );
            }
            found.map(|found| Text::Secret { before: String::new(), found })
        }
    };
    Some(Strategy::Header(name?, value?))
}
