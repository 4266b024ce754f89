//! Tokens for backends, each asked for once as long as it is good: concurrent first calls ask once, what is refused is not asked again at
//! once, and what was refused by a backend is replaced.

use std::fmt;
use std::io;
use std::pin::Pin;
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
    /// What was refused to one token of a grant.
    refused: Cache<[u8; 32], Arc<Known>>,
    /// What was asked for lately because a backend had refused what was known.
    renewed: Cache<[u8; 32], Arc<Known>>,
}

/// What came of asking.
struct Known {
    outcome: Result<Issued, NoToken>,
    good_for: Duration,
    /// A hash of what was exchanged.
    with: [u8; 32],
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
/// So long nobody asks for another token in place of one that a backend has refused.
const RENEWED: Duration = Duration::from_secs(1);
/// How often a token is asked about while others of its grant are refused.
const TRIES: usize = 4;
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

    fn expire_after_update(
        &self,
        _: &[u8; 32],
        known: &Arc<Known>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(known.good_for)
    }
}

impl Default for Tokens {
    fn default() -> Self {
        let [known, refused] =
            [0, 1].map(|_| Cache::builder().max_capacity(TOKENS).expire_after(GoodFor).build());
        let renewed = Cache::builder().max_capacity(TOKENS).time_to_live(RENEWED).build();
        Self { ways: Arc::default(), known, refused, renewed }
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
        if let Some(known) = self.known.get(&key).await
            && let Ok(issued) = &known.outcome
        {
            return Ok(issued.clone());
        }
        let with = hash(&[bearer.reveal().as_bytes()]);
        if let Some(known) = self.refused.get(&refused_key(&key, &with)).await {
            return known.outcome.clone();
        }
        for _ in 0..TRIES {
            let asking = self.ask_exchange(grant, kind, (caller, bearer), now);
            let known = self.known.get_with(key, Box::pin(asking)).await;
            if !matches!(known.outcome, Err(NoToken::Refused(_))) {
                return known.outcome.clone();
            }
            // A token that is refused says nothing of the next one that the same grant gets.
            self.refused.insert(refused_key(&key, &known.with), known.clone()).await;
            self.known.invalidate(&key).await;
            if known.with == with {
                return known.outcome.clone();
            }
        }
        Err(NoToken::Unavailable("others of the same grant are asked about".to_owned()))
    }

    /// A token of our own.
    ///
    /// # Errors
    /// [`NoToken`].
    pub async fn own(&self, grant: &Grant, now: u64) -> Result<Issued, NoToken> {
        self.known.get_with(own_key(grant), Box::pin(self.ask_own(grant, now))).await.outcome.clone()
    }

    /// A backend has refused what it was shown: another one is asked for in its place, unless somebody has since.
    pub async fn renew_exchanged(
        &self,
        grant: &Grant,
        kind: &str,
        (caller, bearer): (&Verified, &Bearer),
        (refused, now): (&str, u64),
    ) {
        let asking = self.ask_exchange(grant, kind, (caller, bearer), now);
        self.renew(exchange_key(grant, kind, caller), Some(refused), Box::pin(asking)).await;
    }

    /// The same of a token of our own; `None`: whichever it was.
    pub async fn renew_own(&self, grant: &Grant, refused: Option<&str>, now: u64) {
        self.renew(own_key(grant), refused, Box::pin(self.ask_own(grant, now))).await;
    }

    async fn ask_exchange(
        &self,
        grant: &Grant,
        kind: &str,
        (caller, bearer): (&Verified, &Bearer),
        now: u64,
    ) -> Arc<Known> {
        let http = self.ways.to(&grant.reach).map_err(|error| unusable(&error));
        let outcome = match http {
            Ok(http) => grant.exchange(&http, bearer, kind, now).await,
            Err(error) => Err(error),
        };
        // Nobody acts for a caller who is gone.
        let left = Duration::from_secs(caller.expires_at.saturating_sub(now));
        Arc::new(Known::new(outcome, left, hash(&[bearer.reveal().as_bytes()])))
    }

    async fn ask_own(&self, grant: &Grant, now: u64) -> Arc<Known> {
        let http = self.ways.to(&grant.reach).map_err(|error| unusable(&error));
        let outcome = match http {
            Ok(http) => grant.credentials(&http, now).await,
            Err(error) => Err(error),
        };
        Arc::new(Known::new(outcome, LONGEST, [0; 32]))
    }

    /// What is known stays until there is another one, since others may be shown it, too; and a backend that refuses everything makes nobody
    /// ask more than now and then.
    async fn renew(
        &self,
        key: [u8; 32],
        refused: Option<&str>,
        asking: Pin<Box<dyn Future<Output = Arc<Known>> + Send + '_>>,
    ) {
        let is_that = |known: &Known| {
            known
                .outcome
                .as_ref()
                .is_ok_and(|issued| refused.is_none_or(|refused| issued.to_header() == refused))
        };
        if !self.known.get(&key).await.is_some_and(|known| is_that(&known)) {
            return;
        }
        let asked = self.renewed.get_with(key, asking).await;
        match &asked.outcome {
            Ok(_) => self.known.insert(key, asked.clone()).await,
            Err(NoToken::Refused(_)) => self.known.invalidate(&key).await,
            Err(NoToken::Unavailable(_)) => {}
        }
    }
}

impl Known {
    fn new(outcome: Result<Issued, NoToken>, longest: Duration, with: [u8; 32]) -> Self {
        let good_for = match &outcome {
            Ok(issued) => {
                let life = issued.expires_in.map_or(UNSAID, Duration::from_secs).min(LONGEST);
                life.saturating_sub(SKEW.min(life / 10)).min(longest)
            }
            Err(NoToken::Refused(_)) => REFUSED,
            Err(NoToken::Unavailable(_)) => UNAVAILABLE,
        };
        Self { outcome, good_for, with }
    }
}

/// Everything that makes one token another.
fn exchange_key(grant: &Grant, kind: &str, caller: &Verified) -> [u8; 32] {
    hash(&[b"exchanged", &grant.mark(), kind.as_bytes(), caller.grant()])
}

fn refused_key(key: &[u8; 32], with: &[u8; 32]) -> [u8; 32] {
    hash(&[b"refused", key, with])
}

fn own_key(grant: &Grant) -> [u8; 32] {
    hash(&[b"own", &grant.mark()])
}

fn unusable(error: &io::Error) -> NoToken {
    NoToken::Unavailable(error.to_string())
}
