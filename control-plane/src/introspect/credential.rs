//! With what a backend is asked and probed: what the virtual servers that present it show it which is ours, and no caller's.

use futures_util::FutureExt;
use http::HeaderName;
use http::header::AUTHORIZATION;
use vmcp_core::backend::BackendId;
use vmcp_core::boundary::{Grant, Incoming, Issuer, Strategy};
use vmcp_core::desired::{Desired, Endpoints, Text};
use vmcp_core::inventory::Inventory;
use vmcp_introspect::{Credential, is_refusal};
use vmcp_mcp::{Exchange, Failure};
use vmcp_oauth::{Tokens, prepare};
use vmcp_runtime::unix_ms;

/// What a backend is asked with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service(Option<Of>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    /// The same header always.
    Header(HeaderName, Text),
    /// A token of our own.
    Token(Box<(Grant, Option<Issuer>)>),
    /// The same, where it is asked for: callers' tokens are exchanged, and whoever does that may have one, too.
    TokenIfRefused(Box<(Grant, Option<Issuer>)>),
}

/// That of the first virtual server, by name, that presents the backend and shows it something which is no caller's.
pub fn service(desired: &Desired, id: &BackendId) -> Service {
    let servers = desired.virtual_servers.values().filter(|server| server.group == id.group);
    let mut shown = servers.filter_map(|server| {
        let issuer = match &server.incoming {
            Incoming::Oidc(issuers) => issuers.first().cloned(),
            Incoming::Anonymous | Incoming::Local => None,
        };
        match server.outgoing.of(&id.name) {
            Strategy::Header(name, text) => Some(Of::Header(name.clone(), text.clone())),
            Strategy::ClientCredentials(grant) => Some(Of::Token(Box::new((Grant::clone(grant), issuer)))),
            Strategy::TokenExchange(exchange) => {
                Some(Of::TokenIfRefused(Box::new((exchange.grant.clone(), issuer))))
            }
            Strategy::Unauthenticated | Strategy::PassThrough => None,
        }
    });
    Service(shown.next())
}

impl Service {
    /// What is shown, each time anew. `was_refused`: it was asked without, and said that it must not be.
    pub(crate) fn credential(&self, tokens: &Tokens, was_refused: bool) -> Credential {
        let Some(of) = &self.0 else { return Credential::nothing() };
        if matches!(of, Of::TokenIfRefused(_)) && !was_refused {
            return Credential::nothing();
        }
        let (of, tokens) = (of.clone(), tokens.clone());
        Credential::by(move || {
            let (of, tokens) = (of.clone(), tokens.clone());
            async move {
                match of {
                    Of::Header(name, text) => prepare::fixed(&text).map(|value| Some((name, value))),
                    Of::Token(grant) => {
                        token(&grant, &tokens).await.map(|value| Some((AUTHORIZATION, value)))
                    }
                    // It has refused to be asked without, and does so again.
                    Of::TokenIfRefused(grant) => {
                        let token = token(&grant, &tokens).await;
                        let token = token.inspect_err(|why| {
                            tracing::warn!(
                                why,
                                "there is no token of ours for a backend, which is asked without"
                            )
                        });
                        Ok(token.ok().map(|value| (AUTHORIZATION, value)))
                    }
                }
            }
            .boxed()
        })
    }

    /// A backend has refused what it was shown: the next time it is another one, if that is a token.
    pub(crate) async fn renew(&self, tokens: &Tokens) {
        if let Some(Of::Token(grant) | Of::TokenIfRefused(grant)) = &self.0
            && let Ok(grant) = prepare::grant(&grant.0, grant.1.as_ref())
        {
            tokens.renew_own(&grant, None, unix_ms() / 1_000).await;
        }
    }
}

async fn token(
    (grant, issuer): &(Grant, Option<Issuer>),
    tokens: &Tokens,
) -> Result<http::HeaderValue, String> {
    let grant = prepare::grant(grant, issuer.as_ref())?;
    let issued = tokens.own(&grant, unix_ms() / 1_000).await.map_err(|error| error.to_string())?;
    prepare::sensitive(&issued.to_header()).ok_or_else(|| "a token cannot stand in a header".to_owned())
}

/// A backend's inventory, asked for once, with what it is shown.
///
/// # Errors
/// The backend cannot be reached, or speaks no version that we do.
pub async fn inventory(
    exchange: &Exchange,
    endpoints: &Endpoints,
    service: &Service,
) -> Result<Inventory, Failure> {
    let tokens = Tokens::default();
    let first = service.credential(&tokens, false);
    match vmcp_introspect::inventory(exchange, endpoints, first).await {
        Err(failure) if is_refusal(&failure) => {
            let second = service.credential(&tokens, true);
            vmcp_introspect::inventory(exchange, endpoints, second).await
        }
        asked => asked,
    }
}
