//! Who asks.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use vmcp_core::desired::Incoming;
use vmcp_oauth::{Denied, Expected};
use vmcp_runtime::unix_ms;

use crate::challenge;
use crate::plane::Plane;
use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::snapshot::Server;

/// Looked at before anything else of a request is. Where nothing is asked of callers, a token that comes along is neither read nor
/// passed on.
pub(super) async fn authenticate(
    plane: &Plane,
    server: &Server,
    path: &str,
    headers: &HeaderMap,
) -> Result<Principal, Refusal> {
    let Incoming::Oidc(oidc) = &server.incoming else { return Ok(Principal::ANONYMOUS) };
    let refused =
        |error: Option<&str>| Refusal::unauthenticated(&challenge::of(server, path, headers, error));
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
    let token = value.and_then(bearer).ok_or_else(|| refused(None))?;
    let expected = Expected { issuer: &oidc.issuer, audience: &oidc.audience };
    match plane.verifier.verify(token, expected, unix_ms() / 1_000).await {
        Ok(verified) => Ok(Principal::of(&verified)),
        Err(Denied::Invalid) => Err(refused(Some("invalid_token"))),
        Err(Denied::Unavailable) => Err(Refusal::issuer_unavailable()),
    }
}

/// RFC 6750, section 2.1.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
