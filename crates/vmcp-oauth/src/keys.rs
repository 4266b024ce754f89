//! The keys of one issuer: found by discovery, fetched when a token names one that is not known, and not too often
//! (OpenID Connect Discovery 1.0, section 4; RFC 8414).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::discovery::discover;
use crate::reach::Http;

/// Two fetches are at least so far apart, so that tokens with invented key ids cost an issuer nothing.
const FETCH_APART: Duration = Duration::from_secs(30);
/// After a failure it is tried again sooner, as long as no key is known.
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
    known: RwLock<Arc<Fetched>>,
    /// How often what is known has become something else.
    turn: AtomicU64,
    /// Since when times are counted, and when in milliseconds they were fetched last, or looked for by those whose tokens are known.
    begun: Instant,
    fresh_ms: AtomicU64,
    /// When they may be fetched again. Whoever fetches holds it; the others wait for what comes of that.
    next: Mutex<Option<Instant>>,
}

/// What was fetched last.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) keys: Vec<Key>,
    at: Option<Instant>,
    /// Another one whenever they have become others.
    pub(crate) turn: u64,
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
        Self {
            issuer: issuer.to_owned(),
            url,
            known: RwLock::default(),
            turn: AtomicU64::new(0),
            begun: Instant::now(),
            fresh_ms: AtomicU64::new(0),
            next: Mutex::default(),
        }
    }

    /// All keys, one with this id among them if there is one; fetched if none is known. Without an id any may be meant.
    pub(crate) async fn find(&self, http: &Http, id: Option<&str>) -> Arc<Fetched> {
        let is_there = |known: &Fetched| known.keys.iter().any(|key| key.may_be(id));
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
                // The first time nobody has invented anything: an issuer that changes its keys right afterwards is asked again.
                let is_first = known.keys.is_empty() && !keys.is_empty();
                self.take(keys, Some(Instant::now()));
                (!is_first).then_some(FETCH_APART)
            }
            Err(error) => {
                tracing::warn!(issuer = self.issuer, %error, "the keys of an issuer cannot be had");
                Some(if known.keys.is_empty() { RETRY_APART } else { FETCH_APART })
            }
        };
        *next = apart.map(|apart| Instant::now() + apart);
        self.known()
    }

    fn known(&self) -> Arc<Fetched> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn fetch(&self, http: &Http) -> Result<Vec<Key>, String> {
        Ok(read(fetch(http, &self.issuer, self.url.as_deref()).await?))
    }

    /// Somebody else has fetched them, so long ago. What is newer stays.
    pub(crate) fn learn(&self, document: &str, age: Duration) -> Result<(), String> {
        let fetched = Instant::now().checked_sub(age);
        if self.known().at >= fetched {
            return Ok(());
        }
        let set: KeySet = serde_json::from_str(document).map_err(|error| error.to_string())?;
        self.take(read(set), fetched);
        Ok(())
    }

    fn take(&self, keys: Vec<Key>, at: Option<Instant>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let are_others = !known.keys.iter().map(|key| &key.jwk).eq(keys.iter().map(|key| &key.jwk));
        let turn = known.turn + u64::from(are_others);
        *known = Arc::new(Fetched { keys, at, turn });
        let age = at.map_or(Duration::ZERO, |at| at.elapsed());
        self.fresh_ms.store(millis(self.begun.elapsed().saturating_sub(age)), Ordering::Relaxed);
        self.turn.store(turn, Ordering::Release);
    }

    /// Whether nobody has heard of them for long, and nobody else sees to it: whoever is told so does.
    pub(crate) fn are_to_be_fetched(&self) -> bool {
        let (now_ms, fresh_ms) = (millis(self.begun.elapsed()), self.fresh_ms.load(Ordering::Relaxed));
        let is_old = now_ms.saturating_sub(fresh_ms) > millis(FRESH);
        // Tried again, if nothing comes of it, as soon as a fetch is allowed.
        let again_ms = now_ms.saturating_sub(millis(FRESH - FETCH_APART));
        is_old
            && self
                .fresh_ms
                .compare_exchange(fresh_ms, again_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Another one whenever what is known has become something else.
    pub(crate) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }
}

/// Where an issuer says that its keys are, or where an operator has.
pub(crate) async fn fetch(http: &Http, issuer: &str, url: Option<&str>) -> Result<KeySet, String> {
    let found = match url {
        Some(url) => url.to_owned(),
        None => discover(http, issuer).await?.jwks_uri.ok_or("the issuer names no keys")?,
    };
    // What an operator has written refers to itself.
    http.get(&found, url.unwrap_or(issuer)).await
}

/// One of a kind that is not known here does not lose the others.
fn read(set: KeySet) -> Vec<Key> {
    let keys = set.keys.into_iter().take(KEYS);
    keys.filter_map(|jwk| Key::read(serde_json::from_value(jwk).ok()?)).collect()
}

impl Fetched {
    fn is_fresh(&self) -> bool {
        self.at.is_some_and(|at| at.elapsed() < FRESH)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeySet {
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
            AlgorithmParameters::EllipticCurve(of) => {
                matches!((&of.curve, algorithm), (EllipticCurve::P256, ES256) | (EllipticCurve::P384, ES384))
            }
            AlgorithmParameters::OctetKeyPair(_) => algorithm == EdDSA,
            _ => false,
        };
        let named = self.jwk.common.key_algorithm;
        is_of_its_kind && named.is_none_or(|named| named.to_string().parse() == Ok(algorithm))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
