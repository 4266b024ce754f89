//! Who asks: what is sealed for one principal, or kept for it, is nobody else's.

use vmcp_core::name::Name;
use vmcp_oauth::Verified;

/// Who asks. Told from all others by its number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Principal(u128);

/// Where something is good, and for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) server: &'a Name,
    pub(crate) principal: Principal,
}

impl Principal {
    /// Everybody of whom nothing is asked.
    pub(crate) const ANONYMOUS: Self = Self(0);

    /// One of several.
    #[cfg(test)]
    pub(crate) fn test(number: u128) -> Self {
        Self(number)
    }

    pub(crate) fn of(verified: &Verified) -> Self {
        Self(verified.id())
    }
}

impl Scope<'_> {
    /// What a sealed value is good for: nothing else, nowhere else, for nobody else.
    pub(crate) fn purpose(self, what: &str) -> Vec<u8> {
        let principal = self.principal.0.to_le_bytes();
        [what.as_bytes(), b"\0", self.server.as_str().as_bytes(), b"\0", &principal].concat()
    }
}
