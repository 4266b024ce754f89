//! The one function that decides.

use crate::asked::Action;
use crate::principal::Principal;
use crate::refusal::Refusal;

/// The permission to do it; routing takes nothing else. Made here only.
#[derive(Debug)]
pub(super) struct Authorized<'a> {
    principal: Principal,
    action: Action<'a>,
}

/// There are no policies yet: the manifest accepts none, so everything that is offered may be used by whoever may come in.
pub(super) fn authorize(principal: Principal, action: Action<'_>) -> Result<Authorized<'_>, Refusal> {
    Ok(Authorized { principal, action })
}

impl<'a> Authorized<'a> {
    /// What may be done.
    pub(super) fn action(&self) -> &Action<'a> {
        &self.action
    }

    /// Who may.
    pub(super) fn principal(&self) -> Principal {
        self.principal
    }
}
