//! Between the eras: what a request lacks for its backend, and what an answer lacks, or has too much of, for its client.
//! What a backend asks of the client does not cross yet; it is refused.

use vmcp_json::{Edits, Object};
use vmcp_mcp::{Era, NO_CAPABILITIES, OURSELVES, Outcome, Request, Response, accepted_meta, code};

use crate::asked::{Ask, Asked, Client};
use crate::backend::Backend;
use crate::refusal::{Reason, Refusal};

/// Which way the eras differ, if they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bridge {
    /// Client and backend are of one era: bytes pass as they are.
    None(Era),
    /// A legacy client calls a modern backend.
    ToModern,
    /// A modern client calls a legacy backend.
    ToLegacy { reads: bool },
}

impl Bridge {
    /// The client's era where the backend has it.
    pub(crate) fn between(asked: &Asked<'_>, backend: &Backend) -> Result<Self, Refusal> {
        match (asked.client, backend.modern, backend.legacy.is_some()) {
            (Client::Modern, true, _) => Ok(Self::None(Era::Modern)),
            (Client::Legacy { .. }, _, true) => Ok(Self::None(Era::Legacy)),
            (Client::Modern, false, true) => Ok(Self::ToLegacy { reads: asked.ask == Ask::ReadResource }),
            (Client::Legacy { .. }, true, false) => Ok(Self::ToModern),
            (_, false, false) => Err(Refusal::backend(Reason::Protocol, &backend.id)),
        }
    }

    /// The era in which the backend is called.
    pub(crate) fn backend_speaks(self) -> Era {
        match self {
            Self::None(era) => era,
            Self::ToModern => Era::Modern,
            Self::ToLegacy { .. } => Era::Legacy,
        }
    }
}

/// Adds what the backend's era demands of every request.
pub(crate) fn write_request(bridge: Bridge, request: &Request<'_>, edits: &mut Edits<'_>) {
    if bridge != Bridge::ToModern {
        return;
    }
    let members = accepted_meta(&OURSELVES, NO_CAPABILITIES);
    let as_object = || {
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    };
    let Some(params) = &request.params else {
        edits.add(&request.object, "params", &[b"{\"_meta\":", &as_object()[..], b"}"].concat());
        return;
    };
    match params.get("_meta").map(|meta| (meta, meta.as_object())) {
        None => edits.add(params, "_meta", &as_object()),
        // `null`, which a message may have there.
        Some((nothing, None)) => edits.replace_with(nothing, as_object()),
        Some((_, Some(meta))) => {
            for (name, value) in members.iter().filter(|(name, _)| meta.member(name).is_none()) {
                edits.add(&meta, name, value.as_bytes());
            }
        }
    }
}

/// What makes a response one of the client's era.
pub(crate) fn read_response(
    bridge: Bridge,
    response: &Response<'_>,
    edits: &mut Edits<'_>,
) -> Result<(), Reason> {
    match (bridge, &response.outcome) {
        (Bridge::None(_), _) => {}
        (Bridge::ToModern, Outcome::Result(result)) => {
            let kind = result.get("resultType").and_then(|kind| kind.as_str());
            if kind.is_some_and(|kind| kind != "complete") {
                return Err(Reason::InputRequired);
            }
            edits.remove(result, |name| matches!(name, "resultType" | "ttlMs" | "cacheScope"));
        }
        (Bridge::ToLegacy { reads }, Outcome::Result(result)) => {
            complete(result, "resultType", b"\"complete\"", edits);
            if reads {
                complete(result, "ttlMs", b"0", edits);
                complete(result, "cacheScope", PRIVATE, edits);
            }
        }
        (Bridge::ToLegacy { .. }, Outcome::Error { code, error })
            if *code == i64::from(code::RESOURCE_NOT_FOUND) =>
        {
            if let Some(code) = error.get("code") {
                edits.replace_with(code, vmcp_mcp::code::INVALID_PARAMS.to_string().into());
            }
        }
        (Bridge::ToModern | Bridge::ToLegacy { .. }, Outcome::Error { .. }) => {}
    }
    Ok(())
}

const PRIVATE: &[u8] = b"\"private\"";

/// What was read for one caller is no other's, whatever the backend says (MCP 2026-07-28, Caching).
pub(crate) fn keep_private(response: &Response<'_>, edits: &mut Edits<'_>) {
    let Outcome::Result(result) = &response.outcome else { return };
    match result.get("cacheScope") {
        Some(scope) if scope.raw().as_bytes() != PRIVATE => edits.replace(scope, PRIVATE),
        _ => {}
    }
}

fn complete(result: &Object<'_>, name: &str, value: &[u8], edits: &mut Edits<'_>) {
    if result.member(name).is_none() {
        edits.add(result, name, value);
    }
}
