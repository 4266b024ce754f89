//! Who asks: what is sealed for one principal, or kept for it, is nobody else's.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Map, Value};
use vmcp_authz::Claims;
use vmcp_core::name::Name;
use vmcp_oauth::{Bearer, Verified};
use vmcp_runtime::unix_ms;

/// Who asks. Told from all others by its number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Principal(u128);

/// A principal, with what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) principal: Principal,
    /// What it has come with. `None`: nothing is asked of callers here.
    pub(crate) token: Option<Token>,
    /// The name of who has come without any.
    name: &'static str,
}

/// A token that is good, and what it says. What it is, only those see who may pass it on.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) verified: Arc<Verified>,
    pub(crate) bearer: Bearer,
}

/// Who vouches for those who come without a token.
const OURSELVES: &str = "vmcp";

impl Identity {
    pub(crate) fn anonymous() -> Self {
        Self { principal: Principal::ANONYMOUS, token: None, name: "anonymous" }
    }

    /// The user of the operating system who runs this process.
    pub(crate) fn local() -> Self {
        static USER: LazyLock<String> = LazyLock::new(|| {
            let uid = nix::unistd::Uid::effective();
            let user = nix::unistd::User::from_uid(uid).ok().flatten();
            user.map_or_else(|| uid.to_string(), |user| user.name)
        });
        Self { principal: Principal::ANONYMOUS, token: None, name: &USER }
    }

    pub(crate) fn of(verified: Arc<Verified>, bearer: Bearer) -> Self {
        Self { principal: Principal::of(&verified), token: Some(Token { verified, bearer }), name: "" }
    }

    /// How long its token is good.
    pub(crate) fn seconds_left(&self) -> Option<Duration> {
        let token = self.token.as_ref()?;
        Some(Duration::from_secs(token.verified.expires_at.saturating_sub(unix_ms() / 1_000)))
    }

    /// What policies are told of it.
    pub(crate) fn claims(&self) -> Claims<'_> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        match &self.token {
            Some(Token { verified, .. }) => {
                Claims { subject: &verified.subject, issuer: &verified.issuer, all: &verified.claims }
            }
            None => Claims { subject: self.name, issuer: OURSELVES, all: &NONE },
        }
    }

    /// Whether the token has ended that it has come with, and was taken all the same, since clocks differ.
    pub(crate) fn has_ended(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.verified.has_ended(unix_ms() / 1_000))
    }

    /// Tells it from whoever may not share a decision with it; and all that is said of it from all else.
    pub(crate) fn marks(&self) -> ([u8; 32], [u8; 32]) {
        self.token.as_ref().map(|token| (*token.verified.grant(), *token.verified.mark())).unwrap_or_default()
    }
}

/// Where something is good, and for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) server: &'a Name,
    pub(crate) principal: Principal,
}

impl Principal {
    /// Everybody of whom nothing is asked.
    pub(crate) const ANONYMOUS: Self = Self(0);

    /// One of several.
    #[cfg(test)]
    pub(crate) fn test(number: u128) -> Self {
        Self(number)
    }

    pub(crate) fn of(verified: &Verified) -> Self {
        Self(verified.id())
    }
}

impl Scope<'_> {
    /// What a sealed value is good for: nothing else, nowhere else, for nobody else.
    pub(crate) fn purpose(self, what: &str) -> Vec<u8> {
        let principal = self.principal.0.to_le_bytes();
        [what.as_bytes(), b"\0", self.server.as_str().as_bytes(), b"\0", &principal].concat()
    }
}
