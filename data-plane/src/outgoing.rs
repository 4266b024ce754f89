//! What backends are shown, as their virtual server says: prepared once with the secrets that it refers to, asked for call by call.

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use vmcp_core::backend::BackendId;
use vmcp_core::boundary::{self, Incoming, Proof, Strategy, TokenExchange};
use vmcp_core::desired::{Found, Text};
use vmcp_introspect::is_refusal;
use vmcp_mcp::Failure;
use vmcp_oauth::{Grant, NoToken, Tokens, Trusted, hash, prepare};
use vmcp_runtime::unix_ms;

use crate::principal::{Identity, Token};

/// What a backend is shown.
#[derive(Debug)]
pub(crate) enum Shown {
    Nothing,
    /// The caller's own token.
    PassedOn,
    /// A token that the caller's is exchanged for, by the caller's issuer.
    Exchanged {
        grants: Vec<(String, Grant)>,
        kind: &'static str,
    },
    /// A token of our own.
    Own(Box<Grant>),
    /// Always the same.
    Fixed(HeaderName, HeaderValue),
    /// Something that it needs cannot be found, so the backend is not called.
    Missing,
}

/// Why a backend cannot be shown what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotShown {
    /// This caller gets nothing that it could be shown.
    Refused,
    /// Nobody does now.
    Unavailable,
}

impl Shown {
    /// Prepares a strategy, and says whether something stands in a file, or is missing, so that it is to be looked for again.
    pub(crate) fn prepare(strategy: &Strategy, incoming: &Incoming, backend: &BackendId) -> (Self, bool) {
        let prepared = match strategy {
            Strategy::Unauthenticated => Ok(Self::Nothing),
            Strategy::PassThrough => Ok(Self::PassedOn),
            Strategy::TokenExchange(exchange) => exchanged(exchange, incoming),
            Strategy::ClientCredentials(grant) => own(grant, incoming),
            Strategy::Header(name, text) => {
                prepare::fixed(text).map(|value| Self::Fixed(name.clone(), value))
            }
        };
        match prepared {
            Ok(shown) => (shown, has_files(strategy, incoming)),
            Err(why) => {
                tracing::error!(%backend, why, "what a backend is to be shown cannot be found, so it is not called");
                (Self::Missing, true)
            }
        }
    }

    /// Tells what is shown from all else that may be.
    pub(crate) fn mark(&self) -> [u8; 32] {
        match self {
            Self::Nothing => hash(&[b"nothing"]),
            Self::PassedOn => hash(&[b"passed on"]),
            Self::Missing => hash(&[b"missing"]),
            Self::Own(grant) => hash(&[b"own", &grant.mark()]),
            Self::Fixed(name, value) => hash(&[b"fixed", name.as_str().as_bytes(), value.as_bytes()]),
            Self::Exchanged { grants, kind } => {
                let each = grants.iter().map(|(issuer, grant)| hash(&[issuer.as_bytes(), &grant.mark()]));
                let each: Vec<[u8; 32]> = each.collect();
                hash(&[b"exchanged", kind.as_bytes(), each.as_flattened()])
            }
        }
    }

    /// Whether it is another one for each caller.
    pub(crate) fn is_of_caller(&self) -> bool {
        matches!(self, Self::PassedOn | Self::Exchanged { .. })
    }

    /// The header for a call in this caller's name.
    pub(crate) async fn header(
        &self,
        tokens: &Tokens,
        identity: &Identity,
    ) -> Result<Option<(HeaderName, HeaderValue)>, NotShown> {
        let now = unix_ms() / 1_000;
        let issued = match self {
            Self::Nothing => return Ok(None),
            Self::Fixed(name, value) => return Ok(Some((name.clone(), value.clone()))),
            Self::Missing => return Err(NotShown::Unavailable),
            Self::PassedOn => {
                let token = identity.token.as_ref().ok_or(NotShown::Refused)?;
                return Ok(Some((AUTHORIZATION, sensitive(&token.bearer.pass_on())?)));
            }
            Self::Exchanged { grants, kind } => {
                let (grant, token) = grant_for(grants, identity).ok_or(NotShown::Refused)?;
                tokens.exchanged(grant, kind, (&token.verified, &token.bearer), now).await
            }
            Self::Own(grant) => tokens.own(grant, now).await,
        };
        match issued {
            Ok(issued) => Ok(Some((AUTHORIZATION, sensitive(&issued.to_header())?))),
            Err(NoToken::Refused(_)) => Err(NotShown::Refused),
            Err(NoToken::Unavailable(why)) => {
                tracing::warn!(why, "there is no token for a backend");
                Err(NotShown::Unavailable)
            }
        }
    }

    /// Whether another one may be had where a backend has refused this one.
    pub(crate) fn is_renewable(&self) -> bool {
        matches!(self, Self::Exchanged { .. } | Self::Own(_))
    }

    /// Whether it may be another one before long.
    pub(crate) fn may_be_another(&self) -> bool {
        self.is_renewable() || self.is_of_caller()
    }

    /// A backend has failed to do what it was asked for: what it was shown is replaced if that is why, and another one may be had. Whether so.
    pub(crate) async fn replace_refused(
        &self,
        (tokens, identity): (&Tokens, &Identity),
        header: Option<&(HeaderName, HeaderValue)>,
        failure: &Failure,
    ) -> bool {
        let Some((_, refused)) = header.filter(|_| self.is_renewable() && is_refusal(failure)) else {
            return false;
        };
        self.replace(tokens, identity, refused).await;
        true
    }

    /// A backend has refused what it was shown.
    pub(crate) async fn replace(&self, tokens: &Tokens, identity: &Identity, refused: &HeaderValue) {
        let Ok(refused) = refused.to_str() else { return };
        let now = unix_ms() / 1_000;
        match self {
            Self::Exchanged { grants, kind } => {
                if let Some((grant, token)) = grant_for(grants, identity) {
                    let whose = (&*token.verified, &token.bearer);
                    tokens.renew_exchanged(grant, kind, whose, (refused, now)).await;
                }
            }
            Self::Own(grant) => tokens.renew_own(grant, Some(refused), now).await,
            Self::Nothing | Self::PassedOn | Self::Fixed(..) | Self::Missing => {}
        }
    }
}

/// Whose tokens are taken, prepared; those of whom something cannot be found are left out, and nobody comes in by them.
pub(crate) fn trusted(incoming: &Incoming) -> (Vec<Trusted>, bool) {
    let Incoming::Oidc(issuers) = incoming else { return (Vec::new(), false) };
    let (mut all, mut is_read_again) = (Vec::new(), false);
    for issuer in issuers {
        match prepare::trusted(issuer) {
            Ok(trusted) => {
                is_read_again |= issuer.reach.ca_bundle.is_some() || trusted.introspection.is_some();
                all.push(trusted);
            }
            Err(why) => {
                is_read_again = true;
                let issuer = &issuer.issuer;
                tracing::error!(
                    issuer,
                    why,
                    "what an issuer is asked with cannot be found, so nobody comes in by it"
                );
            }
        }
    }
    (all, is_read_again)
}

fn exchanged(exchange: &TokenExchange, incoming: &Incoming) -> Result<Shown, String> {
    let Incoming::Oidc(issuers) = incoming else { return Err("callers bring no tokens".to_owned()) };
    let mut grants = Vec::with_capacity(issuers.len());
    for issuer in issuers {
        // An issuer that does not know us exchanges nothing for us.
        if exchange.grant.client.is_some() || issuer.client.is_some() {
            grants.push((issuer.issuer.clone(), prepare::grant(&exchange.grant, Some(issuer))?));
        }
    }
    Ok(Shown::Exchanged { grants, kind: exchange.subject_token_type.urn() })
}

fn own(wanted: &boundary::Grant, incoming: &Incoming) -> Result<Shown, String> {
    let issuer = match incoming {
        Incoming::Oidc(issuers) => issuers.first(),
        Incoming::Anonymous | Incoming::Local => None,
    };
    Ok(Shown::Own(Box::new(prepare::grant(wanted, issuer)?)))
}

fn sensitive(text: &str) -> Result<HeaderValue, NotShown> {
    prepare::sensitive(text).ok_or(NotShown::Refused)
}

fn grant_for<'g>(grants: &'g [(String, Grant)], identity: &'g Identity) -> Option<(&'g Grant, &'g Token)> {
    let token = identity.token.as_ref()?;
    let (_, grant) = grants.iter().find(|(issuer, _)| *issuer == token.verified.issuer)?;
    Some((grant, token))
}

fn has_files(strategy: &Strategy, incoming: &Incoming) -> bool {
    let is_file = |found: &Found| matches!(found, Found::File(_));
    let of_client = |client: Option<&boundary::Client>| {
        client.is_some_and(|client| match &client.proof {
            Proof::None => false,
            Proof::Basic(found) | Proof::Post(found) | Proof::PrivateKey { key: found, .. } => is_file(found),
        })
    };
    let issuers = match incoming {
        Incoming::Oidc(issuers) => issuers.as_slice(),
        Incoming::Anonymous | Incoming::Local => &[],
    };
    let of_grant = |grant: &boundary::Grant| {
        let of_issuer =
            |issuer: &boundary::Issuer| of_client(issuer.client.as_ref()) || issuer.reach.ca_bundle.is_some();
        of_client(grant.client.as_ref()) || grant.reach.ca_bundle.is_some() || issuers.iter().any(of_issuer)
    };
    match strategy {
        Strategy::Unauthenticated | Strategy::PassThrough => false,
        Strategy::TokenExchange(exchange) => of_grant(&exchange.grant),
        Strategy::ClientCredentials(grant) => of_grant(grant),
        Strategy::Header(_, text) => matches!(text, Text::Secret { found, .. } if is_file(found)),
    }
}
