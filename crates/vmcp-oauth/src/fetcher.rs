//! Fetching the keys of issuers for others, who check tokens by them.

use crate::keys::fetch;
use crate::reach::Ways;
use crate::trusted::Trusted;

/// Asks issuers for their keys.
#[derive(Debug, Default)]
pub struct KeyFetcher(Ways);

impl KeyFetcher {
    /// The keys as a document (RFC 7517, section 5), without what does not belong there.
    ///
    /// # Errors
    /// The issuer cannot be reached, or does not say what it should.
    pub async fn fetch(&self, trusted: &Trusted) -> Result<String, String> {
        let http = self.0.to(&trusted.reach).map_err(|error| error.to_string())?;
        let keys = fetch(&http, &trusted.issuer, trusted.jwks_url.as_deref()).await?;
        serde_json::to_string(&keys).map_err(|error| error.to_string())
    }
}
