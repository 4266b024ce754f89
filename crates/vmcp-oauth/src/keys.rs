//! The keys of one issuer: found by discovery, fetched when a token names one that is not known, and not too often
//! (OpenID Connect Discovery 1.0, section 4; RFC 8414).

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::discovery::discover;
use crate::reach::Http;

/// Two fetches are at least so far apart, so that tokens with invented key ids cost an issuer nothing.
const FETCH_APART: Duration = Duration::from_secs(30);
/// After a failure it is tried again sooner.
const RETRY_APART: Duration = Duration::from_secs(2);
/// Keys that are older are fetched again when one is used, so that one which the issuer has withdrawn is not trusted for ever.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// More keys than anybody signs with.
const KEYS: usize = 100;

/// The keys of one issuer.
#[derive(Debug)]
pub(crate) struct Keys {
    issuer: String,
    /// Where they are; found by discovery if absent.
    url: Option<String>,
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

impl Keys {
    pub(crate) fn of(issuer: &str, url: Option<String>) -> Self {
        Self { issuer: issuer.to_owned(), url, known: RwLock::default(), next: Mutex::default() }
    }

    /// All keys, one with this id among them if there is one; fetched if none is known. Without an id any may be meant.
    pub(crate) async fn find(&self, http: &Http, id: Option<&str>) -> Arc<Known> {
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

    async fn fetch(&self, http: &Http) -> Result<Vec<Key>, String> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => discover(http, &self.issuer).await?.jwks_uri.ok_or("the issuer names no keys")?,
        };
        // What an operator has written refers to itself.
        let named_by = if self.url.is_some() { &url } else { &self.issuer };
        let set: KeySet = http.get(&url, named_by).await?;
        // One of a kind that is not known here does not lose the others.
        Ok(set
            .keys
            .into_iter()
            .take(KEYS)
            .filter_map(|jwk| Key::read(serde_json::from_value(jwk).ok()?))
            .collect())
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
