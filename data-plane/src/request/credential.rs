//! With which credential a backend is called. Backends are `unauthenticated` so far: the manifest accepts nothing else.

use http::HeaderMap;

use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::request::route::Route;

/// What the backend is shown. Made here only.
#[derive(Debug)]
pub(super) struct Credential(());

/// Nothing is shown, and nothing of the incoming token goes out.
pub(super) fn credential(_principal: Principal, _route: &Route<'_>) -> Result<Credential, Refusal> {
    Ok(Credential(()))
}

impl Credential {
    /// Adds what the backend is shown.
    pub(super) fn write_headers(&self, _headers: &mut HeaderMap) {}
}
