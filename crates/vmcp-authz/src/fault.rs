//! Something wrong in a policy: which, where in its text, why, and what to do.

use miette::Diagnostic;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFault {
    /// Which text of the list; `None`: the entities.
    pub policy: Option<usize>,
    /// Where in that text, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl PolicyFault {
    pub(crate) fn new(policy: usize, offset: usize, message: String) -> Self {
        Self { policy: Some(policy), offset, message, help: None }
    }

    /// What Cedar says.
    pub(crate) fn of(policy: usize, said: &dyn Diagnostic) -> Self {
        let offset = said.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
        let message = lower(&said.to_string());
        Self { help: said.help().map(|help| lower(&help.to_string())), ..Self::new(policy, offset, message) }
    }

    /// The line of that place, counted from 0 within the text.
    pub fn line(&self, text: &str) -> usize {
        let before = text.as_bytes().iter().take(self.offset);
        before.filter(|byte| **byte == b'\n').count()
    }
}

/// Without "for policy `policy0`, ", which says what the place says.
fn lower(text: &str) -> String {
    let rest = text.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, "));
    rest.map_or(text, |(_, rest)| rest).to_owned()
}
