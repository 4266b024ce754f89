//! What goes on for a while is asked about again when something else is served.

use std::fmt;

use crate::plane::Plane;
use crate::refusal::Refusal;

/// The question whether it may go on; the answer is what to say if not.
pub(crate) struct Standing(Box<Ask>);

type Ask = dyn Fn(&Plane) -> Option<Refusal> + Send + Sync;

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Standing")
    }
}

impl Standing {
    pub(crate) fn new(ask: impl Fn(&Plane) -> Option<Refusal> + Send + Sync + 'static) -> Self {
        Self(Box::new(ask))
    }

    pub(super) fn refusal(&self, plane: &Plane) -> Option<Refusal> {
        (self.0)(plane)
    }
}
