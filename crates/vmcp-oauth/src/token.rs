//! Whether an access token is good, and whose it is (RFC 9068; RFC 7519, section 4.1).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Validation, decode, decode_header};
use moka::sync::Cache;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::Deserialize;

use crate::keys::Keys;

/// What a token must say to be good here.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who has made it.
    pub issuer: &'a str,
    /// For whom.
    pub audience: &'a str,
}

/// A token that is good, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who vouches for the subject.
    pub issuer: String,
    /// Who it is there.
    pub subject: String,
    id: u128,
    /// Seconds since 1970.
    expires_at: u64,
}

impl Verified {
    /// Tells issuer and subject from all others; never 0.
    pub fn id(&self) -> u128 {
        self.id
    }
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Not a token that is good here, whatever is wrong with it.
    #[error("the token is not good here")]
    Invalid,
    /// Nobody can say, since the issuer has never been reached.
    #[error("the issuer cannot be reached")]
    Unavailable,
}

/// Verifies tokens. Each is verified once for as long as it is good and remembered.
pub struct Verifier {
    http: Client,
    issuers: Cache<String, Arc<Keys>>,
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
const FETCH_TIME: Duration = Duration::from_secs(5);
/// By how much clocks may differ, in seconds.
const LEEWAY: u64 = 30;

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    /// Not always whole (RFC 7519, section 2, NumericDate).
    exp: f64,
    nbf: Option<f64>,
}

impl Verifier {
    /// Knows no issuer yet.
    ///
    /// # Errors
    /// TLS cannot be had.
    pub fn new() -> io::Result<Self> {
        // Documents are where an issuer says that they are, and nowhere else.
        let http = Client::builder()
            .redirect(Policy::none())
            .timeout(FETCH_TIME)
            .build()
            .map_err(io::Error::other)?;
        let (issuers, verified) = (Cache::new(ISSUERS), Cache::new(REMEMBERED));
        Ok(Self { http, issuers, verified })
    }

    /// Whose token it is. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn verify(
        &self,
        token: &str,
        expected: Expected<'_>,
        now: u64,
    ) -> Result<Arc<Verified>, Denied> {
        if token.len() > TOKEN_BYTES {
            return Err(Denied::Invalid);
        }
        let hash = hash(token, expected);
        if let Some(known) = self.verified.get(&hash) {
            return if now < known.expires_at { Ok(known) } else { Err(Denied::Invalid) };
        }
        let header = decode_header(token).map_err(|_| Denied::Invalid)?;
        if !is_access_token(header.typ.as_deref()) {
            return Err(Denied::Invalid);
        }
        let issuer =
            self.issuers.get_with(expected.issuer.to_owned(), || Arc::new(Keys::of(expected.issuer)));
        let known = issuer.find(&self.http, header.kid.as_deref()).await;
        if known.keys.is_empty() {
            return Err(Denied::Unavailable);
        }
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[expected.issuer]);
        validation.set_audience(&[expected.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Looked at below, by the clock that we are given.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        let mut fitting =
            known.keys.iter().filter(|key| key.may_be(header.kid.as_deref()) && key.signs_by(header.alg));
        let claims = fitting.find_map(|key| decode::<Claims>(token, &key.key, &validation).ok());
        let claims = claims.ok_or(Denied::Invalid)?.claims;
        let (now_f, leeway) = (seconds(now), seconds(LEEWAY));
        let is_in_time = claims.exp + leeway > now_f && claims.nbf.is_none_or(|nbf| nbf <= now_f + leeway);
        if claims.sub.is_empty() || !is_in_time {
            return Err(Denied::Invalid);
        }
        let expires_at = whole(claims.exp).saturating_add(LEEWAY);
        let (issuer, subject) = (expected.issuer.to_owned(), claims.sub);
        let verified = Verified { id: id(&issuer, &subject), issuer, subject, expires_at };
        let verified = Arc::new(verified);
        self.verified.insert(hash, verified.clone());
        Ok(verified)
    }
}

fn id(issuer: &str, subject: &str) -> u128 {
    let hash = digest(&SHA256, [issuer, "\0", subject].concat().as_bytes());
    let first = hash.as_ref().first_chunk().copied().unwrap_or_default();
    u128::from_le_bytes(first).max(1)
}

fn hash(token: &str, expected: Expected<'_>) -> [u8; 32] {
    let text = [expected.issuer, "\0", expected.audience, "\0", token].concat();
    digest(&SHA256, text.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
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
