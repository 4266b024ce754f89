//! Whether an access token is good, and whose it is (RFC 9068; RFC 7519, section 4.1; RFC 7662).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Header, Validation, decode, decode_header};
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::bearer::{Bearer, hash};
use crate::claims::{is_bound, is_id_token, until};
use crate::denied::{Denied, Why};
use crate::keys::{Fetched, Keys};
use crate::opaque::Opaque;
use crate::reach::{Reach, Ways};
use crate::trusted::Trusted;
use crate::verified::Verified;

/// Verifies tokens. Each is verified once for as long as it is good and remembered, and its issuer's keys are the same.
pub struct Verifier {
    ways: Ways,
    keys: Cache<(String, Option<String>, Reach), Arc<Keys>>,
    /// By a hash of the whole token and of what was expected of it.
    verified: Cache<[u8; 32], Known>,
    opaque: Opaque,
}

/// A token that was good by the keys of its issuer.
#[derive(Debug, Clone)]
struct Known {
    verified: Arc<Verified>,
    keys: Arc<Keys>,
    /// Which turn of them.
    turn: u64,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

const TOKEN_BYTES: usize = 16 * 1024;
const ISSUERS: u64 = 1_000;
const REMEMBERED: u64 = 10_000;

impl Verifier {
    /// Knows no issuer yet.
    ///
    /// # Errors
    /// TLS cannot be had.
    pub fn new() -> io::Result<Self> {
        let ways = Ways::default();
        ways.to(&Reach::default())?;
        Ok(Self {
            ways,
            keys: Cache::new(ISSUERS),
            verified: Cache::new(REMEMBERED),
            opaque: Opaque::default(),
        })
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
            return Err(Denied::Invalid(Why::Malformed));
        }
        let key_of = |trusted: &Trusted| {
            let jwks_url = trusted.jwks_url.as_deref().unwrap_or_default();
            let asked_at = trusted.introspection.as_ref().map_or("", |(url, _)| url.as_str());
            let roots = trusted.reach.roots.as_deref().unwrap_or_default();
            let lifted = [u8::from(trusted.reach.allows_private_ip), u8::from(trusted.reach.allows_http)];
            // Who trusts an issuer otherwise looks for itself.
            let expected = [&trusted.issuer, &trusted.audience, jwks_url, asked_at].map(str::as_bytes);
            hash(&[expected[0], expected[1], expected[2], expected[3], roots, &lifted, token.as_bytes()])
        };
        for trusted in trusted {
            let key = key_of(trusted);
            if let Some(known) = self.verified.get(&key) {
                if now >= known.verified.expires_at {
                    self.verified.invalidate(&key);
                    return Err(Denied::Invalid(Why::Ended));
                }
                if known.keys.turn() == known.turn {
                    if known.keys.are_to_be_fetched() {
                        self.fetch_beside(trusted, known.keys);
                    }
                    return Ok(known.verified);
                }
            }
        }
        let named = named_issuer(token);
        let mut denied = Denied::Invalid(Why::OtherIssuer);
        for trusted in trusted {
            // What a token that can be read says of itself is not good elsewhere.
            if named.as_deref().is_some_and(|named| named != trusted.issuer) {
                continue;
            }
            match self.look_into((key_of(trusted), token), trusted, named.is_some(), now).await {
                Ok(verified) => return Ok(verified),
                // Whoever could not be asked might have said yes.
                Err(_) if denied == Denied::Unavailable => {}
                Err(why) => denied = why,
            }
        }
        Err(denied)
    }

    /// Nobody whose token is known waits for keys.
    fn fetch_beside(&self, trusted: &Trusted, keys: Arc<Keys>) {
        if let Ok(http) = self.ways.to(&trusted.reach) {
            tokio::spawn(async move { drop(keys.find(&http, None).await) });
        }
    }

    fn keys_of(&self, trusted: &Trusted) -> Arc<Keys> {
        let id = (trusted.issuer.clone(), trusted.jwks_url.clone(), trusted.reach.clone());
        self.keys.get_with(id, || Arc::new(Keys::of(&trusted.issuer, trusted.jwks_url.clone())))
    }

    /// The keys of an issuer, as somebody who is trusted has fetched them so long ago; what is known that is newer stays.
    ///
    /// # Errors
    /// They are none; what was known stays.
    pub fn learn(&self, trusted: &Trusted, document: &str, age: Duration) -> Result<(), String> {
        self.keys_of(trusted).learn(document, age)
    }

    async fn look_into(
        &self,
        (key, token): ([u8; 32], &str),
        trusted: &Trusted,
        is_jwt: bool,
        now: u64,
    ) -> Result<Arc<Verified>, Denied> {
        let http = self.ways.to(&trusted.reach).map_err(|_| Denied::Unavailable)?;
        if let Some((url, client)) = &trusted.introspection {
            return self.opaque.verify((key, token), (&http, trusted), (url, client), now).await;
        }
        if !is_jwt {
            return Err(Denied::Invalid(Why::Malformed));
        }
        let keys = self.keys_of(trusted);
        let header = decode_header(token).map_err(|_| Denied::Invalid(Why::Malformed))?;
        // What a token says is critical would have to be known here, and nothing is (RFC 7515, section 4.1.11).
        if !is_access_token(header.typ.as_deref()) || header.crit.is_some() {
            return Err(Denied::Invalid(Why::OtherKind));
        }
        let fetched = keys.find(&http, header.kid.as_deref()).await;
        let verified = Arc::new(decode_by(&fetched, &header, token, trusted, now)?);
        self.verified.insert(key, Known { verified: verified.clone(), keys, turn: fetched.turn });
        Ok(verified)
    }
}

/// What a token says that one of these keys has signed.
fn decode_by(
    fetched: &Fetched,
    header: &Header,
    token: &str,
    trusted: &Trusted,
    now: u64,
) -> Result<Verified, Denied> {
    if fetched.keys.is_empty() {
        return Err(Denied::Unavailable);
    }
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[&trusted.issuer]);
    validation.set_audience(&[&trusted.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Looked at below, by the clock that we are given.
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    let fitting =
        fetched.keys.iter().filter(|key| key.may_be(header.kid.as_deref()) && key.signs_by(header.alg));
    let (mut claims, mut why) = (None, Why::UnknownKey);
    for key in fitting {
        match decode::<Map<String, Value>>(token, &key.key, &validation) {
            Ok(decoded) => {
                claims = Some(decoded.claims);
                break;
            }
            Err(error) => why = why_not(&error),
        }
    }
    let claims = claims.ok_or(Denied::Invalid(why))?;
    if is_bound(&claims) {
        return Err(Denied::Invalid(Why::Bound));
    }
    if is_id_token(header.typ.as_deref(), &claims) {
        return Err(Denied::Invalid(Why::OtherKind));
    }
    let until = until(&claims, now, true)?;
    Verified::read(&trusted.issuer, claims, until).ok_or(Denied::Invalid(Why::Incomplete))
}

/// What is wrong with a token under a key that it could be signed by.
fn why_not(error: &Error) -> Why {
    match error.kind() {
        ErrorKind::InvalidSignature => Why::Signature,
        ErrorKind::InvalidIssuer => Why::OtherIssuer,
        ErrorKind::InvalidAudience => Why::OtherAudience,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::Json(_) => {
            Why::Incomplete
        }
        _ => Why::Malformed,
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

#[cfg(test)]
mod tests;
