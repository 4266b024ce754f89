//! What tools say of themselves.

/// What a tool says of itself (MCP, `ToolAnnotations`); absent where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// It may destroy something.
    pub destructive: Option<bool>,
    /// Calling it twice is like calling it once.
    pub idempotent: Option<bool>,
    /// It reaches beyond what the server knows.
    pub open_world: Option<bool>,
}

impl Hints {
    /// As MCP calls them.
    pub const NAMES: [&str; 4] = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];

    pub(crate) fn all(self) -> [(&'static str, Option<bool>); 4] {
        let [read_only, destructive, idempotent, open_world] = Self::NAMES;
        [
            (read_only, self.read_only),
            (destructive, self.destructive),
            (idempotent, self.idempotent),
            (open_world, self.open_world),
        ]
    }
}
