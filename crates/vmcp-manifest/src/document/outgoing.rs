//! The second boundary of a virtual server: what its backends are shown.

use std::sync::Arc;

use http::HeaderName;
use vmcp_core::boundary::{Grant, Incoming, Issuer, Outgoing, Strategy, SubjectTokenType, TokenExchange};
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

/// What backends are shown, and the workloads that it names. `incoming`: who comes in, if that can be told.
pub(super) fn outgoing(
    decoder: &mut Decoder,
    node: &Node,
    path: &str,
    incoming: Option<&Incoming>,
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

fn strategy(decoder: &mut Decoder, node: &Node, path: &str, incoming: Option<&Incoming>) -> Option<Strategy> {
    let fields = decoder.mapping(node, path, &STRATEGY)?;
    let meant = ["token_exchange", "service_account", "header_injection"];
    let help = match meant.into_iter().find(|name| fields.get(name).is_some()) {
        Some(name) => format!("write `type: {name}`"),
        None => "write one of `token_exchange`, `service_account`, `header_injection`, `pass_through`, `unauthenticated`".to_owned(),
    };
    let kind = fields.require(decoder, "type", &help);
    let kind = kind.and_then(|(node, path)| Some((decoder.word(node, &path, &STRATEGY_TYPE)?, node, path)));
    let mut incoming = incoming;
    if let Some((kind @ ("pass_through" | "token_exchange"), node, path)) = &kind
        && incoming.is_some_and(|incoming| !matches!(incoming, Incoming::Oidc(_)))
    {
        let message = format!("`{kind}` needs callers with tokens");
        let help = "only `incoming_auth: {type: oidc, …}` asks for them".to_owned();
        decoder.fault(&node.place, path, message, Some(help));
        // Nothing else follows from it.
        incoming = None;
    }
    let kind = kind.map(|(kind, ..)| kind);
    // Each is read, whichever is meant.
    let mut read = |name: &'static str,
                    read: &mut dyn FnMut(&mut Decoder, &Node, &str) -> Option<Strategy>| {
        let Some((node, path)) = fields.get(name) else {
            if kind == Some(name) {
                decoder.fault(fields.place, path, format!("`type: {name}` needs `{name}`"), None);
            }
            return None;
        };
        if kind.is_some_and(|kind| kind != name) {
            decoder.fault(&node.place, &path, format!("`{name}` belongs to `type: {name}`"), None);
        }
        read(decoder, node, &path)
    };
    let exchanged =
        read("token_exchange", &mut |decoder, node, path| exchange(decoder, node, path, incoming));
    let ours =
        read("service_account", &mut |decoder, node, path| service_account(decoder, node, path, incoming));
    let injected = read("header_injection", &mut injection);
    match kind? {
        "pass_through" => Some(Strategy::PassThrough),
        "token_exchange" => exchanged,
        "service_account" => ours,
        "header_injection" => injected,
        _ => Some(Strategy::Unauthenticated),
    }
}

fn exchange(decoder: &mut Decoder, node: &Node, path: &str, incoming: Option<&Incoming>) -> Option<Strategy> {
    let fields = decoder.mapping(node, path, &TOKEN_EXCHANGE)?;
    let grant = grant(decoder, &fields, path, (incoming, true));
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
    if ["audience", "resource"]
        .iter()
        .all(|name| fields.get(name).is_none_or(|(node, _)| node.text().is_empty()))
    {
        let message = "it says neither `audience` nor `resource`".to_owned();
        let help =
            "a token that is for nobody in particular is good everywhere: name the backend's".to_owned();
        decoder.fault(&node.place, path, message, Some(help));
        return None;
    }
    let subject_token_type = kind.unwrap_or_else(|| Some(SubjectTokenType::default()))?;
    Some(Strategy::TokenExchange(Box::new(TokenExchange { grant: grant?, subject_token_type })))
}

/// What asks for a token.
const OF_A_GRANT: [&str; 14] = [
    "token_url",
    "client_id",
    "client_secret",
    "client_secret_env",
    "client_secret_file",
    "client_auth_method",
    "client_key",
    "client_key_id",
    "client_key_algorithm",
    "audience",
    "resource",
    "scopes",
    "insecure_allow_http",
    "ca_bundle_path",
];

/// A grant of our own, or ToolHive's early shape: a credential that is there already.
fn service_account(
    decoder: &mut Decoder,
    node: &Node,
    path: &str,
    incoming: Option<&Incoming>,
) -> Option<Strategy> {
    let fields = decoder.mapping(node, path, &SERVICE_ACCOUNT)?;
    let Some(credentials) = client::secret_of(decoder, &fields, "credentials") else {
        for name in ["header_name", "header_format"] {
            if let Some((node, path)) = fields.get(name) {
                let message = format!("`{name}` belongs to `credentials_env`");
                decoder.fault(&node.place, &path, message, None);
            }
        }
        let grant = grant(decoder, &fields, path, (incoming, false))?;
        return Some(Strategy::ClientCredentials(Box::new(grant)));
    };
    for name in OF_A_GRANT {
        if let Some((node, path)) = fields.get(name) {
            let message = format!("`{name}` asks for a token, and `credentials_env` is one");
            decoder.fault(&node.place, &path, message, Some("say one of them".to_owned()));
        }
    }
    let name = match fields.get("header_name") {
        Some((node, path)) => header::name(decoder, node, &path),
        None => Some(http::header::AUTHORIZATION),
    };
    let before = match fields.get("header_format") {
        Some((node, path)) => format(decoder, node, &path),
        None => Some("Bearer ".to_owned()),
    };
    Some(Strategy::Header(name?, Text::Secret { before: before?, found: credentials }))
}

/// What stands before a credential.
fn format(decoder: &mut Decoder, node: &Node, path: &str) -> Option<String> {
    let format: String = decoder.text(node, path)?;
    let before = format.strip_suffix("{token}").filter(|before| !before.contains("{token}"));
    if before.is_none() {
        let help = "such as `Bearer {token}`".to_owned();
        let message = "the credential stands at the end, as `{token}`".to_owned();
        decoder.fault(&node.place, path, message, Some(help));
    }
    before.map(ToOwned::to_owned)
}

fn grant(
    decoder: &mut Decoder,
    fields: &Fields<'_>,
    path: &str,
    (incoming, is_exchange): (Option<&Incoming>, bool),
) -> Option<Grant> {
    let reach = client::reach(decoder, fields, &[]);
    let token_url = fields.get("token_url").map(|(node, path)| client::address(decoder, node, &path, &reach));
    let has_client = fields.get("client_id").is_some();
    let client = client::client(decoder, fields);
    let mut text = |name: &str| {
        let (node, path) = fields.get(name)?;
        decoder.text::<String>(node, &path).filter(|text| !text.is_empty())
    };
    let (audience, resource) = (text("audience"), text("resource"));
    let scopes = client::scopes(decoder, fields, "scopes");
    let mut is_whole = true;
    if token_url.is_none() {
        for name in ["insecure_allow_http", "ca_bundle_path"] {
            if let Some((node, path)) = fields.get(name) {
                let message = format!("`{name}` is of no use without `token_url`");
                let help = "how an issuer is reached is said at `incoming_auth.oidc`".to_owned();
                decoder.fault(&node.place, &path, message, Some(help));
            }
        }
    }
    let mut missing = |name: &str, message: &str, help: &str| {
        decoder.fault(fields.place, &join(path, name), message.to_owned(), Some(help.to_owned()));
        is_whole = false;
    };
    let issuers = match incoming {
        Some(Incoming::Oidc(issuers)) => issuers.as_slice(),
        Some(Incoming::Anonymous | Incoming::Local) | None => &[],
    };
    // Callers' tokens are exchanged where they come from, as far as we are known there; what is ours is had where the first of them do.
    let asked = if is_exchange { issuers } else { &issuers[..issuers.len().min(1)] };
    let knows = |issuer: &&Issuer| issuer.client.is_some();
    let is_elsewhere =
        |url: &String| asked.iter().filter(knows).any(|issuer| host(&issuer.issuer) != host(url));
    if incoming.is_some() && token_url.is_none() && issuers.is_empty() {
        let help = "it can be left out where callers come with tokens of an issuer, which is asked then";
        missing("token_url", "`token_url` is missing", help);
    } else if incoming.is_some() && !has_client && !asked.iter().any(|issuer| knows(&issuer)) {
        let help = "it can be left out where `incoming_auth.oidc` says one with its secret";
        missing("client_id", "`client_id` is missing", help);
    } else if !has_client && token_url.iter().flatten().any(is_elsewhere) {
        let message =
            "`client_id` is missing: the secret of `incoming_auth.oidc` is shown to its issuer alone";
        missing("client_id", message, "say who we are at `token_url`");
    }
    if !is_whole || incoming.is_none() || (has_client && client.is_none()) {
        return None;
    }
    Some(Grant { token_url: token_url.unwrap_or_default(), client, audience, resource, scopes, reach })
}

fn host(url: &str) -> Option<String> {
    url.parse::<http::Uri>().ok()?.host().map(str::to_ascii_lowercase)
}

fn injection(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Strategy> {
    let fields = decoder.mapping(node, path, &HEADER_INJECTION)?;
    let name = fields.require(decoder, "header_name", "such as `X-Api-Key`");
    let name: Option<HeaderName> = name.and_then(|(node, path)| header::name(decoder, node, &path));
    let elsewhere = ["header_value_env", "header_value_file"];
    if let Some((node, path)) =
        fields.get("header_value").filter(|_| elsewhere.iter().any(|key| fields.get(key).is_some()))
    {
        let message = "`header_value` is said twice".to_owned();
        decoder.fault(&node.place, &path, message, Some("say it once".to_owned()));
        client::elsewhere(decoder, &fields, "header_value");
    }
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
            if found.is_none() && elsewhere.iter().all(|key| fields.get(key).is_none()) {
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
