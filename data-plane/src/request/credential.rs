//! With which credential a backend is called.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::backend::Backend;
use crate::outgoing::NotShown;
use crate::plane::Plane;
use crate::principal::Identity;
use crate::refusal::{Reason, Refusal};
use crate::request::route::Route;

/// What the backend is shown. Made here only.
#[derive(Debug)]
pub(super) struct Credential(Option<(HeaderName, HeaderValue)>);

/// What the backend is to be shown in this caller's name. The caller's own token goes out only where that is said; where nothing else can
/// be had, nothing is called.
pub(super) async fn credential(
    plane: &Plane,
    identity: &Identity,
    route: &Route<'_>,
) -> Result<Credential, Refusal> {
    shown(plane, identity, &route.target.backend).await
}

async fn shown(plane: &Plane, identity: &Identity, backend: &Backend) -> Result<Credential, Refusal> {
    match backend.shown.header(&plane.tokens, identity).await {
        Ok(header) => Ok(Credential(header)),
        Err(NotShown::Refused) => Err(Refusal::backend(Reason::Auth, &backend.id)),
        Err(NotShown::Unavailable) => Err(Refusal::backend(Reason::AuthUnavailable, &backend.id)),
    }
}

impl Credential {
    /// The header, if there is one.
    pub(super) fn header(&self) -> Option<&(HeaderName, HeaderValue)> {
        self.0.as_ref()
    }

    /// Adds what the backend is shown.
    pub(super) fn write_headers(&self, headers: &mut HeaderMap) {
        if let Some((name, value)) = &self.0 {
            headers.insert(name, value.clone());
        }
    }

    /// Another one, where the backend has refused this one and another may be had.
    pub(super) async fn renewed(
        &self,
        plane: &Plane,
        identity: &Identity,
        backend: &Backend,
    ) -> Option<Result<Self, Refusal>> {
        let (_, refused) = self.0.as_ref().filter(|_| backend.shown.is_renewable())?;
        backend.shown.replace(&plane.tokens, identity, refused).await;
        match shown(plane, identity, backend).await {
            // There is no other one for now.
            Ok(Self(Some((_, same)))) if same == refused => None,
            another => Some(another),
        }
    }
}
