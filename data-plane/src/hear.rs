//! What a legacy backend says outside its answers: resources that have changed, things to log, questions. It goes to the client in
//! whose session it is said, as long as that listens.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::Instant;
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_mcp::{EventStream, Failure, Message, Request, method, sse};

use crate::backend::Opened;
use crate::mailboxes::{About, Said};
use crate::plane::Plane;
use crate::questions::decline;
use crate::session::Session;
use crate::watch::Heard;

/// Listens to a backend in one session of a client, once, until the session or the client is gone. What is returned resolves when the
/// backend can be heard, or will not be; `None`: nobody listens here, or somebody does already.
pub(crate) fn hear(
    plane: &Arc<Plane>,
    client: Session,
    opened: &Arc<Opened>,
) -> Option<oneshot::Receiver<()>> {
    if !plane.mailboxes.is_open(&client) || !opened.begins_to_be_heard() {
        return None;
    }
    let (begun, begins) = oneshot::channel();
    tokio::spawn(Listening::new(plane, client, false).run(Arc::downgrade(opened), begun));
    Some(begins)
}

/// What a client has missed of a stream that it comes back to: it comes on the stream that it listens on now. Each is asked for
/// once at a time.
pub(crate) fn resume(plane: &Arc<Plane>, client: Session, opened: Arc<Opened>, last_id: Vec<u8>) {
    if !opened.begins_to_be_resumed(&last_id) {
        return;
    }
    let mut listening = Listening::new(plane, client, true);
    tokio::spawn(async move {
        let events =
            tokio::time::timeout(limits::PROBE_TIME, opened.resume(&listening.plane.exchange, &last_id))
                .await;
        // The end of the session ends this.
        let held = Arc::downgrade(&opened);
        drop(opened);
        if let Ok(Some(events)) = events {
            listening.take(events, &held).await;
        }
        if let Some(opened) = held.upgrade() {
            opened.is_resumed_no_more(&last_id);
        }
    });
}

struct Listening {
    plane: Arc<Plane>,
    client: Session,
    /// It is the rest of the stream of a call.
    is_resumed: bool,
    /// Questions that may wait for an answer.
    asked: Vec<u64>,
}

impl Listening {
    fn new(plane: &Arc<Plane>, client: Session, is_resumed: bool) -> Self {
        Self { plane: plane.clone(), client, is_resumed, asked: Vec::new() }
    }

    async fn run(mut self, opened: Weak<Opened>, begun: oneshot::Sender<()>) {
        let mut begun = Some(begun);
        // The session is held only while something is done with it: its end ends this.
        let (mut pause, mut refusals) = (limits::RETRY_FIRST, 0);
        while let Some(held) = opened.upgrade() {
            let began = Instant::now();
            let stream = held.listen(&self.plane.exchange).await;
            drop(held);
            // Whoever does not wait for it has gone.
            begun.take().map(|begun| begun.send(()));
            match stream {
                Ok(Some(events)) => {
                    refusals = 0;
                    self.take(events, &opened).await;
                }
                Ok(None) => return,
                // Whatever it is shown.
                Err(Failure::Status(StatusCode::UNAUTHORIZED)) if refusals == limits::STREAM_REFUSALS => {
                    if let Some(held) = opened.upgrade() {
                        held.is_heard_no_more();
                    }
                    return;
                }
                Err(Failure::Status(StatusCode::UNAUTHORIZED)) => refusals += 1,
                Err(_) => {}
            }
            // A stream that is cut now and then is opened again soon; one that never stands, later and later.
            if began.elapsed() > limits::STEADY_TIME {
                pause = limits::RETRY_FIRST;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(limits::RETRY_LONGEST);
            if self.is_wanted() {
                continue;
            }
            let Some(held) = opened.upgrade() else { return };
            held.is_heard_no_more();
            // Whoever has begun to listen in between has found it heard.
            if !self.is_wanted() || !held.begins_to_be_heard() {
                return;
            }
        }
    }

    fn is_wanted(&self) -> bool {
        self.plane.mailboxes.is_open(&self.client)
    }

    /// Until the stream ends, or nobody wants to hear it.
    async fn take(&mut self, mut events: EventStream, opened: &Weak<Opened>) {
        while self.is_wanted() {
            let Ok(next) = tokio::time::timeout(limits::KEEP_ALIVE_TIME, events.next()).await else {
                if opened.strong_count() == 0 {
                    return;
                }
                continue;
            };
            let Ok(Some(event)) = next else { return };
            let Some(held) = opened.upgrade() else { return };
            if let Some((message, about)) = self.read(&event.data, &held) {
                self.plane.mailboxes.put(&self.client, Said { event: sse::encode(&message), about });
            }
        }
    }

    /// What of it the client hears, and what that is about. Lists change by our snapshot, not by what one backend says.
    fn read(&mut self, data: &Bytes, opened: &Arc<Opened>) -> Option<(Bytes, About)> {
        let said = About::Backend(opened.backend().clone());
        let limits = self.plane.exchange.answer_limits();
        let is_large = data.len() > limits::SAID_BYTES;
        match Message::parse(data, &limits).ok()? {
            Message::Notification(_) if is_large => {
                self.plane.counters.dropped().inc();
                None
            }
            Message::Notification(told) => match told.method.as_ref() {
                method::TOOLS_CHANGED | method::RESOURCES_CHANGED | method::PROMPTS_CHANGED => None,
                method::RESOURCE_UPDATED => {
                    let uri = told.params.as_ref()?.get("uri")?.as_str()?;
                    let (backend, name) = (opened.backend().clone(), uri.into_owned());
                    Some((
                        data.clone(),
                        About::Resource(Arc::new(Heard { backend, kind: Kind::Resource, name })),
                    ))
                }
                _ => Some((data.clone(), said)),
            },
            Message::Request(request) if !is_large && self.may_ask(&request) => {
                let (number, question) = self.plane.questions.ask(&self.client, opened, &request, data);
                self.asked.push(number);
                Some((question, said))
            }
            Message::Request(request) => {
                opened.say(&self.plane.exchange, decline(&request));
                None
            }
            // To a request of this client's, in its own session.
            Message::Response(_) if self.is_resumed => Some((data.clone(), said)),
            Message::Response(_) => {
                self.plane.counters.dropped().inc();
                None
            }
        }
    }

    /// Not more than a client can be asked at a time, so that the questions of others find a place.
    fn may_ask(&mut self, request: &Request<'_>) -> bool {
        let Self { plane, client, asked, .. } = self;
        asked.retain(|number| plane.questions.waits(client, *number));
        client.declared.allows(&request.method) && asked.len() < limits::ASKED_OF_CLIENT
    }
}
