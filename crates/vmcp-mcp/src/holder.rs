//! In whose name a session with a legacy backend is begun, and what somebody answers who is nobody.

use crate::compose::{error, result};
use crate::message::Request;
use crate::{code, method};

/// In whose name a session is begun, with what may be asked there (JSON).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// What is about no request is for it alone.
    One(&'a str),
    /// What is about no request is for none of them.
    Several(&'a str),
    /// For us, who want to see all that is offered: everything may be asked, and nobody is there who says yes.
    Nobody,
}

const EVERYTHING: &str = r#"{"roots":{"listChanged":true},"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}},"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}"#;

/// What a backend hears that asks something where nobody is.
pub(crate) fn answer_for_nobody(asked: &Request<'_>) -> Vec<u8> {
    let id = asked.id.raw();
    match asked.method.as_ref() {
        method::PING => result(id, b"{}"),
        method::LIST_ROOTS => result(id, br#"{"roots":[]}"#),
        method::ELICIT => result(id, br#"{"action":"decline"}"#),
        method::SAMPLE => {
            error(Some(id), code::USER_REJECTED, "Nobody is there who could be asked", None).into()
        }
        _ => error(Some(id), code::METHOD_NOT_FOUND, "Method not found", None).into(),
    }
}

impl<'a> Holder<'a> {
    pub(crate) fn capabilities(self) -> &'a str {
        match self {
            Self::One(capabilities) | Self::Several(capabilities) => capabilities,
            Self::Nobody => EVERYTHING,
        }
    }
}
