//! Who asks.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use vmcp_core::boundary::Incoming;
use vmcp_oauth::{Bearer, Denied};
use vmcp_runtime::unix_ms;

use crate::challenge::{self, Address};
use crate::plane::Plane;
use crate::principal::Identity;
use crate::refusal::Refusal;
use crate::snapshot::Server;

/// Who may not come in, and who that is, if that much is known.
#[derive(Debug)]
pub(super) struct TurnedAway {
    pub(super) refusal: Refusal,
    /// In a word for operators; it is not said to whoever asks.
    pub(super) why: &'static str,
    pub(super) who: Option<Box<Identity>>,
}

/// Looked at before anything else of a request is. Where nothing is asked of callers, a token that comes along is neither read nor
/// passed on.
pub(super) async fn authenticate(
    plane: &Plane,
    server: &Server,
    path: &str,
    headers: &HeaderMap,
) -> Result<Identity, TurnedAway> {
    let issuers = match &server.incoming {
        Incoming::Anonymous => return Ok(Identity::anonymous()),
        Incoming::Local => return Ok(Identity::local()),
        Incoming::Oidc(issuers) => issuers,
    };
    let asked = Address { scheme: plane.scheme, path, headers };
    let refused = |error: Option<&str>, why| TurnedAway {
        refusal: Refusal::unauthenticated(&challenge::of(server, asked, error)),
        why,
        who: None,
    };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
    let token = value.and_then(bearer).ok_or_else(|| refused(None, "no_token"))?;
    let bearer = Bearer::new(token);
    match plane.verifier.verify(&bearer, &server.trusted, unix_ms() / 1_000).await {
        Ok(verified) => {
            let required = issuers.iter().find(|issuer| issuer.issuer == verified.issuer);
            match required.filter(|issuer| verified.lacks_any(&issuer.required_scopes)) {
                Some(issuer) => {
                    let challenge = challenge::of_scopes(server, asked, &issuer.required_scopes);
                    let refusal = Refusal::insufficient_scope(&challenge);
                    Err(TurnedAway {
                        refusal,
                        why: "insufficient_scope",
                        who: Some(Box::new(Identity::of(verified, bearer))),
                    })
                }
                None => Ok(Identity::of(verified, bearer)),
            }
        }
        Err(Denied::Invalid(why)) => Err(refused(Some("invalid_token"), why.as_str())),
        Err(Denied::Unavailable) => {
            Err(TurnedAway { refusal: Refusal::issuer_unavailable(), why: "issuer_unavailable", who: None })
        }
    }
}

/// What is exchanged has ended by the clock of whoever exchanges it: another token mends that.
pub(super) fn ended(plane: &Plane, server: &Server, path: &str, headers: &HeaderMap) -> Refusal {
    let asked = Address { scheme: plane.scheme, path, headers };
    Refusal::unauthenticated(&challenge::of(server, asked, Some("invalid_token")))
}

/// RFC 6750, section 2.1.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
