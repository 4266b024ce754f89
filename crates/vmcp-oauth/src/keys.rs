//! The keys of one issuer: found by discovery, fetched when a token names one that is not known, and not too often
//! (OpenID Connect Discovery 1.0, section 4; RFC 8414).

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::address::may_be_asked;

/// Two fetches are at least so far apart, so that tokens with invented key ids cost an issuer nothing.
const FETCH_APART: Duration = Duration::from_secs(30);
/// After a failure it is tried again sooner.
const RETRY_APART: Duration = Duration::from_secs(2);
/// Keys that are older are fetched again when one is used, so that one which the issuer has withdrawn is not trusted for ever.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// A document is larger for nobody.
const DOCUMENT_BYTES: usize = 256 * 1024;

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct Keys {
    issuer: String,
    known: RwLock<Arc<Known>>,
    /// When they may be fetched again. Whoever fetches holds it; the others wait for what comes of that.
    next: Mutex<Option<Instant>>,
}

/// What was fetched last.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) keys: Vec<Key>,
    fetched: Option<Instant>,
}

/// One of them.
pub(crate) struct Key {
    id: Option<String>,
    pub(crate) key: DecodingKey,
    jwk: Jwk,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?})", self.id)
    }
}

/// The part of a discovery document that matters.
#[derive(Debug, Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

impl Keys {
    pub(crate) fn of(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), known: RwLock::default(), next: Mutex::default() }
    }

    /// All keys, one with this id among them if there is one; fetched if none is known. Without an id any may be meant.
    pub(crate) async fn find(&self, http: &Client, id: Option<&str>) -> Arc<Known> {
        let is_there = |known: &Known| known.keys.iter().any(|key| key.may_be(id));
        let known = self.known();
        if is_there(&known) && known.is_fresh() {
            return known;
        }
        let mut next = match self.next.try_lock() {
            Ok(next) => next,
            // Somebody fetches them anew already.
            Err(_) if is_there(&known) => return known,
            Err(_) => self.next.lock().await,
        };
        // Whoever held it may have brought what is looked for.
        let known = self.known();
        if (is_there(&known) && known.is_fresh()) || next.is_some_and(|next| Instant::now() < next) {
            return known;
        }
        let apart = match self.fetch(http).await {
            Ok(keys) => {
                let known = Known { keys, fetched: Some(Instant::now()) };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
                FETCH_APART
            }
            Err(error) => {
                tracing::warn!(issuer = self.issuer, %error, "the keys of an issuer cannot be had");
                RETRY_APART
            }
        };
        *next = Some(Instant::now() + apart);
        self.known()
    }

    fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn fetch(&self, http: &Client) -> Result<Vec<Key>, String> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let discovered: Discovered = document(http, &address).await?;
        if discovered.issuer != self.issuer {
            return Err(format!("{address} is of another issuer: {}", discovered.issuer));
        }
        let set: KeySet = document(http, &discovered.jwks_uri).await?;
        // One of a kind that is not known here does not lose the others.
        Ok(set.keys.into_iter().filter_map(|jwk| Key::read(serde_json::from_value(jwk).ok()?)).collect())
    }
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.fetched.is_some_and(|fetched| fetched.elapsed() < FRESH)
    }
}

#[derive(Debug, Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

async fn document<T: DeserializeOwned>(http: &Client, address: &str) -> Result<T, String> {
    if !may_be_asked(address) {
        return Err(format!("{address} is neither https nor on loopback"));
    }
    let failed = |error: reqwest::Error| format!("{address}: {error}");
    let mut response =
        http.get(address).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let mut text = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        text.extend_from_slice(&piece);
        if text.len() > DOCUMENT_BYTES {
            return Err(format!("{address} is larger than {DOCUMENT_BYTES} bytes"));
        }
    }
    serde_json::from_slice(&text).map_err(|error| format!("{address}: {error}"))
}

impl Key {
    /// `None`: it is not for signatures that anybody can check.
    fn read(jwk: Jwk) -> Option<Self> {
        let is_for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let is_public = !matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_));
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| is_for_signatures && is_public)?;
        Some(Self { id: jwk.common.key_id.clone(), key, jwk })
    }

    /// Whether a token with this key id may be signed with it.
    pub(crate) fn may_be(&self, id: Option<&str>) -> bool {
        id.is_none() || self.id.as_deref() == id
    }

    /// Whether that is what it is for: an algorithm of its kind, and the one that it names, if it does.
    pub(crate) fn signs_by(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let is_of_its_kind = match &self.jwk.algorithm {
            AlgorithmParameters::RSA(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            AlgorithmParameters::EllipticCurve(_) => matches!(algorithm, ES256 | ES384),
            AlgorithmParameters::OctetKeyPair(_) => algorithm == EdDSA,
            _ => false,
        };
        let named = self.jwk.common.key_algorithm;
        is_of_its_kind && named.is_none_or(|named| named.to_string().parse() == Ok(algorithm))
    }
}
