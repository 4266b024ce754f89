//! Tokens that only their issuer can read: it is asked once, whoever comes with one at the same time, and again after a while, since it may
//! take a token back (RFC 7662).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::claims::{is_bound, is_for, until};
use crate::client::Client;
use crate::denied::{Denied, Why};
use crate::introspect::introspect;
use crate::reach::Http;
use crate::trusted::Trusted;
use crate::verified::Verified;

/// What issuers have said of tokens. Bounded.
pub(crate) struct Opaque {
    said: Cache<[u8; 32], Said>,
    /// By where it is asked.
    asking: Mutex<HashMap<String, Arc<Semaphore>>>,
}

type Said = Result<Arc<Verified>, Denied>;

const REMEMBERED: u64 = 10_000;
/// An issuer that is asked may take a token back, so it is asked again.
const GOOD: Duration = Duration::from_secs(30);
/// A token that is not good is hardly good soon.
const NOT_GOOD: Duration = Duration::from_secs(10);
/// So long nobody asks an issuer again about a token that it could not be asked about.
const UNAVAILABLE: Duration = Duration::from_secs(1);
/// Questions that are under way at a time: a flood of invented tokens is none of an issuer. And how long one waits for its turn.
const ASKING: usize = 32;
const TURN: Duration = Duration::from_secs(5);
/// What goes by the end of a token, streams and tokens for backends, goes by this if that is later, since nobody asks again for them.
const LONGEST_SECONDS: u64 = 5 * 60;

struct GoodFor;

impl Expiry<[u8; 32], Said> for GoodFor {
    fn expire_after_create(&self, _: &[u8; 32], said: &Said, _: Instant) -> Option<Duration> {
        Some(match said {
            Ok(_) => GOOD,
            Err(Denied::Invalid(_)) => NOT_GOOD,
            Err(Denied::Unavailable) => UNAVAILABLE,
        })
    }
}

impl Default for Opaque {
    fn default() -> Self {
        let said = Cache::builder().max_capacity(REMEMBERED).expire_after(GoodFor).build();
        Self { said, asking: Mutex::default() }
    }
}

impl Opaque {
    /// Whose token it is. `key` tells it, and who is asked, from all others.
    pub(crate) async fn verify(
        &self,
        (key, token): ([u8; 32], &str),
        (http, trusted): (&Http, &Trusted),
        (url, client): (&str, &Client),
        now: u64,
    ) -> Said {
        let asking = async {
            let turn = self.turn(url);
            let turn = tokio::time::timeout(TURN, turn.acquire()).await;
            let Ok(Ok(_turn)) = turn else { return Err(Denied::Unavailable) };
            let said = introspect(http, url, client, token, now).await.map_err(|error| {
                tracing::warn!(issuer = trusted.issuer, error, "an issuer cannot be asked about tokens");
                Denied::Unavailable
            })?;
            read(said.ok_or(Denied::Invalid(Why::NotActive))?, trusted, now).map(Arc::new)
        };
        let said = self.said.get_with(key, Box::pin(asking)).await;
        said.and_then(
            |verified| {
                if now < verified.expires_at { Ok(verified) } else { Err(Denied::Invalid(Why::Ended)) }
            },
        )
    }

    fn turn(&self, url: &str) -> Arc<Semaphore> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.entry(url.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(ASKING))).clone()
    }
}

/// Asked of the issuer itself: what it leaves out it means of itself, and never for somebody else.
fn read(mut claims: Map<String, Value>, trusted: &Trusted, now: u64) -> Result<Verified, Denied> {
    let is_of_issuer = claims.get("iss").is_none_or(|issuer| issuer == trusted.issuer.as_str());
    if !is_of_issuer {
        return Err(Denied::Invalid(Why::OtherIssuer));
    }
    if !is_for(&claims, &trusted.audience) {
        return Err(Denied::Invalid(Why::OtherAudience));
    }
    if is_bound(&claims) {
        return Err(Denied::Invalid(Why::Bound));
    }
    claims.entry("iss").or_insert_with(|| trusted.issuer.clone().into());
    let until = until(&claims, now, false)?.min(now + LONGEST_SECONDS);
    Verified::read(&trusted.issuer, claims, until).ok_or(Denied::Invalid(Why::Incomplete))
}
