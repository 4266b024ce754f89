//! Tokens for backends, each asked for once as long as it is good: concurrent first calls ask once, what is refused is not asked again at
//! once, and what was refused by a backend is forgotten.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;

use crate::bearer::{Bearer, hash};
use crate::grant::{Grant, Issued, NoToken};
use crate::reach::Ways;
use crate::verified::Verified;

/// Bounded, shared by all lanes.
#[derive(Clone)]
pub struct Tokens {
    ways: Arc<Ways>,
    known: Cache<[u8; 32], Arc<Known>>,
}

/// What came of asking.
struct Known {
    outcome: Result<Issued, NoToken>,
    good_for: Duration,
}

const TOKENS: u64 = 50_000;
/// So long before its end a token is good no more, since a call takes time: a tenth of its life, and no longer than this.
const SKEW: Duration = Duration::from_secs(30);
/// A token that does not say how long it is good.
const UNSAID: Duration = Duration::from_secs(60);
/// A token that says it is good for longer may have been taken back.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// So long a refusal stands.
const REFUSED: Duration = Duration::from_secs(10);
/// So long nobody asks a server again that cannot be used.
const UNAVAILABLE: Duration = Duration::from_secs(1);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

struct GoodFor;

impl Expiry<[u8; 32], Arc<Known>> for GoodFor {
    fn expire_after_create(&self, _: &[u8; 32], known: &Arc<Known>, _: Instant) -> Option<Duration> {
        Some(known.good_for)
    }
}

impl Default for Tokens {
    fn default() -> Self {
        let known = Cache::builder().max_capacity(TOKENS).expire_after(GoodFor).build();
        Self { ways: Arc::default(), known }
    }
}

impl Tokens {
    /// A token for a backend that the caller's is exchanged for. `kind`: what the caller's is said to be. `now`: seconds since 1970.
    ///
    /// # Errors
    /// [`NoToken`].
    pub async fn exchanged(
        &self,
        grant: &Grant,
        kind: &str,
        (caller, bearer): (&Verified, &Bearer),
        now: u64,
    ) -> Result<Issued, NoToken> {
        let key = exchange_key(grant, kind, caller);
        let asking = async {
            let http = self.ways.to(&grant.reach).map_err(|error| unusable(&error));
            let outcome = match http {
                Ok(http) => grant.exchange(&http, bearer, kind, now).await,
                Err(error) => Err(error),
            };
            // Nobody acts for a caller who is gone.
            let left = Duration::from_secs(caller.expires_at.saturating_sub(now));
            Arc::new(Known::new(outcome, left))
        };
        self.known.get_with(key, Box::pin(asking)).await.outcome.clone()
    }

    /// A token of our own.
    ///
    /// # Errors
    /// [`NoToken`].
    pub async fn own(&self, grant: &Grant, now: u64) -> Result<Issued, NoToken> {
        let asking = async {
            let http = self.ways.to(&grant.reach).map_err(|error| unusable(&error));
            let outcome = match http {
                Ok(http) => grant.credentials(&http, now).await,
                Err(error) => Err(error),
            };
            Arc::new(Known::new(outcome, LONGEST))
        };
        self.known.get_with(own_key(grant), Box::pin(asking)).await.outcome.clone()
    }

    /// A backend has refused what it was shown; not if somebody has asked for another one since.
    pub async fn forget_exchanged(&self, grant: &Grant, kind: &str, caller: &Verified, refused: &str) {
        self.forget(exchange_key(grant, kind, caller), refused).await;
    }

    /// The same of a token of our own.
    pub async fn forget_own(&self, grant: &Grant, refused: &str) {
        self.forget(own_key(grant), refused).await;
    }

    /// The same, whichever that was.
    pub async fn renew_own(&self, grant: &Grant) {
        let key = own_key(grant);
        if self.known.get(&key).await.is_some_and(|known| known.outcome.is_ok()) {
            self.known.invalidate(&key).await;
        }
    }

    async fn forget(&self, key: [u8; 32], refused: &str) {
        let known = self.known.get(&key).await;
        let is_that = known
            .is_some_and(|known| known.outcome.as_ref().is_ok_and(|issued| issued.to_header() == refused));
        if is_that {
            self.known.invalidate(&key).await;
        }
    }
}

impl Known {
    fn new(outcome: Result<Issued, NoToken>, longest: Duration) -> Self {
        let good_for = match &outcome {
            Ok(issued) => {
                let life = issued.expires_in.map_or(UNSAID, Duration::from_secs).min(LONGEST);
                life.saturating_sub(SKEW.min(life / 10)).min(longest)
            }
            Err(NoToken::Refused(_)) => REFUSED,
            Err(NoToken::Unavailable(_)) => UNAVAILABLE,
        };
        Self { outcome, good_for }
    }
}

/// Everything that makes one token another.
fn exchange_key(grant: &Grant, kind: &str, caller: &Verified) -> [u8; 32] {
    hash(&[b"exchanged", &grant.mark(), kind.as_bytes(), caller.grant()])
}

fn own_key(grant: &Grant) -> [u8; 32] {
    hash(&[b"own", &grant.mark()])
}

fn unusable(error: &io::Error) -> NoToken {
    NoToken::Unavailable(error.to_string())
}
