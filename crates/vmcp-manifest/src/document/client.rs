//! Who we are to an authorization server, and how it is reached: what both boundaries say alike.

use http::Uri;
use vmcp_core::boundary::{Client, Proof, Reach};
use vmcp_core::desired::{Found, Text};
use vmcp_core::sentence::shown;

use crate::decode::Key::Built;
use crate::decode::{Decoder, Fields, Table};
use crate::document::{secret, workload};
use crate::tree::Node;

pub(crate) const AUTH_METHOD: Table = Table {
    name: "ClientAuthMethod",
    keys: &[
        Built("client_secret_basic"),
        Built("client_secret_post"),
        Built("private_key_jwt"),
        Built("none"),
    ],
};

pub(crate) const KEY_ALGORITHM: Table = Table {
    name: "KeyAlgorithm",
    keys: &[
        Built("RS256"),
        Built("RS384"),
        Built("RS512"),
        Built("PS256"),
        Built("ES256"),
        Built("ES384"),
        Built("EdDSA"),
    ],
};

/// How an authorization server is reached; `private` are the keys that let it refer to addresses that are not public.
pub(super) fn reach(decoder: &mut Decoder, fields: &Fields<'_>, private: &[&str]) -> Reach {
    let mut is_set =
        |name: &str| fields.get(name).and_then(|(node, path)| decoder.boolean(node, &path)).unwrap_or(false);
    let allows_http = is_set("insecure_allow_http");
    // Each is read, whatever the others say.
    let allowed: Vec<bool> = private.iter().map(|name| is_set(name)).collect();
    let allows_private_ip = allowed.contains(&true);
    let ca_bundle =
        fields.get("ca_bundle_path").and_then(|(node, path)| workload::bundle(decoder, node, &path));
    Reach { ca_bundle, allows_private_ip, allows_http }
}

/// An address of an authorization server: https, no query, no fragment (OpenID Connect Discovery 1.0, section 2).
pub(super) fn address(decoder: &mut Decoder, node: &Node, path: &str, reach: &Reach) -> Option<String> {
    let text: String = decoder.text(node, path)?;
    let url: Uri = text.parse().unwrap_or_default();
    let host = url.host().unwrap_or_default();
    let is_loopback = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
    let is_safe = match url.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback || reach.allows_http,
        _ => false,
    };
    if is_safe && !host.is_empty() && !text.contains(['?', '#', '@']) {
        return Some(text);
    }
    let message = format!("`{}` is no address of an authorization server", shown(&text));
    let help = "it is an https address without `?`, `#` and `@`; http is for loopback addresses, or with `insecure_allow_http: true`";
    decoder.fault(&node.place, path, message, Some(help.to_owned()));
    None
}

/// Names of scopes.
pub(super) fn scopes(decoder: &mut Decoder, fields: &Fields<'_>, name: &str) -> Vec<String> {
    let Some((node, path)) = fields.get(name) else { return Vec::new() };
    let mut scopes: Vec<String> = Vec::new();
    for (at, node) in decoder.list(node, &path).iter().enumerate() {
        let path = format!("{path}[{at}]");
        let Some(scope) = decoder.text::<String>(node, &path) else { continue };
        // RFC 6749, section 3.3.
        let is_scope =
            !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if !is_scope {
            let message = format!("`{}` is not the name of a scope", shown(&scope));
            decoder.fault(&node.place, &path, message, Some("write one a line, without blanks".to_owned()));
        } else if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

/// `client_id`, and how it shows that it is the one.
pub(super) fn client(decoder: &mut Decoder, fields: &Fields<'_>) -> Option<Client> {
    let secret = secret_of(decoder, fields, "client_secret");
    let key = fields.get("client_key").and_then(|(node, path)| found(decoder, node, &path));
    let key_id = fields.get("client_key_id").and_then(|(node, path)| decoder.text(node, &path));
    let algorithm =
        fields.get("client_key_algorithm").and_then(|(node, path)| decoder.word(node, &path, &KEY_ALGORITHM));
    let method =
        fields.get("client_auth_method").and_then(|(node, path)| decoder.word(node, &path, &AUTH_METHOD));
    // By what is written, also where it is wrong.
    let is_written = |names: &[&str]| names.iter().any(|name| fields.get(name).is_some());
    let method = method.unwrap_or(match (is_written(&["client_key"]), is_written(&SECRET)) {
        (true, _) => "private_key_jwt",
        (false, true) => "client_secret_basic",
        (false, false) => "none",
    });
    let written = SECRET.into_iter().chain(KEY).chain(["client_auth_method"]);
    let first = written.filter_map(|name| fields.get(name)).next();
    let Some((node, path)) = fields.get("client_id") else {
        if let Some((node, path)) = first {
            decoder.fault(&node.place, &path, "it is nobody's without `client_id`".to_owned(), None);
        }
        return None;
    };
    let id: String = decoder.text(node, &path)?;
    of_no_use(decoder, fields, method);
    let mut needs = |what: &str| {
        let message = format!("`{method}` needs `{what}`");
        let (node, path) = fields.get("client_auth_method").unwrap_or((node, path.clone()));
        decoder.fault(&node.place, &path, message, None);
    };
    let proof = match (method, secret, key) {
        ("none", ..) => Proof::None,
        ("private_key_jwt", _, Some(key)) => {
            let algorithm = algorithm.unwrap_or("RS256").to_owned();
            Proof::PrivateKey { key, key_id, algorithm }
        }
        ("private_key_jwt", ..) => {
            // A key that could not be read has been said to be wrong.
            if !is_written(&["client_key"]) {
                needs("client_key");
            }
            return None;
        }
        ("client_secret_post", Some(secret), _) => Proof::Post(secret),
        (_, Some(secret), _) => Proof::Basic(secret),
        (_, None, _) => {
            // A secret that could not be read has been said to be wrong.
            if first.is_none_or(|(_, path)| path.ends_with("client_auth_method")) {
                needs("client_secret_env");
            }
            return None;
        }
    };
    Some(Client { id, proof })
}

const SECRET: [&str; 3] = ["client_secret", "client_secret_env", "client_secret_file"];
const KEY: [&str; 3] = ["client_key", "client_key_id", "client_key_algorithm"];

/// What a client does not show who shows something else.
fn of_no_use(decoder: &mut Decoder, fields: &Fields<'_>, method: &str) {
    let unused: Vec<&str> = match method {
        "none" => SECRET.into_iter().chain(KEY).collect(),
        "private_key_jwt" => SECRET.to_vec(),
        _ => KEY.to_vec(),
    };
    for name in unused {
        if let Some((node, path)) = fields.get(name) {
            let message = format!("`{name}` is of no use with `client_auth_method: {method}`");
            let help = "say one way in which the client shows who it is".to_owned();
            decoder.fault(&node.place, &path, message, Some(help));
        }
    }
}

/// `<name>: {env: …}`, `<name>_env` or `<name>_file`; a value is refused.
pub(super) fn secret_of(decoder: &mut Decoder, fields: &Fields<'_>, name: &str) -> Option<Found> {
    let whole = fields.get(name).map(|(node, path)| found(decoder, node, &path));
    let mut all = std::iter::once(whole).chain(elsewhere(decoder, fields, name)).flatten();
    let first = all.next()?;
    if all.next().is_some() {
        let message = format!("`{name}` is said twice");
        decoder.fault(fields.place, name, message, Some("say it once".to_owned()));
        return None;
    }
    first
}

/// `<name>_env` and `<name>_file`, each as far as it is there and can be read.
pub(super) fn elsewhere(
    decoder: &mut Decoder,
    fields: &Fields<'_>,
    name: &str,
) -> [Option<Option<Found>>; 2] {
    let variable = fields.get(&format!("{name}_env")).map(|(node, path)| {
        let variable: String = decoder.text(node, &path)?;
        if secret::is_variable(&variable) {
            return Some(secret::noted(decoder, node, &path, Found::Variable(variable)));
        }
        decoder.fault(&node.place, &path, "this cannot be the name of a variable".to_owned(), None);
        None
    });
    let file = fields.get(&format!("{name}_file"));
    let file = file.map(|(node, path)| {
        let file = workload::absolute(decoder, node, &path).map(Found::File)?;
        Some(secret::noted(decoder, node, &path, file))
    });
    [variable, file]
}

/// Where a secret is found, with nothing around it.
pub(super) fn found(decoder: &mut Decoder, node: &Node, path: &str) -> Option<Found> {
    match secret::text(decoder, node, path)? {
        Text::Secret { before, found } if before.is_empty() => Some(found),
        Text::Secret { .. } => {
            decoder.fault(&node.place, path, "nothing stands before this secret".to_owned(), None);
            None
        }
        Text::Plain(_) => {
            let message = "a secret does not stand in a manifest".to_owned();
            let help = "write `{env: NAME}` or `{file: PATH}`".to_owned();
            decoder.fault(&node.place, path, message, Some(help));
            None
        }
    }
}
