//! What legacy backends have asked of clients and wait to hear. Clients see an id of ours, since two backends may use one; who answers
//! something that was not asked, or asked of another, is not heard (MCP 2025-11-25, Streamable HTTP, Listening for Messages).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use moka::sync::Cache;
use vmcp_core::limits;
use vmcp_json::{Edits, Value};
use vmcp_mcp::{Request, Response, code, error, method, result};

use crate::backend::Opened;
use crate::session::Session;

/// Questions that wait for an answer. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Questions {
    waiting: Cache<Key, Question>,
    last: Arc<AtomicU64>,
}

/// Of whom, and the number that it has there.
type Key = (u128, u64);

/// One that a backend waits for.
#[derive(Debug, Clone)]
struct Question {
    opened: Weak<Opened>,
    /// As the backend wrote it.
    id: Arc<str>,
}

/// An answer, and whose it is.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) opened: Arc<Opened>,
    pub(crate) body: Bytes,
}

const PREFIX: &str = "vmcp-";
const UNDECLARED: &str = "The client has not declared this capability";

impl Questions {
    pub(crate) fn new() -> Self {
        let waiting =
            Cache::builder().max_capacity(limits::QUESTIONS).time_to_live(limits::QUESTION_TIME).build();
        Self { waiting, last: Arc::default() }
    }

    /// A backend asks something of a client: the number of the question, and how the client hears it.
    pub(crate) fn ask(
        &self,
        client: &Session,
        opened: &Arc<Opened>,
        request: &Request<'_>,
        body: &[u8],
    ) -> (u64, Bytes) {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let question = Question { opened: Arc::downgrade(opened), id: request.id.raw().into() };
        self.waiting.insert((client.id, number), question);
        (number, under_id(request.object.get("id"), &format!("\"{PREFIX}{number}\""), body))
    }

    /// Whether a question still waits.
    pub(crate) fn waits(&self, client: &Session, number: u64) -> bool {
        self.waiting.contains_key(&(client.id, number))
    }

    /// The call that it belonged to has ended.
    pub(crate) fn forget(&self, client: &Session, number: u64) {
        self.waiting.invalidate(&(client.id, number));
    }

    /// What a client answers, as its backend is to hear it. `None`: nobody has asked, or not any more. Each is heard once.
    pub(crate) fn answer(&self, client: &Session, response: &Response<'_>, body: &[u8]) -> Option<Answer> {
        let id = response.object.get("id")?;
        let number = number(&id)?;
        let question = self.waiting.remove(&(client.id, number))?;
        let opened = question.opened.upgrade()?;
        Some(Answer { opened, body: under_id(Some(id), &question.id, body) })
    }
}

/// What a backend hears that asks what the client has not said it may be asked.
pub(crate) fn decline(request: &Request<'_>) -> Bytes {
    let id = request.id.raw();
    match request.method.as_ref() {
        method::PING => result(id, b"{}").into(),
        _ => error(Some(id), code::METHOD_NOT_FOUND, UNDECLARED, None).into(),
    }
}

/// A message with another id, which is JSON.
pub(crate) fn under_id(theirs: Option<Value<'_>>, ours: &str, body: &[u8]) -> Bytes {
    let mut edits = Edits::new();
    if let Some(id) = theirs {
        edits.replace(id, ours.as_bytes());
    }
    edits.apply(body).into()
}

fn number(id: &Value<'_>) -> Option<u64> {
    id.as_str()?.strip_prefix(PREFIX)?.parse().ok()
}
