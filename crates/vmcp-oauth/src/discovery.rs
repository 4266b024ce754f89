//! Where an issuer says that its endpoints are (OpenID Connect Discovery 1.0, section 4; RFC 8414).

use serde::Deserialize;

use crate::reach::Http;

/// The part of a discovery document that matters.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Discovered {
    issuer: String,
    pub(crate) jwks_uri: Option<String>,
    pub(crate) token_endpoint: Option<String>,
}

/// Asks the issuer. A document of another issuer is none.
pub(crate) async fn discover(http: &Http, issuer: &str) -> Result<Discovered, String> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let found = match http.get::<Discovered>(&address, issuer).await {
        Ok(found) => found,
        // An authorization server that knows no OpenID says it elsewhere.
        Err(first) => http.get::<Discovered>(&oauth_address(issuer), issuer).await.map_err(|_| first)?,
    };
    if found.issuer != issuer {
        return Err(format!("the document at {address} is another issuer's"));
    }
    Ok(found)
}

/// With the path behind the well-known one (RFC 8414, section 3).
fn oauth_address(issuer: &str) -> String {
    let issuer = issuer.trim_end_matches('/');
    let authority = issuer.find("://").map_or(0, |at| at + 3);
    let path = issuer[authority..].find('/').map_or(issuer.len(), |at| authority + at);
    format!("{}/.well-known/oauth-authorization-server{}", &issuer[..path], &issuer[path..])
}
