//! What a good token says, without the token.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::bearer::hash;
use crate::claims::{is_for, seconds};

/// Who comes with a token, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who vouches for the subject.
    pub issuer: String,
    /// Who it is there.
    pub subject: String,
    /// The program that it comes by.
    pub client: Option<String>,
    /// What it was granted, in order.
    pub scopes: Vec<String>,
    /// Who acts in its name, the last one first (RFC 8693, section 4.1).
    pub actors: Vec<String>,
    /// All that is said of it.
    pub claims: Map<String, Value>,
    /// Until when it is good, in seconds since 1970.
    pub expires_at: u64,
    id: u128,
    grant: [u8; 32],
    mark: [u8; 32],
}

/// What tells one token from the next that the same grant gets, and says nothing of whom or what it is for.
const OF_ONE_TOKEN: [&str; 9] = ["exp", "iat", "nbf", "jti", "uti", "aio", "rh", "auth_time", "nonce"];

/// Whoever acts for whoever acts for somebody.
const ACTORS: usize = 10;

impl Verified {
    /// `None`: nobody is named.
    pub(crate) fn read(issuer: &str, claims: Map<String, Value>, expires_at: u64) -> Option<Self> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let subject = text("sub").filter(|subject| !subject.is_empty())?;
        let client = text("client_id").or_else(|| text("azp")).or_else(|| text("cid"));
        let mut scopes: Vec<String> =
            ["scope", "scp"].iter().filter_map(|name| claims.get(*name)).flat_map(words).collect();
        scopes.sort();
        scopes.dedup();
        let mut actors = Vec::new();
        let mut act = claims.get("act");
        while let Some(actor) = act.filter(|_| actors.len() < ACTORS) {
            actors.push(actor.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned());
            act = actor.get("act");
        }
        let whose = hash(&[issuer.as_bytes(), subject.as_bytes()]);
        let id = u128::from_le_bytes(whose.first_chunk().copied().unwrap_or_default()).max(1);
        let lasting: BTreeMap<&String, &Value> =
            claims.iter().filter(|(name, _)| !OF_ONE_TOKEN.contains(&name.as_str())).collect();
        let grant = hash(&[&whose, serde_json::to_string(&lasting).unwrap_or_default().as_bytes()]);
        let mark = hash(&[&grant, serde_json::to_string(&claims).unwrap_or_default().as_bytes()]);
        let issuer = issuer.to_owned();
        Some(Self { issuer, subject, client, scopes, actors, claims, expires_at, id, grant, mark })
    }

    /// Whether it has ended by this clock, in seconds since 1970; others may be slower.
    pub fn has_ended(&self, now: u64) -> bool {
        self.claims.get("exp").and_then(Value::as_f64).is_some_and(|ends| ends <= seconds(now))
    }

    /// Tells issuer and subject from all others; never 0.
    pub fn id(&self) -> u128 {
        self.id
    }

    /// Tells issuer, subject, client, scopes, delegation and all else that is said of a grant from all others; one token of it from the next
    /// is told by nothing.
    pub fn grant(&self) -> &[u8; 32] {
        &self.grant
    }

    /// Tells all that is said from all else.
    pub fn mark(&self) -> &[u8; 32] {
        &self.mark
    }

    /// Whether it is for somebody.
    pub fn is_for(&self, audience: &str) -> bool {
        is_for(&self.claims, audience)
    }

    /// Whether it was not granted one of `required`.
    pub fn lacks_any(&self, required: &[String]) -> bool {
        required.iter().any(|scope| !self.scopes.contains(scope))
    }
}

/// One text with blanks between, or a list.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => {
            text.split(' ').filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect()
        }
        Value::Array(items) => items.iter().filter_map(|item| item.as_str().map(ToOwned::to_owned)).collect(),
        _ => Vec::new(),
    }
}
