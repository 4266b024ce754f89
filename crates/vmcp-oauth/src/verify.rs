//! Whether an access token is good, and whose it is (RFC 9068; RFC 7519, section 4.1; RFC 7662).

use std::fmt;
use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Validation, decode, decode_header};
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::bearer::{Bearer, hash};
use crate::client::Client;
use crate::introspect::introspect;
use crate::keys::Keys;
use crate::reach::{Http, Reach, Ways};
use crate::verified::Verified;

/// Whose tokens are taken, and for what they must be.
#[derive(Debug, Clone)]
pub struct Trusted {
    /// As it calls itself.
    pub issuer: String,
    /// What a token must be for.
    pub audience: String,
    /// Where its keys are; found by discovery if absent.
    pub jwks_url: Option<String>,
    /// Where it says whether a token is good, and who we are there; tokens are not looked into then.
    pub introspection: Option<(String, Client)>,
    /// How it is reached.
    pub reach: Reach,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Not a token that is good here, whatever is wrong with it.
    #[error("the token is not good here")]
    Invalid,
    /// Nobody can say, since the issuer cannot be reached.
    #[error("the issuer cannot be reached")]
    Unavailable,
}

/// Verifies tokens. Each is verified once for as long as it is good and remembered.
pub struct Verifier {
    ways: Ways,
    keys: Cache<(String, Option<String>, Reach), Arc<Keys>>,
    /// By a hash of the whole token and of what was expected of it.
    verified: Cache<[u8; 32], Arc<Verified>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

const TOKEN_BYTES: usize = 16 * 1024;
const ISSUERS: u64 = 1_000;
const REMEMBERED: u64 = 10_000;
/// By how much clocks may differ, in seconds.
const LEEWAY: u64 = 30;
/// An issuer that is asked may take a token back, so it is asked again.
const INTROSPECTED_SECONDS: u64 = 30;

impl Verifier {
    /// Knows no issuer yet.
    ///
    /// # Errors
    /// TLS cannot be had.
    pub fn new() -> io::Result<Self> {
        let ways = Ways::default();
        ways.to(&Reach::default())?;
        Ok(Self { ways, keys: Cache::new(ISSUERS), verified: Cache::new(REMEMBERED) })
    }

    /// Whose token it is. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn verify(
        &self,
        bearer: &Bearer,
        trusted: &[Trusted],
        now: u64,
    ) -> Result<Arc<Verified>, Denied> {
        let token = bearer.reveal();
        if token.len() > TOKEN_BYTES {
            return Err(Denied::Invalid);
        }
        let named = named_issuer(token);
        let mut last = Denied::Invalid;
        for trusted in trusted {
            // What a token that can be read says of itself is not good elsewhere.
            if named.as_deref().is_some_and(|named| named != trusted.issuer) {
                continue;
            }
            let key = hash(&[trusted.issuer.as_bytes(), trusted.audience.as_bytes(), token.as_bytes()]);
            if let Some(known) = self.verified.get(&key) {
                if now < known.expires_at {
                    return Ok(known);
                }
                self.verified.invalidate(&key);
                if trusted.introspection.is_none() {
                    return Err(Denied::Invalid);
                }
            }
            match self.look_into(token, trusted, named.is_some(), now).await {
                Ok(verified) => {
                    let verified = Arc::new(verified);
                    self.verified.insert(key, verified.clone());
                    return Ok(verified);
                }
                Err(denied) => last = denied,
            }
        }
        Err(last)
    }

    async fn look_into(
        &self,
        token: &str,
        trusted: &Trusted,
        is_jwt: bool,
        now: u64,
    ) -> Result<Verified, Denied> {
        let http = self.ways.to(&trusted.reach).map_err(|_| Denied::Unavailable)?;
        let Some((url, client)) = &trusted.introspection else {
            return match is_jwt {
                true => self.decode(&http, token, trusted, now).await,
                false => Err(Denied::Invalid),
            };
        };
        let said = introspect(&http, url, client, token, now).await.map_err(|error| {
            tracing::warn!(issuer = trusted.issuer, error, "an issuer cannot be asked about tokens");
            Denied::Unavailable
        })?;
        let mut claims = said.ok_or(Denied::Invalid)?;
        // Asked of the issuer itself: what it leaves out it means of itself, and never for somebody else.
        let is_of_issuer = claims.get("iss").is_none_or(|issuer| issuer == trusted.issuer.as_str());
        let is_for_us = is_for(&claims, &trusted.audience);
        if !is_of_issuer || !is_for_us {
            return Err(Denied::Invalid);
        }
        claims.entry("iss").or_insert_with(|| trusted.issuer.clone().into());
        let until = until(&claims, now, false)?.min(now + INTROSPECTED_SECONDS);
        Verified::read(&trusted.issuer, claims, until).ok_or(Denied::Invalid)
    }

    async fn decode(
        &self,
        http: &Http,
        token: &str,
        trusted: &Trusted,
        now: u64,
    ) -> Result<Verified, Denied> {
        let header = decode_header(token).map_err(|_| Denied::Invalid)?;
        if !is_access_token(header.typ.as_deref()) {
            return Err(Denied::Invalid);
        }
        let id = (trusted.issuer.clone(), trusted.jwks_url.clone(), trusted.reach.clone());
        let keys = self.keys.get_with(id, || Arc::new(Keys::of(&trusted.issuer, trusted.jwks_url.clone())));
        let known = keys.find(http, header.kid.as_deref()).await;
        if known.keys.is_empty() {
            return Err(Denied::Unavailable);
        }
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&trusted.issuer]);
        validation.set_audience(&[&trusted.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Looked at below, by the clock that we are given.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        let mut fitting =
            known.keys.iter().filter(|key| key.may_be(header.kid.as_deref()) && key.signs_by(header.alg));
        let claims = fitting.find_map(|key| decode::<Map<String, Value>>(token, &key.key, &validation).ok());
        let claims = claims.ok_or(Denied::Invalid)?.claims;
        // A token that is bound to a key is nobody's who shows no key (RFC 9449, section 7.2; RFC 8705).
        if claims.contains_key("cnf") {
            return Err(Denied::Invalid);
        }
        let until = until(&claims, now, true)?;
        Verified::read(&trusted.issuer, claims, until).ok_or(Denied::Invalid)
    }
}

/// Until when claims are good, with leeway; `Invalid` if they are not now.
fn until(claims: &Map<String, Value>, now: u64, must_end: bool) -> Result<u64, Denied> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        // Not always whole (RFC 7519, section 2, NumericDate); never a text.
        Some(value) => value.as_f64().map(Some).ok_or(Denied::Invalid),
    };
    let (ends, begins) = (time("exp")?, time("nbf")?);
    let (now_f, leeway) = (seconds(now), seconds(LEEWAY));
    let has_begun = begins.is_none_or(|begins| begins <= now_f + leeway);
    match ends {
        Some(ends) if has_begun && ends + leeway > now_f => Ok(whole(ends).saturating_add(LEEWAY)),
        None if has_begun && !must_end => Ok(u64::MAX),
        _ => Err(Denied::Invalid),
    }
}

/// Whether somebody is in `aud`: one text, or one of several.
pub(crate) fn is_for(claims: &Map<String, Value>, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(all)) => all.iter().any(|one| one == audience),
        _ => false,
    }
}

/// Whom a token that can be read says it is of, which is nothing to go by but to choose whom to ask.
fn named_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        iss: String,
    }
    let mut pieces = token.split('.');
    let (_, claims, _) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    Some(serde_json::from_slice::<Named>(&claims).ok()?.iss)
}

/// Tokens for other things say so (RFC 8725, section 3.11).
fn is_access_token(kind: Option<&str>) -> bool {
    let good = ["jwt", "at+jwt", "application/at+jwt"];
    kind.is_none_or(|kind| good.iter().any(|good| kind.eq_ignore_ascii_case(good)))
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
fn seconds(value: u64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what does not fit is at a bound"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
