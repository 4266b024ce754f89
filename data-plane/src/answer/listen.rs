//! Streams that tell clients when lists have changed: `subscriptions/listen`, and the GET stream of legacy clients.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{mpsc, watch as watched};
use tokio::time::{Instant, sleep_until};
use vmcp_core::backend::BackendId;
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_json::{Object, quote};
use vmcp_mcp::{method, notification, result, sse};
use vmcp_oauth::{Denied, Trusted};
use vmcp_runtime::unix_ms;

use crate::asked::Asked;
use crate::mailboxes::{About, Mailbox, Said};
use crate::plane::Plane;
use crate::principal::Identity;
use crate::refusal::Refusal;
use crate::relay::event_stream;
use crate::snapshot::Server;
use crate::watch::{self, Heard, Watch};

/// MCP 2026-07-28, Subscriptions: an acknowledgement, then what was asked for, then a result when we stop.
pub(crate) fn listen_modern(
    plane: &Arc<Plane>,
    server: &Server,
    (identity, asked): (&Identity, &Asked<'_>),
    watches: Vec<Watch>,
) -> Result<Response, Refusal> {
    let filter = asked.request.params.as_ref().and_then(|params| params.get("notifications"));
    let filter = filter.and_then(|filter| filter.as_object());
    let filter =
        filter.ok_or_else(|| Refusal::malformed_params("`params.notifications` must be an object"))?;
    let wanted = Wanted::read(&filter);
    let id = asked.request.id.raw().to_owned();
    let meta = format!("\"_meta\":{{\"io.modelcontextprotocol/subscriptionId\":{id}}}");
    let params = format!("{{{meta},\"notifications\":{{{}}}}}", granted(wanted, &watches));
    let first = sse::encode(notification(method::ACKNOWLEDGED, Some(&params)).as_bytes());
    let watched = watches.iter().flat_map(Watch::heard).collect();
    let source = watch::begin(plane, identity, watches, &meta).map(Source::Updates);
    let ends = Endings { id: Some(id), meta: Some(meta) };
    let listener = Listener::new(plane, (server, identity), wanted, ends, first);
    Ok(respond(Listener { source, watched, ..listener }))
}

/// MCP 2025-11-25, Streamable HTTP, Listening for Messages from the Server.
pub(crate) fn listen_legacy(
    plane: &Arc<Plane>,
    server: &Server,
    identity: &Identity,
    mailbox: Option<Mailbox>,
) -> Response {
    let wanted = Wanted { tools: true, resources: true, prompts: true };
    let listener =
        Listener::new(plane, (server, identity), wanted, Endings { id: None, meta: None }, sse::KEEP_ALIVE);
    respond(Listener { source: mailbox.map(Source::Mailbox), ..listener })
}

/// The changes that a client wants to hear of.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    tools: bool,
    resources: bool,
    prompts: bool,
}

impl Wanted {
    fn read(filter: &Object<'_>) -> Self {
        let wants = |name| filter.get(name).is_some_and(|value| value.is_true());
        Self {
            tools: wants("toolsListChanged"),
            resources: wants("resourcesListChanged"),
            prompts: wants("promptsListChanged"),
        }
    }

    fn to_json(self) -> String {
        let names = [
            (self.tools, "toolsListChanged"),
            (self.resources, "resourcesListChanged"),
            (self.prompts, "promptsListChanged"),
        ];
        let granted: Vec<String> = names
            .iter()
            .filter(|(granted, _)| *granted)
            .map(|(_, name)| format!("\"{name}\":true"))
            .collect();
        granted.join(",")
    }
}

/// Where else messages come from.
#[derive(Debug)]
enum Source {
    /// What backends say in a legacy client's session.
    Mailbox(Mailbox),
    /// Which of the watched resources have changed.
    Updates(mpsc::Receiver<Bytes>),
}

/// What the client hears of, as it is acknowledged.
fn granted(wanted: Wanted, watches: &[Watch]) -> String {
    let uris: Vec<String> = watches.iter().flat_map(|watch| &watch.uris).map(|uri| quote(uri)).collect();
    let tasks: Vec<String> =
        watches.iter().flat_map(|watch| &watch.tasks).map(|task| quote(&task.ours)).collect();
    let named = |name: &str, all: &[String]| match all.is_empty() {
        true => String::new(),
        false => format!("\"{name}\":[{}]", all.join(",")),
    };
    let all = [wanted.to_json(), named("resourceSubscriptions", &uris), named("taskIds", &tasks)];
    all.iter().filter(|text| !text.is_empty()).map(String::as_str).collect::<Vec<_>>().join(",")
}

/// What marks the messages of a modern subscription.
#[derive(Debug)]
struct Endings {
    id: Option<String>,
    meta: Option<String>,
}

/// One open stream. It holds fingerprints, never a snapshot.
struct Listener {
    plane: Arc<Plane>,
    server: Name,
    identity: Identity,
    /// What the client hears of, as long as it may.
    watched: Vec<Heard>,
    /// When the token is good no more that the client has come with.
    expires_at: Option<Instant>,
    /// When it is seen again whether that token is good by the keys of its issuer.
    look_at: Instant,
    wanted: Wanted,
    ends: Endings,
    changed: watched::Receiver<u64>,
    known: [u64; 4],
    /// When the client was last told of a change, and when it may be told of what has changed since.
    told_at: Option<Instant>,
    due_at: Option<Instant>,
    ready: VecDeque<Bytes>,
    source: Option<Source>,
    has_ended: bool,
}

fn respond(listener: Listener) -> Response {
    event_stream(Body::from_stream(stream::unfold(listener, |mut listener| async {
        let bytes = listener.next().await?;
        Some((Ok::<Bytes, Infallible>(bytes), listener))
    })))
}

impl Listener {
    fn new(
        plane: &Arc<Plane>,
        (server, identity): (&Server, &Identity),
        wanted: Wanted,
        ends: Endings,
        first: Bytes,
    ) -> Self {
        let mut changed = plane.changed.subscribe();
        // The snapshot may have been replaced since `server` was taken from it, so the first turn compares.
        changed.mark_changed();
        Self {
            plane: plane.clone(),
            server: server.name.clone(),
            identity: identity.clone(),
            watched: Vec::new(),
            expires_at: identity.seconds_left().map(|left| Instant::now() + left),
            look_at: Instant::now() + limits::VOUCHED_TIME,
            wanted,
            ends,
            changed,
            known: fingerprints(server, identity),
            told_at: None,
            due_at: None,
            ready: VecDeque::from([first]),
            source: None,
            has_ended: false,
        }
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.has_ended {
                return None;
            }
            let drain = self.plane.drain.clone();
            let keep_alive_at = Instant::now() + limits::KEEP_ALIVE_TIME;
            let due_at = self.due_at.unwrap_or(keep_alive_at);
            // Nothing is said before it is known whether it may be.
            tokio::select! {
                biased;
                () = drain.stopped() => self.end(),
                changed = self.changed.changed() => match changed {
                    Ok(()) => self.changed().await,
                    Err(_) => self.end(),
                },
                () = sleep_until(self.expires_at.unwrap_or(keep_alive_at)), if self.expires_at.is_some() => self.end(),
                // Keys that are withdrawn take with them what they have signed, also where nothing else changes.
                () = sleep_until(self.look_at), if self.expires_at.is_some() => match self.is_vouched_for().await {
                    true => self.look_at = Instant::now() + limits::VOUCHED_TIME,
                    false => self.end(),
                },
                () = sleep_until(due_at), if self.due_at.is_some() => self.compare(),
                said = next_message(&mut self.source) => {
                    if self.may_hear(&said) {
                        return Some(said.event);
                    }
                }
                () = sleep_until(keep_alive_at) => return Some(sse::KEEP_ALIVE),
            }
        }
    }

    /// Who may not stay goes at once. The first change is told at once, too; what follows soon is told together.
    async fn changed(&mut self) {
        if !self.may_stay() || !self.is_vouched_for().await {
            return self.end();
        }
        let free_at = self.told_at.map(|told| told + limits::LIST_CHANGED_TIME);
        match free_at.filter(|free_at| *free_at > Instant::now()) {
            None => self.compare(),
            later => self.due_at = later,
        }
    }

    /// Not where the virtual server is gone, where its doors are shut to the client, or where it may not hear of all that it has asked for.
    fn may_stay(&self) -> bool {
        let snapshot = self.plane.snapshot.load();
        let Some(server) = snapshot.server(self.server.as_str()) else { return false };
        server.may_come_in(&self.identity) && self.watched.iter().all(|heard| self.may_hear_of(server, heard))
    }

    /// Whether the keys that its issuer has now are those that its token is good by. One that nobody can ask about now stays; one that is
    /// asked about stays for as long as it was told it may.
    async fn is_vouched_for(&self) -> bool {
        let Some(token) = &self.identity.token else { return true };
        let snapshot = self.plane.snapshot.load_full();
        let Some(server) = snapshot.server(self.server.as_str()) else { return false };
        let issuers = server.trusted.iter().filter(|trusted| trusted.issuer == token.verified.issuer);
        let by_keys: Vec<Trusted> =
            issuers.filter(|trusted| trusted.introspection.is_none()).cloned().collect();
        if by_keys.is_empty() {
            return true;
        }
        let verified = self.plane.verifier.verify(&token.bearer, &by_keys, unix_ms() / 1_000).await;
        !matches!(verified, Err(Denied::Invalid(_)))
    }

    /// Whether what is said is of nothing that the client may not use any more.
    fn may_hear(&self, said: &Said) -> bool {
        let snapshot = self.plane.snapshot.load();
        let Some(server) = snapshot.server(self.server.as_str()) else { return false };
        match &said.about {
            About::Watched => true,
            About::Resource(heard) => self.may_hear_of(server, heard),
            About::Backend(backend) => {
                let seen = server.guards.as_ref().map(|guards| guards.lists(&self.identity, &server.lists));
                let is_there = server.backends.iter().any(|known| known.id == *backend);
                is_own(server, backend)
                    || is_there && seen.is_none_or(|lists| lists.has_any_of(&backend.name))
            }
        }
    }

    /// Whether the client may still hear of something, and whoever tells is still there.
    fn may_hear_of(&self, server: &Arc<Server>, heard: &Heard) -> bool {
        // What one caller is offered is not among what all are.
        let is_own = is_own(server, &heard.backend);
        let is_there = is_own || server.backends.iter().any(|known| known.id == heard.backend);
        let Some(guards) = &server.guards else { return is_there };
        let guard = match is_own {
            true => {
                let made = self.plane.personal_inventories.made(server, &self.identity);
                made.map_or_else(|| guards.of_own(heard), |made| guards.of_heard(&made.index, heard))
            }
            false => guards.of_heard(&server.index, heard),
        };
        is_there && guards.allows(&self.identity, guard.as_deref())
    }

    /// Says what differs from what the client knows.
    fn compare(&mut self) {
        self.due_at = None;
        let snapshot = self.plane.snapshot.load();
        let Some(server) = snapshot.server(self.server.as_str()) else { return self.end() };
        let now = fingerprints(server, &self.identity);
        let differs = |kind: Kind| {
            let place = Kind::ALL.iter().position(|known| *known == kind).unwrap_or_default();
            now[place] != self.known[place]
        };
        let changes = [
            (self.wanted.tools && differs(Kind::Tool), method::TOOLS_CHANGED),
            (
                self.wanted.resources && (differs(Kind::Resource) || differs(Kind::Template)),
                method::RESOURCES_CHANGED,
            ),
            (self.wanted.prompts && differs(Kind::Prompt), method::PROMPTS_CHANGED),
        ];
        let params = self.ends.meta.as_ref().map(|meta| format!("{{{meta}}}"));
        for (_, name) in changes.iter().filter(|(has_changed, _)| *has_changed) {
            self.ready.push_back(sse::encode(notification(name, params.as_deref()).as_bytes()));
            self.told_at = Some(Instant::now());
        }
        self.known = now;
    }

    /// The cancelled notice and then the result, since the specification's pages differ on which one it is.
    fn end(&mut self) {
        self.has_ended = true;
        let (Some(id), Some(meta)) = (&self.ends.id, &self.ends.meta) else { return };
        let params = format!("{{\"requestId\":{id},{meta}}}");
        self.ready.push_back(sse::encode(notification(method::CANCELLED, Some(&params)).as_bytes()));
        let value = format!("{{\"resultType\":\"complete\",{meta}}}");
        self.ready.push_back(sse::encode(&result(id, value.as_bytes())));
    }
}

/// Never, if there is nothing to hear.
async fn next_message(source: &mut Option<Source>) -> Said {
    match source {
        Some(Source::Mailbox(mailbox)) => mailbox.next().await,
        Some(Source::Updates(updates)) => match updates.recv().await {
            Some(event) => Said { event, about: About::Watched },
            // No backend says any more.
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// Of the lists as this client sees them.
fn fingerprints(server: &Server, identity: &Identity) -> [u64; 4] {
    let filtered = server.guards.as_ref().map(|guards| guards.lists(identity, &server.lists));
    let lists = filtered.as_deref().unwrap_or(&server.lists);
    Kind::ALL.map(|kind| lists.of(kind).fingerprint)
}

fn is_own(server: &Server, backend: &BackendId) -> bool {
    server.personal.as_ref().is_some_and(|personal| personal.asks(backend))
}
