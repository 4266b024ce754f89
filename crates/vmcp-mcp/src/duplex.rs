//! The transport of MCP 2024-11-05, HTTP with SSE: one stream of events from the server for as long as the session lasts; messages
//! to it are posted to where the stream's first event says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use vmcp_json::Limits;

use crate::change::Change;
use crate::compose::{NO_CAPABILITIES, error, result};
use crate::exchange::{Answer, Answered, Exchange};
use crate::failure::Failure;
use crate::holder::{Holder, answer_for_nobody};
use crate::message::{Id, Message};
use crate::peer::Peer;
use crate::sse::Event;
use crate::stream::EventStream;
use crate::{code, method};

/// Notifications that wait for a slow reader; more are dropped. Its response is not.
const WAITING_EVENTS: usize = 64;

/// A notification that is larger is of no use to anybody.
const NOTIFICATION_BYTES: usize = 256 * 1024;

/// Answers to what the server asks, under way at a time, and how long each may take; more are not given.
const ANSWERS: usize = 4;
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// A connection over that transport. Dropping it ends the session.
#[derive(Debug)]
pub struct Duplex {
    exchange: Exchange,
    /// Where messages are posted.
    peer: Peer,
    waiting: Arc<Mutex<Waiting>>,
    limits: Limits,
    reader: AbortHandle,
}

/// Requests without a response. Held for moments, and only by those who share one client's session.
#[derive(Debug, Default)]
struct Waiting {
    /// By id, as it was written.
    requests: HashMap<String, Waiter>,
    changes: Option<mpsc::Sender<Change>>,
    /// What is about no request.
    others: Option<mpsc::Sender<Result<Event, Failure>>>,
    is_over: bool,
}

#[derive(Debug)]
struct Waiter {
    /// As it was written.
    progress_token: Option<String>,
    events: mpsc::Sender<Result<Event, Failure>>,
}

impl Waiting {
    /// Whoever has gone is not waiting any more.
    fn forget_gone(&mut self) {
        self.requests.retain(|_, waiter| !waiter.events.is_closed());
    }
}

impl Duplex {
    /// Opens the stream and waits until it says where messages go. If the server may ask its one holder something, that comes on the
    /// stream of a request that is under way; else it is told that it may not.
    ///
    /// # Errors
    /// See [`Failure`]; the stream is none of this transport, or points to another server.
    pub(crate) async fn open(exchange: &Exchange, peer: &Peer, holder: Holder<'_>) -> Result<Self, Failure> {
        let mut events = match exchange.listen(peer.url.clone(), peer.headers.clone()).await? {
            Answer::Stream(events) => events,
            Answer::Refused { status, .. } => return Err(Failure::Status(status)),
            Answer::Message(_) | Answer::Accepted => {
                return Err(Failure::Protocol("does not open a stream of events".into()));
            }
        };
        let ended = || Failure::Protocol("the stream ended before it said where messages go".into());
        let first = events.next_of("endpoint").await?.ok_or_else(ended)?;
        let text = String::from_utf8_lossy(&first.data).into_owned();
        let url = resolve(&peer.url, text.trim())
            .ok_or_else(|| Failure::Protocol(format!("sends messages elsewhere: `{text}`")))?;
        let peer = Peer { url, ..peer.clone() };
        let waiting = Arc::<Mutex<Waiting>>::default();
        let (limits, answers) = (exchange.answer_limits(), Arc::new(Semaphore::new(ANSWERS)));
        let reader = Reader {
            exchange: exchange.clone(),
            peer: peer.clone(),
            waiting: waiting.clone(),
            limits,
            is_shared: matches!(holder, Holder::Several(_)),
            is_for_nobody: holder == Holder::Nobody,
            may_ask: matches!(holder, Holder::One(capabilities) if capabilities != NO_CAPABILITIES),
            answers,
        };
        let reader = tokio::spawn(reader.run(events)).abort_handle();
        Ok(Self { exchange: exchange.clone(), peer, waiting, limits, reader })
    }

    /// Posts one message. The response to a request comes at the end of a stream of what is about it.
    ///
    /// # Errors
    /// See [`Failure`]; another request of the session has the same id.
    pub async fn send(&self, headers: HeaderMap, body: Bytes) -> Result<Answered, Failure> {
        let asked = match Message::parse(&body, &self.limits) {
            Ok(Message::Request(request)) => {
                let params = request.params.as_ref();
                let meta = params.and_then(|params| params.get("_meta")).and_then(|meta| meta.as_object());
                let token = meta.as_ref().and_then(|meta| meta.get("progressToken"));
                Some((request.id.raw().to_owned(), token.map(|token| token.raw().to_owned())))
            }
            _ => None,
        };
        let events = match asked {
            None => None,
            Some((id, token)) => Some((self.expect(&id, token)?, id)),
        };
        let posted = self.exchange.send(self.peer.call(headers, body)).await;
        let refused = match posted.map(|answered| answered.answer) {
            Ok(Answer::Refused { status, body, retry_after }) => {
                Ok(Answer::Refused { status, body, retry_after })
            }
            // What is said in the answer to a post is nothing: the response comes on the stream.
            Ok(_) | Err(Failure::Protocol(_)) => {
                let answer = match events {
                    Some((events, _)) => Answer::Stream(EventStream::of(events)),
                    None => Answer::Accepted,
                };
                return Ok(Answered { session: None, answer });
            }
            Err(failure) => Err(failure),
        };
        if let Some((_, id)) = &events {
            self.waiting().requests.remove(id);
        }
        Ok(Answered { session: None, answer: refused? })
    }

    /// What the server says of its lists from now on.
    pub(crate) fn changes(&self) -> mpsc::Receiver<Change> {
        let (tell, changes) = mpsc::channel(WAITING_EVENTS);
        self.waiting().changes = Some(tell);
        changes
    }

    /// What the server says from now on that is about no request.
    pub(crate) fn others(&self) -> EventStream {
        let (tell, events) = mpsc::channel(WAITING_EVENTS);
        self.waiting().others = Some(tell);
        EventStream::of(events)
    }

    fn expect(
        &self,
        id: &str,
        progress_token: Option<String>,
    ) -> Result<mpsc::Receiver<Result<Event, Failure>>, Failure> {
        let (events, receiver) = mpsc::channel(WAITING_EVENTS);
        let mut waiting = self.waiting();
        waiting.forget_gone();
        if waiting.is_over {
            return Err(ended());
        }
        if waiting.requests.contains_key(id) {
            return Err(Failure::Protocol(format!("a request with id {id} is under way in this session")));
        }
        waiting.requests.insert(id.to_owned(), Waiter { progress_token, events });
        Ok(receiver)
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        self.waiting().is_over
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

struct Reader {
    exchange: Exchange,
    peer: Peer,
    waiting: Arc<Mutex<Waiting>>,
    limits: Limits,
    may_ask: bool,
    is_shared: bool,
    is_for_nobody: bool,
    answers: Arc<Semaphore>,
}

impl Reader {
    async fn run(self, mut events: EventStream) {
        let end = loop {
            match events.next().await {
                Ok(Some(event)) => self.take(event),
                Ok(None) => break None,
                Err(failure) => break Some(failure),
            }
        };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_over = true;
        waiting.changes = None;
        waiting.others = None;
        for (_, waiter) in waiting.requests.drain() {
            let failure = match &end {
                Some(Failure::TooLarge { limit }) => Failure::TooLarge { limit: *limit },
                Some(_) | None => ended(),
            };
            // One that has gone, or does not read, hears the end of its stream.
            let _ = waiter.events.try_send(Err(failure));
        }
    }

    fn take(&self, event: Event) {
        let data = event.data.clone();
        match Message::parse(&data, &self.limits) {
            Ok(Message::Response(response)) => match response.id.and_then(|id| self.take_waiter(id)) {
                Some(waiter) => answer(waiter, event),
                None => self.exchange.count_unasked(),
            },
            Ok(Message::Notification(notification)) => {
                if let Some(change) = Change::read(&notification.method) {
                    self.changed(change);
                    return;
                }
                let params = notification.params.as_ref();
                let token = params.and_then(|params| params.get("progressToken")).map(|token| token.raw());
                self.tell(token, event);
            }
            Ok(Message::Request(request))
                if self.may_ask && request.method != method::PING && self.ask(&event) => {}
            Ok(Message::Request(request)) => {
                let id = request.id.raw();
                let answer = match request.method.as_ref() {
                    _ if self.is_for_nobody => answer_for_nobody(&request),
                    method::PING => result(id, b"{}"),
                    _ => error(
                        Some(id),
                        code::METHOD_NOT_FOUND,
                        "The client has not declared this capability",
                        None,
                    )
                    .into_bytes(),
                };
                let Ok(place) = self.answers.clone().try_acquire_owned() else { return };
                let (exchange, call) = (self.exchange.clone(), self.peer.call(HeaderMap::new(), answer));
                // Whether the server likes the answer changes nothing.
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(ANSWER_TIME, exchange.send(call)).await;
                    drop(place);
                });
            }
            // Whoever it is meant for finds out what is wrong with it.
            Err(rejected) => {
                let waiter = match rejected.id {
                    Some(id) => self.take_waiter(id),
                    None => self.take_only_waiter(),
                };
                if let Some(waiter) = waiter {
                    answer(waiter, event);
                }
            }
        }
    }

    /// The only one who waits.
    fn take_only_waiter(&self) -> Option<Waiter> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.forget_gone();
        if self.is_shared || waiting.requests.len() != 1 {
            return None;
        }
        waiting.requests.drain().map(|(_, waiter)| waiter).next()
    }

    fn take_waiter(&self, id: Id<'_>) -> Option<Waiter> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let known = waiting.requests.keys().find(|known| id.is(known)).cloned()?;
        waiting.requests.remove(&known)
    }

    /// Progress to whom it belongs; what belongs to nobody in particular, to the only one who waits.
    fn tell(&self, token: Option<&str>, event: Event) {
        if event.data.len() > NOTIFICATION_BYTES {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.forget_gone();
        let waiter = match token {
            Some(token) => {
                waiting.requests.values().find(|waiter| waiter.progress_token.as_deref() == Some(token))
            }
            None if waiting.requests.len() == 1 && !self.is_shared => waiting.requests.values().next(),
            None => None,
        };
        let listener = waiter.map(|waiter| &waiter.events).or(waiting.others.as_ref());
        if let Some(listener) = listener {
            // A slow reader loses what it has no room for.
            let _ = listener.try_send(Ok(event));
        }
    }

    /// Hands a question to some request that is under way, since all are of one session, or to whoever listens. Whether there was any.
    fn ask(&self, event: &Event) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.forget_gone();
        let mut listeners = waiting.requests.values().map(|waiter| &waiter.events).chain(&waiting.others);
        listeners.any(|listener| listener.try_send(Ok(event.clone())).is_ok())
    }

    fn changed(&self, change: Change) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(changes) = &waiting.changes {
            // Whoever has so many to read will look at everything anyway.
            let _ = changes.try_send(change);
        }
    }
}

/// The last that somebody who waits is told; it comes after everything else.
fn answer(waiter: Waiter, event: Event) {
    if let Err(mpsc::error::TrySendError::Full(last)) = waiter.events.try_send(Ok(event)) {
        tokio::spawn(async move { waiter.events.send(last).await });
    }
}

fn ended() -> Failure {
    Failure::Broken("the stream of the session has ended".into())
}

/// Where messages go: on the same server, whatever it says.
fn resolve(base: &Uri, text: &str) -> Option<Uri> {
    if text.contains("://") {
        let url: Uri = text.parse().ok()?;
        let is_same = url.scheme() == base.scheme() && url.authority() == base.authority();
        return is_same.then_some(url);
    }
    let path = if text.starts_with('/') {
        text.to_owned()
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{text}")
    };
    if path.starts_with("//") {
        return None;
    }
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_to_the_same_server_only() {
        let check = |text: &str| {
            let base = "http://h:1/a/sse".parse().unwrap();
            resolve(&base, text).map(|url| url.to_string())
        };
        assert_eq!(check("/messages?id=1").as_deref(), Some("http://h:1/messages?id=1"));
        assert_eq!(check("messages?id=1").as_deref(), Some("http://h:1/a/messages?id=1"));
        assert_eq!(check("http://h:1/x").as_deref(), Some("http://h:1/x"));
        for elsewhere in ["http://other:1/x", "https://h:1/x", "//other/x", "http://h:2/x", "ftp://h:1/", " "]
        {
            assert_eq!(check(elsewhere), None, "{elsewhere}");
        }
    }
}
