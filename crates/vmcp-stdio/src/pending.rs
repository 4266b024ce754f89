//! Requests under way in one child. Many callers share it, so ids and progress tokens towards it are ours; each answer
//! goes back to its caller under the caller's own.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::mpsc;
use vmcp_core::limits;
use vmcp_json::{Edits, Object, Value};
use vmcp_mcp::{Message, Request, method};

/// Who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    last: u64,
    waiting: HashMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    id: String,
    progress_token: Option<String>,
    /// It waits for what the child says by itself.
    is_listening: bool,
    caller: mpsc::Sender<ToCaller>,
}

/// What a caller gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ToCaller {
    /// About its request.
    Notification(Bytes),
    /// The end of it.
    Response(Bytes),
}

/// What a message of the child asks of us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FromChild {
    /// Nothing more.
    Done,
    /// An answer to `ping`; the id is JSON.
    Pong(String),
    /// A "no" to something that nobody has declared; the id is JSON.
    Decline(String),
}

/// A child has as much to do as it can have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Pending {
    /// Takes a request in: our id for it, and the message under that id.
    pub(crate) fn begin(
        &mut self,
        request: &Request<'_>,
        body: &[u8],
        caller: mpsc::Sender<ToCaller>,
    ) -> Result<(u64, Vec<u8>), Full> {
        if self.waiting.len() >= limits::CHILD_REQUESTS {
            return Err(Full);
        }
        self.last += 1;
        let ours = self.last.to_string();
        let mut edits = Edits::new();
        edits.replace(request.id.value(), ours.as_bytes());
        let token = progress_token(request.params.as_ref());
        if let Some(token) = token {
            edits.replace(token, ours.as_bytes());
        }
        let progress_token = token.map(|token| token.raw().to_owned());
        let message = edits.apply(body);
        let (id, is_listening) = (request.id.raw().to_owned(), request.method == method::LISTEN);
        self.waiting.insert(self.last, Waiting { id, progress_token, is_listening, caller });
        Ok((self.last, message))
    }

    /// Takes in somebody who asks nothing and wants to hear what the child says by itself.
    pub(crate) fn listen(&mut self, caller: mpsc::Sender<ToCaller>) -> Result<u64, Full> {
        if self.waiting.len() >= limits::CHILD_REQUESTS {
            return Err(Full);
        }
        self.last += 1;
        // No child knows this id, so it cannot answer it.
        let listening = Waiting { id: String::new(), progress_token: None, is_listening: true, caller };
        self.waiting.insert(self.last, listening);
        Ok(self.last)
    }

    /// The caller has gone; says whether it was still waiting.
    pub(crate) fn forget(&mut self, id: u64) -> bool {
        self.waiting.remove(&id).is_some()
    }

    /// The child is gone; so are all who wait for it.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Takes in one line of the child. What belongs to nobody is dropped.
    pub(crate) fn take(&mut self, line: &Bytes) -> FromChild {
        match Message::parse(line, &limits::CHILD_LINE) {
            Ok(Message::Response(response)) => {
                let Some(id) = response.id else { return FromChild::Done };
                let waiting = id.raw().parse().ok().and_then(|ours: u64| self.waiting.remove(&ours));
                if let Some(waiting) = waiting {
                    let mut edits = Edits::new();
                    edits.replace(id.value(), waiting.id.as_bytes());
                    // The last place of the queue is kept free for it, and a caller that has gone wants nothing.
                    let _ = waiting.caller.try_send(ToCaller::Response(edits.apply(line).into()));
                }
                FromChild::Done
            }
            Ok(Message::Notification(notification)) => {
                match (notification.method.as_ref(), &notification.params) {
                    (method::PROGRESS, Some(params)) => self.progress(params, line),
                    (
                        method::TOOLS_CHANGED
                        | method::RESOURCES_CHANGED
                        | method::PROMPTS_CHANGED
                        | method::ACKNOWLEDGED,
                        _,
                    ) => self.tell_listeners(line),
                    _ => {}
                }
                FromChild::Done
            }
            Ok(Message::Request(request)) if request.method == method::PING => {
                FromChild::Pong(request.id.raw().to_owned())
            }
            Ok(Message::Request(request)) => FromChild::Decline(request.id.raw().to_owned()),
            Err(rejected) => {
                tracing::warn!(error = %rejected.why, "a stdio child has written something that is not a message");
                // Its caller need not wait for anything better.
                let ours = rejected.id.and_then(|id| id.raw().parse().ok());
                self.waiting.retain(|id, _| Some(*id) != ours);
                FromChild::Done
            }
        }
    }

    /// Those who read too slowly have enough to look at.
    fn tell_listeners(&self, line: &Bytes) {
        for listening in self.waiting.values().filter(|waiting| waiting.is_listening) {
            if listening.caller.capacity() > 1 {
                let _ = listening.caller.try_send(ToCaller::Notification(line.clone()));
            }
        }
    }

    fn progress(&self, params: &Object<'_>, line: &Bytes) {
        let Some(token) = params.get("progressToken") else { return };
        let waiting = token.raw().parse().ok().and_then(|ours: u64| self.waiting.get(&ours));
        let Some(waiting) = waiting else { return };
        let Some(theirs) = &waiting.progress_token else { return };
        if waiting.caller.capacity() > 1 {
            let mut edits = Edits::new();
            edits.replace(token, theirs.as_bytes());
            // A caller that has gone wants nothing.
            let _ = waiting.caller.try_send(ToCaller::Notification(edits.apply(line).into()));
        }
    }
}

fn progress_token<'a>(params: Option<&Object<'a>>) -> Option<Value<'a>> {
    params?.get("_meta")?.as_object()?.get("progressToken")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(pending: &mut Pending, body: &str) -> (String, mpsc::Receiver<ToCaller>) {
        let Ok(Message::Request(request)) = Message::parse(body.as_bytes(), &limits::CHILD_LINE) else {
            panic!("{body}")
        };
        let (caller, receiver) = mpsc::channel(3);
        let (_, message) = pending.begin(&request, body.as_bytes(), caller).unwrap();
        (String::from_utf8(message).unwrap(), receiver)
    }

    fn take(pending: &mut Pending, line: &str) -> FromChild {
        pending.take(&Bytes::copy_from_slice(line.as_bytes()))
    }

    #[test]
    fn callers_with_the_same_ids_and_tokens_get_their_own() {
        let mut pending = Pending::default();
        let body =
            r#"{"jsonrpc":"2.0","id":"a","method":"m","params":{"_meta":{"progressToken":7},"n":1.10}}"#;
        let (first, mut to_first) = begin(&mut pending, body);
        let (second, mut to_second) = begin(&mut pending, body);
        assert_eq!(first, body.replace("\"a\"", "1").replace(":7}", ":1}"));
        assert_eq!(second, body.replace("\"a\"", "2").replace(":7}", ":2}"));

        let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1}}"#;
        take(&mut pending, progress);
        take(&mut pending, r#"{"jsonrpc":"2.0","id":2,"result":{"x":2}}"#);
        take(&mut pending, r#"{"jsonrpc":"2.0","id":1,"result":{"x":1}}"#);
        let text = |message: &str| Bytes::copy_from_slice(message.as_bytes());
        let expected = ToCaller::Notification(text(&progress.replace(":2,", ":7,")));
        assert_eq!(to_second.try_recv(), Ok(expected));
        assert_eq!(
            to_second.try_recv(),
            Ok(ToCaller::Response(text(r#"{"jsonrpc":"2.0","id":"a","result":{"x":2}}"#)))
        );
        assert_eq!(
            to_first.try_recv(),
            Ok(ToCaller::Response(text(r#"{"jsonrpc":"2.0","id":"a","result":{"x":1}}"#)))
        );
    }

    #[test]
    fn what_nobody_waits_for_is_dropped() {
        let mut pending = Pending::default();
        let (_, mut receiver) = begin(&mut pending, r#"{"jsonrpc":"2.0","id":5,"method":"m"}"#);
        for line in [
            "not json",
            r#"{"jsonrpc":"2.0","id":5,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":"1","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#,
        ] {
            assert_eq!(take(&mut pending, line), FromChild::Done, "{line}");
        }
        assert!(receiver.try_recv().is_err());
        assert_eq!(
            take(&mut pending, r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#),
            FromChild::Pong("0".into())
        );
        assert_eq!(
            take(&mut pending, r#"{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage"}"#),
            FromChild::Decline("\"s\"".into())
        );
    }

    #[test]
    fn what_the_child_says_of_its_lists_goes_to_those_who_listen() {
        let mut pending = Pending::default();
        let (listen, mut modern) =
            begin(&mut pending, r#"{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{}}"#);
        assert!(listen.contains(r#""id":1"#), "{listen}");
        let (caller, mut legacy) = mpsc::channel(3);
        pending.listen(caller).unwrap();
        let (_, mut other) = begin(&mut pending, r#"{"jsonrpc":"2.0","id":5,"method":"m"}"#);
        let said = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        take(&mut pending, said);
        let told = ToCaller::Notification(Bytes::from_static(said.as_bytes()));
        assert_eq!(
            (modern.try_recv(), legacy.try_recv()),
            (Ok(told), Ok(ToCaller::Notification(said.into())))
        );
        assert!(other.try_recv().is_err());
    }

    #[test]
    fn a_flood_of_progress_leaves_room_for_the_response() {
        let mut pending = Pending::default();
        let body = r#"{"jsonrpc":"2.0","id":5,"method":"m","params":{"_meta":{"progressToken":"t"}}}"#;
        let (_, mut receiver) = begin(&mut pending, body);
        for _ in 0..10 {
            let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
            take(&mut pending, progress);
        }
        take(&mut pending, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        let mut last = None;
        while let Ok(message) = receiver.try_recv() {
            last = Some(message);
        }
        assert!(matches!(last, Some(ToCaller::Response(_))));
    }
}
