//! The one function that decides.

use crate::asked::Action;
use crate::refusal::Refusal;
use crate::request::authenticate::Principal;

/// The permission to do it; routing takes nothing else. Made here only.
#[derive(Debug)]
pub(super) struct Authorized<'a>(Action<'a>);

/// There are no policies yet: the manifest accepts none, so everything that is offered may be used.
pub(super) fn authorize<'a>(_principal: &Principal, action: Action<'a>) -> Result<Authorized<'a>, Refusal> {
    Ok(Authorized(action))
}

impl<'a> Authorized<'a> {
    /// What may be done.
    pub(super) fn action(&self) -> &Action<'a> {
        &self.0
    }
}
