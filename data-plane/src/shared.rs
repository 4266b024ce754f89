//! Calls in backend sessions that several clients share. There a call has an id and a progress token of ours, since two clients may use
//! the same ones (MCP 2025-11-25, Base Protocol, Requests; Progress).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use moka::sync::Cache;
use vmcp_core::limits;
use vmcp_json::{Edits, Object};
use vmcp_mcp::{Notification, Request};

use crate::backend::Opened;
use crate::session::Session;

/// Those that are under way. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SharedCalls {
    under_way: Cache<Key, (u64, Weak<Opened>)>,
    last: Arc<AtomicU64>,
}

/// Whose call it is, and the id that it has there.
type Key = (u128, Box<str>);

/// One of them, known until it is dropped.
#[derive(Debug)]
pub(crate) struct SharedCall {
    calls: SharedCalls,
    key: Option<Key>,
    number: u64,
    /// As the backend knows it: JSON.
    pub(crate) id: String,
    /// As the client wrote it.
    progress_token: Option<String>,
}

impl SharedCalls {
    pub(crate) fn new() -> Self {
        let under_way = Cache::builder().max_capacity(limits::BACKEND_SESSIONS).build();
        Self { under_way, last: Arc::default() }
    }

    /// A client's request that goes out in such a session.
    pub(crate) fn begin(&self, client: Option<&Session>, request: &Request<'_>) -> SharedCall {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let token = meta(request).and_then(|meta| meta.get("progressToken"));
        SharedCall {
            calls: self.clone(),
            key: client.map(|client| (client.id, request.id.raw().into())),
            number,
            id: number.to_string(),
            progress_token: token.map(|token| token.raw().to_owned()),
        }
    }

    /// A client gives up one of its requests: where that runs, and what is said there. `None`: it runs in no such session.
    pub(crate) fn cancelled(
        &self,
        client: &Session,
        told: &Notification<'_>,
        body: &[u8],
    ) -> Option<(Arc<Opened>, Bytes)> {
        let id = told.params.as_ref()?.get("requestId")?;
        let (number, opened) = self.under_way.get(&(client.id, id.raw().into()))?;
        let mut edits = Edits::new();
        edits.replace_with(id, number.to_string().into_bytes());
        Some((opened.upgrade()?, edits.apply(body).into()))
    }
}

impl SharedCall {
    /// Under our own id and token.
    pub(crate) fn write_request<'a>(&'a self, request: &Request<'a>, edits: &mut Edits<'a>) {
        edits.replace(request.id.value(), self.id.as_bytes());
        if let Some(token) = meta(request).and_then(|meta| meta.get("progressToken")) {
            edits.replace(token, self.id.as_bytes());
        }
    }

    /// It goes out in this session, where it can be cancelled from now on.
    pub(crate) fn goes_out(&self, opened: &Arc<Opened>) {
        if let Some(key) = &self.key {
            self.calls.under_way.insert(key.clone(), (self.number, Arc::downgrade(opened)));
        }
    }

    /// Progress as the client is to hear it. `None`: it is that of another call, or nobody wants to hear it.
    pub(crate) fn read_progress(&self, told: &Notification<'_>, body: &[u8]) -> Option<Bytes> {
        let token = told.params.as_ref()?.get("progressToken")?;
        let ours = self.progress_token.as_ref().filter(|_| token.raw() == self.id)?;
        let mut edits = Edits::new();
        edits.replace(token, ours.as_bytes());
        Some(edits.apply(body).into())
    }
}

impl Drop for SharedCall {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            // The client may have begun another one under the same id.
            let is_this = self.calls.under_way.get(key).is_some_and(|(number, _)| number == self.number);
            if is_this {
                self.calls.under_way.invalidate(key);
            }
        }
    }
}

fn meta<'a>(request: &Request<'a>) -> Option<Object<'a>> {
    request.params.as_ref()?.get("_meta")?.as_object()
}

#[cfg(test)]
mod tests {
    use vmcp_mcp::Message;

    use super::*;

    #[test]
    fn two_clients_with_one_id_and_token_are_two_calls() {
        const CALL: &str = r#"{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"x","_meta":{"progressToken":7}}}"#;
        let Ok(Message::Request(request)) = Message::parse(CALL.as_bytes(), &limits::REQUEST) else {
            panic!()
        };
        let calls = SharedCalls::new();
        let all = [calls.begin(None, &request), calls.begin(None, &request)];
        for (call, number) in all.iter().zip(["1", "2"]) {
            let mut edits = Edits::new();
            call.write_request(&request, &mut edits);
            let sent = String::from_utf8(edits.apply(CALL.as_bytes())).unwrap();
            let expected = CALL.replace("\"id\":\"1\"", &format!("\"id\":{number}"));
            assert_eq!(sent, expected.replace("Token\":7", &format!("Token\":{number}")));
        }
        let progress = |token: &str| {
            let body = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
            );
            let Ok(Message::Notification(told)) = Message::parse(body.as_bytes(), &limits::REQUEST) else {
                panic!()
            };
            let heard = all[1].read_progress(&told, body.as_bytes())?;
            Some(String::from_utf8(heard.to_vec()).unwrap().contains("\"progressToken\":7,"))
        };
        assert_eq!([progress("2"), progress("1"), progress("7")], [Some(true), None, None]);
    }
}
