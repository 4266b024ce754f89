//! What a legacy backend says outside its answers: resources that have changed, things to log, questions. It goes to the client in
//! whose session it is said, as long as that listens.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;
use vmcp_core::limits;
use vmcp_mcp::{self as mcp, EventStream, Message, method, sse};

use crate::backend::Opened;
use crate::plane::Plane;
use crate::questions::decline;
use crate::session::Session;

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
    let listening = Listening { plane: plane.clone(), client, is_resumed: false };
    let (begun, begins) = oneshot::channel();
    tokio::spawn(listening.run(Arc::downgrade(opened), begun));
    Some(begins)
}

/// What a client has missed of a stream that it comes back to: it comes on the stream that it listens on now.
pub(crate) fn resume(plane: &Arc<Plane>, client: Session, opened: Arc<Opened>, last_id: Vec<u8>) {
    let listening = Listening { plane: plane.clone(), client, is_resumed: true };
    tokio::spawn(async move {
        let resuming = mcp::resume(&listening.plane.exchange, opened.peer(), opened.session(), &last_id);
        if let Ok(Ok(Some(events))) = tokio::time::timeout(limits::PROBE_TIME, resuming).await {
            listening.take(events, &Arc::downgrade(&opened)).await;
        }
    });
}

struct Listening {
    plane: Arc<Plane>,
    client: Session,
    /// It is the rest of the stream of a call.
    is_resumed: bool,
}

impl Listening {
    async fn run(self, opened: Weak<Opened>, begun: oneshot::Sender<()>) {
        let mut begun = Some(begun);
        // The session is held only while something is done with it: its end ends this.
        let mut pause = limits::RETRY_FIRST;
        while let Some(held) = opened.upgrade() {
            let began = Instant::now();
            let listening = mcp::listen(&self.plane.exchange, held.peer(), held.session());
            let stream = tokio::time::timeout(limits::PROBE_TIME, listening).await;
            drop(held);
            // Whoever does not wait for it has gone.
            begun.take().map(|begun| begun.send(()));
            match stream {
                Ok(Ok(Some(events))) => self.take(events, &opened).await,
                Ok(Ok(None)) => return,
                Ok(Err(_)) | Err(_) => {}
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
    async fn take(&self, mut events: EventStream, opened: &Weak<Opened>) {
        while self.is_wanted() {
            let Ok(next) = tokio::time::timeout(limits::KEEP_ALIVE_TIME, events.next()).await else {
                if opened.strong_count() == 0 {
                    return;
                }
                continue;
            };
            let Ok(Some(event)) = next else { return };
            let Some(held) = opened.upgrade() else { return };
            if let Some(message) = self.read(&event.data, &held) {
                self.plane.mailboxes.put(&self.client, sse::encode(&message));
            }
        }
    }

    /// What of it the client hears. Lists change by our snapshot, not by what one backend says.
    fn read(&self, data: &Bytes, opened: &Arc<Opened>) -> Option<Bytes> {
        let limits = self.plane.exchange.answer_limits();
        match Message::parse(data, &limits).ok()? {
            Message::Notification(told) => match told.method.as_ref() {
                method::TOOLS_CHANGED | method::RESOURCES_CHANGED | method::PROMPTS_CHANGED => None,
                _ => Some(data.clone()),
            },
            Message::Request(request) if self.client.declared.allows(&request.method) => {
                Some(self.plane.questions.ask(&self.client, opened, &request, data).1)
            }
            Message::Request(request) => {
                opened.say(&self.plane.exchange, decline(&request));
                None
            }
            // To a request of this client's, in its own session.
            Message::Response(_) if self.is_resumed => Some(data.clone()),
            Message::Response(_) => {
                self.plane.counters.dropped().inc();
                None
            }
        }
    }
}
