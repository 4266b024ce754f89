//! From what manifests say of an authorization server to what it is asked with: secrets found, files read. Whoever asks does this where it
//! runs.

use http::HeaderValue;
use vmcp_core::boundary::{self, Proof};
use vmcp_core::desired::{Found, Text};
use vmcp_runtime::{secret_file, secret_variable};

use crate::client::Client;
use crate::grant::{Endpoint, Grant};
use crate::reach::Reach;
use crate::trusted::Trusted;

/// Whose tokens are taken.
///
/// # Errors
/// Something that it is asked with cannot be found.
pub fn trusted(issuer: &boundary::Issuer) -> Result<Trusted, String> {
    let reach = reach(&issuer.reach)?;
    let introspection = match (&issuer.introspection_url, &issuer.client) {
        (Some(url), Some(us)) => Some((url.clone(), client(us)?)),
        _ => None,
    };
    let (audience, jwks_url) = (issuer.audience.clone(), issuer.jwks_url.clone());
    Ok(Trusted { issuer: issuer.issuer.clone(), audience, jwks_url, introspection, reach })
}

/// What is asked for; at the issuer, and as who we are there, where nothing else is said.
///
/// # Errors
/// Something that is needed is not said, or cannot be found; what was found is not in the text.
pub fn grant(wanted: &boundary::Grant, issuer: Option<&boundary::Issuer>) -> Result<Grant, String> {
    let (endpoint, way) = match (&wanted.token_url, issuer) {
        (Some(url), _) => (Endpoint::At(url.clone()), &wanted.reach),
        (None, Some(issuer)) => (Endpoint::Of(issuer.issuer.clone()), &issuer.reach),
        (None, None) => return Err("it is not said where tokens are had".to_owned()),
    };
    let us = wanted.client.as_ref().or_else(|| issuer.and_then(|issuer| issuer.client.as_ref()));
    let us = us.ok_or_else(|| "it is not said who asks for tokens".to_owned())?;
    Ok(Grant {
        endpoint,
        client: client(us)?,
        audience: wanted.audience.clone(),
        resource: wanted.resource.clone(),
        scopes: wanted.scopes.clone(),
        reach: reach(way)?,
    })
}

/// Who we are.
fn client(client: &boundary::Client) -> Result<Client, String> {
    let id = client.id.as_str();
    Ok(match &client.proof {
        Proof::None => Client::public(id),
        Proof::Basic(secret) => Client::basic(id, find(secret)?),
        Proof::Post(secret) => Client::post(id, find(secret)?),
        Proof::PrivateKey { key, key_id, algorithm } => {
            Client::signed(id, &find(key)?, key_id.as_deref(), algorithm)?
        }
    })
}

/// How a server is reached.
fn reach(reach: &boundary::Reach) -> Result<Reach, String> {
    let roots = reach.ca_bundle.as_deref().map(secret_file).transpose().map_err(|error| error.to_string())?;
    let roots = roots.map(String::into_bytes);
    Ok(Reach { roots, allows_private_ip: reach.allows_private_ip, allows_http: reach.allows_http })
}

fn find(found: &Found) -> Result<String, String> {
    let text = match found {
        Found::Variable(name) => secret_variable(name)
            .map_err(|error| error.to_string())?
            .into_string()
            .map_err(|_| format!("the variable `{name}` is no text"))?,
        Found::File(path) => secret_file(path).map_err(|error| error.to_string())?,
    };
    if text.is_empty() { Err("a secret is empty".to_owned()) } else { Ok(text) }
}

/// What a header holds always.
///
/// # Errors
/// It cannot be found, or cannot stand in a header; what was found is not in the text.
pub fn fixed(text: &Text) -> Result<HeaderValue, String> {
    let text = match text {
        Text::Plain(text) => text.clone(),
        Text::Secret { before, found } => format!("{before}{}", find(found)?),
    };
    sensitive(&text).ok_or_else(|| "it cannot stand in a header".to_owned())
}

/// A header's value that does not print itself. `None`: the text cannot stand in one.
pub fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
