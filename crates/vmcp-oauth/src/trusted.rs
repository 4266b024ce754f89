//! Whose tokens are taken.

use crate::bearer::hash;
use crate::client::Client;
use crate::reach::Reach;

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

impl Trusted {
    /// Tells it, with what it is asked with, from all others.
    pub fn mark(&self) -> [u8; 32] {
        let (asked_at, us) = match &self.introspection {
            Some((url, client)) => (url.as_str(), client.mark().as_slice()),
            None => Default::default(),
        };
        let jwks_url = self.jwks_url.as_deref().unwrap_or_default();
        let texts = [self.issuer.as_str(), &self.audience, jwks_url, asked_at].map(str::as_bytes);
        hash(&[texts[0], texts[1], texts[2], texts[3], us, &self.reach.mark()])
    }
}
