//! Requests that take several rounds: a backend's `requestState` travels through the client sealed, so that it comes back unaltered, to
//! the backend that made it, with the request that it was made for, and before long (MCP 2026-07-28, Multi Round-Trip Requests).

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use vmcp_core::backend::BackendId;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_json::{Object, Value};
use vmcp_mcp::Message;

use crate::principal::{Principal, Scope};
use crate::session::Sessions;

/// What a state is good for: one request of one principal to one backend.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) server: Name,
    pub(crate) principal: Principal,
    pub(crate) backend: BackendId,
    /// The request as the client wrote it.
    pub(crate) body: Bytes,
}

impl Round {
    /// The state as the client is to keep it. `None`: there is no randomness.
    pub(crate) fn seal(&self, sessions: &Sessions, state: &str) -> Option<String> {
        sessions.seal_state(&self.purpose()?, state).ok()
    }

    /// The state as the backend made it. `None`: it made none such for this request, or long ago.
    pub(crate) fn open(&self, sessions: &Sessions, sealed: &str) -> Option<String> {
        sessions.open_state(&self.purpose()?, sealed).ok()
    }

    /// The tool that is called.
    pub(crate) fn tool(&self) -> Option<String> {
        self.text("name")
    }

    /// The id of the task that the request is about, as the client knows it.
    pub(crate) fn task_id(&self) -> Option<String> {
        self.text("taskId")
    }

    fn text(&self, member: &str) -> Option<String> {
        let Ok(Message::Request(request)) = Message::parse(&self.body, &limits::REQUEST) else { return None };
        Some(request.params?.get(member)?.as_str()?.into_owned())
    }

    fn purpose(&self) -> Option<Vec<u8>> {
        let Ok(Message::Request(request)) = Message::parse(&self.body, &limits::REQUEST) else { return None };
        let params = request.params.as_ref();
        let written = |name: &str| {
            let value = params.and_then(|params: &Object<'_>| params.get(name));
            digest(&SHA256, &value.map(without_white_space).unwrap_or_default())
        };
        let parts = ["name", "uri", "arguments"].map(written);
        let scope = Scope { server: &self.server, principal: self.principal };
        let mut purpose = scope.purpose(&format!("state\0{}\0{}\0", self.backend, request.method));
        parts.iter().for_each(|part| purpose.extend_from_slice(part.as_ref()));
        Some(purpose)
    }
}

/// A client writes the same value again, perhaps with other spaces between its parts.
fn without_white_space(value: Value<'_>) -> Vec<u8> {
    let (mut is_text, mut is_escaped) = (false, false);
    let keep = |byte: &u8| {
        let was_text = is_text;
        if *byte == b'"' && !is_escaped {
            is_text = !is_text;
        }
        is_escaped = is_text && *byte == b'\\' && !is_escaped;
        was_text || !byte.is_ascii_whitespace()
    };
    value.raw().bytes().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::SessionKeys;

    fn round(body: &str) -> Round {
        Round {
            server: "all".parse().unwrap(),
            principal: Principal::ANONYMOUS,
            backend: BackendId { group: "g".parse().unwrap(), name: "b".parse().unwrap() },
            body: body.to_owned().into(),
        }
    }

    fn call(name: &str, arguments: &str, more: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}{more}}}}}"#
        )
    }

    #[test]
    fn a_state_is_good_for_the_request_that_it_was_made_for() {
        let sessions = Sessions::new(SessionKeys::own().unwrap());
        let first = round(&call("x", r#"{"a":"b c\" d"}"#, ""));
        let sealed = first.seal(&sessions, "round one").unwrap();
        let again = round(
            &call("x", r#"{ "a" : "b c\" d" }"#, r#","inputResponses":{}"#).replace("\"id\":1", "\"id\":2"),
        );
        assert_eq!(again.open(&sessions, &sealed).as_deref(), Some("round one"));
        let others =
            [call("y", r#"{"a":"b c\" d"}"#, ""), call("x", r#"{"a":"b c\"  d"}"#, ""), call("x", "{}", "")];
        for other in others {
            assert_eq!(round(&other).open(&sessions, &sealed), None, "{other}");
        }
        let elsewhere =
            Round { backend: BackendId { group: "g".parse().unwrap(), name: "c".parse().unwrap() }, ..first };
        assert_eq!(elsewhere.open(&sessions, &sealed), None);
        assert_eq!(elsewhere.open(&sessions, "round one"), None);
    }
}
