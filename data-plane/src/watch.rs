//! Resources and tasks that a modern client wants to hear of: their backends are listened to for as long as the client listens.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::mpsc;
use tokio::time::Instant;
use vmcp_core::backend::BackendId;
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_json::{Object, quote};
use vmcp_mcp::{
    self as mcp, EventStream, Failure, Message, NO_CAPABILITIES, OURSELVES, extension, method, notification,
    sse,
};

use crate::backend::{self, Backend};
use crate::plane::Plane;
use crate::principal::Identity;

/// What is watched at one backend.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) backend: Arc<Backend>,
    pub(crate) uris: Vec<String>,
    pub(crate) tasks: Vec<WatchedTask>,
}

/// A task that is watched.
#[derive(Debug)]
pub(crate) struct WatchedTask {
    /// As the backend calls it.
    pub(crate) theirs: String,
    /// As the client does.
    pub(crate) ours: String,
    /// The exposed name of the tool whose call it is.
    pub(crate) tool: String,
}

/// Something of a backend that a client hears of for as long as it may.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) backend: BackendId,
    pub(crate) kind: Kind,
    /// A URI, or the exposed name of a tool.
    pub(crate) name: String,
}

impl Watch {
    /// What the backend is asked for (JSON).
    fn filter(&self) -> String {
        let quoted = |all: &mut dyn Iterator<Item = &String>| {
            let all: Vec<String> = all.map(|text| quote(text)).collect();
            all.join(",")
        };
        let uris = quoted(&mut self.uris.iter());
        let tasks = quoted(&mut self.tasks.iter().map(|task| &task.theirs));
        let members = [("resourceSubscriptions", uris), ("taskIds", tasks)];
        let wanted: Vec<String> = members
            .into_iter()
            .filter(|(_, all)| !all.is_empty())
            .map(|(name, all)| format!("\"{name}\":[{all}]"))
            .collect();
        format!("{{{}}}", wanted.join(","))
    }

    /// What the client hears of.
    pub(crate) fn heard(&self) -> impl Iterator<Item = Heard> {
        let resources = self.uris.iter().map(|uri| (Kind::Resource, uri));
        let tasks = self.tasks.iter().map(|task| (Kind::Tool, &task.tool));
        resources.chain(tasks).map(|(kind, name)| Heard {
            backend: self.backend.id.clone(),
            kind,
            name: name.clone(),
        })
    }

    /// A client that has asked for tasks knows them.
    fn capabilities(&self) -> String {
        match self.tasks.is_empty() {
            true => NO_CAPABILITIES.to_owned(),
            false => format!("{{\"extensions\":{{\"{}\":{{}}}}}}", extension::TASKS),
        }
    }
}

/// Begins to watch in a caller's name. What changes comes as events whose messages carry `meta` (a JSON member), until nobody reads them. `None`: nothing
/// is watched.
pub(crate) fn begin(
    plane: &Arc<Plane>,
    identity: &Identity,
    watches: Vec<Watch>,
    meta: &str,
) -> Option<mpsc::Receiver<Bytes>> {
    if watches.is_empty() {
        return None;
    }
    let (tell, updates) = mpsc::channel(limits::MAILBOX_MESSAGES);
    for watch in watches {
        let (plane, identity) = (plane.clone(), identity.clone());
        let watching = Watching { plane, identity, watch, meta: meta.to_owned(), tell: tell.clone() };
        tokio::spawn(watching.run());
    }
    Some(updates)
}

struct Watching {
    plane: Arc<Plane>,
    identity: Identity,
    watch: Watch,
    meta: String,
    tell: mpsc::Sender<Bytes>,
}

impl Watching {
    async fn run(self) {
        let (mut pause, mut refusals) = (limits::RETRY_FIRST, 0);
        while !self.tell.is_closed() {
            let began = Instant::now();
            match self.open().await {
                Ok(Some(events)) => {
                    refusals = 0;
                    self.take(events).await;
                }
                Ok(None) => return,
                // Whatever it is shown.
                Err(NotNow::Refused) if refusals == limits::STREAM_REFUSALS => return,
                Err(NotNow::Refused) => refusals += 1,
                Err(NotNow::Otherwise) => {}
            }
            // A stream that is cut now and then is opened again soon; one that never stands, later and later.
            if began.elapsed() > limits::STEADY_TIME {
                pause = limits::RETRY_FIRST;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.tell.closed() => return,
            }
            pause = (pause * 2).min(limits::RETRY_LONGEST);
        }
    }

    /// Counts as a call until the stream stands. `None`: the backend does not say. What it is shown is had anew each time, since tokens end.
    async fn open(&self) -> Result<Option<EventStream>, NotNow> {
        let shown = &self.watch.backend.shown;
        let header = shown.header(&self.plane.tokens, &self.identity).await.map_err(|_| NotNow::Otherwise)?;
        let headers: HeaderMap = header.iter().cloned().collect();
        let admitted = backend::admit(&self.watch.backend).await.map_err(|_| NotNow::Otherwise)?;
        let (peer, exchange) = (admitted.peer(), &self.plane.exchange);
        let (capabilities, wanted) = (self.watch.capabilities(), self.watch.filter());
        let watching = mcp::watch(exchange, &peer, &OURSELVES, (&capabilities, &wanted), &headers);
        match tokio::time::timeout(admitted.patience(), watching).await {
            Ok(Ok(events)) => {
                admitted.succeeded();
                Ok(events)
            }
            Ok(Err(Failure::Status(StatusCode::UNAUTHORIZED))) if !shown.may_be_another() => Ok(None),
            Ok(Err(failure)) => {
                let whose = (&self.plane.tokens, &self.identity);
                shown.replace_refused(whose, header.as_ref(), &failure).await;
                let is_refused = matches!(failure, Failure::Status(StatusCode::UNAUTHORIZED));
                Err(if is_refused { NotNow::Refused } else { NotNow::Otherwise })
            }
            Err(_) => Err(NotNow::Otherwise),
        }
    }

    /// Until the stream ends, or nobody wants to hear it.
    async fn take(&self, mut events: EventStream) {
        loop {
            let next = tokio::select! {
                next = events.next() => next,
                () = self.tell.closed() => return,
            };
            let Ok(Some(event)) = next else { return };
            let Some(message) = self.read(&event.data) else { continue };
            if self.tell.send(message).await.is_err() {
                return;
            }
        }
    }

    /// That one of them has changed, as the client is to hear it.
    fn read(&self, data: &[u8]) -> Option<Bytes> {
        let limits = self.plane.exchange.answer_limits();
        let Ok(Message::Notification(told)) = Message::parse(data, &limits) else { return None };
        let params = told.params.as_ref()?;
        let params = match told.method.as_ref() {
            method::RESOURCE_UPDATED => {
                let uri = params.get("uri")?.as_str()?;
                let is_watched = self.watch.uris.iter().any(|watched| *watched == uri);
                is_watched.then(|| format!("{{\"uri\":{},{}}}", quote(&uri), self.meta))?
            }
            method::TASK_CHANGED => {
                let theirs = params.get("taskId")?.as_str()?;
                let known = self.watch.tasks.iter().find(|known| known.theirs == theirs);
                self.task(params, &known?.ours)
            }
            _ => return None,
        };
        Some(sse::encode(notification(&told.method, Some(&params)).as_bytes()))
    }

    /// All that is said of a task, under the client's id.
    fn task(&self, params: &Object<'_>, ours: &str) -> String {
        let others =
            params.members().filter(|member| !member.is_named("taskId") && !member.is_named("_meta"));
        let others = others.map(|member| format!(",{}:{}", quote(&member.name()), member.value.raw()));
        format!("{{\"taskId\":{}{},{}}}", quote(ours), others.collect::<String>(), self.meta)
    }
}

/// The backend cannot be listened to at the moment.
enum NotNow {
    /// It does not accept what it is shown.
    Refused,
    Otherwise,
}
