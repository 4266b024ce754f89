//! Something wrong in a policy: which, where in its text, why, and what to do.

use miette::Diagnostic;
use vmcp_core::sentence::nearest;

use crate::vocabulary::{BACKEND, CLIENT, GROUP};

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

    /// What Cedar says. Of what it suggests, what is nowhere near is left out: it does not know what people mean by other names.
    pub(crate) fn of(policy: usize, said: &dyn Diagnostic) -> Self {
        let offset = said.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
        let message = lower(&said.to_string());
        let help = said.help().map(|help| lower(&help.to_string()));
        Self { help: better(&message, help), ..Self::new(policy, offset, message) }
    }

    /// The line of that place, counted from 0 within the text.
    pub fn line(&self, text: &str) -> usize {
        let before = text.as_bytes().iter().take(self.offset);
        before.filter(|byte| **byte == b'\n').count()
    }
}

/// What to write in place of a name that is none here.
fn better(message: &str, help: Option<String>) -> Option<String> {
    let quoted = |text: &str| Some(text.split('`').nth(1)?.to_owned());
    let (Some(name), Some(suggested)) = (quoted(message), help.as_deref().and_then(quoted)) else {
        return help;
    };
    let is_suggestion = help.as_deref().is_some_and(|help| help.starts_with("did you mean"));
    if !is_suggestion || nearest(&name, [suggested.as_str()]).is_some() {
        return help;
    }
    let is_about = |what: &str| message.contains(what);
    Some(match () {
        () if is_about("unrecognized entity type") => format!(
            "callers are `{CLIENT}`s, their groups and roles `{GROUP}`s, or what `group_entity_type` says; what they use are `Tool`s, `Prompt`s and `Resource`s of a `{BACKEND}`"
        ),
        () if is_about("in context") || is_about(CLIENT) => format!(
            "claims are `claim_<name>`, of the principal and in the context, and arguments of a call `arg_<name>` in the context; groups are asked for with `principal in {GROUP}::\"…\"`"
        ),
        () => return help,
    })
}

/// Without "for policy `policy0`, ", which says what the place says.
fn lower(text: &str) -> String {
    let rest = text.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, "));
    rest.map_or(text, |(_, rest)| rest).to_owned()
}
