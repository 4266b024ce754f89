//! From a backend's answer to the client's: held to the request, bridged, and passed on whole or event by event.

pub(crate) mod resumption;
mod standing;
mod stream;

pub(crate) use standing::Standing;
pub(crate) use stream::event_stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use vmcp_core::limits;
use vmcp_json::{Edits, Limits, Object, quote};
use vmcp_mcp::{
    self as mcp, Answer, Answered, Era, Id, Message, Outcome, Request, Response as Answering, method,
};

use crate::asked::{Ask, Asked, Client};
use crate::audit::{Ended, Entry};
use crate::backend::{Admitted, Opened};
use crate::bridge::{self, Bridge};
use crate::plane::Plane;
use crate::principal::Scope;
use crate::questions::{decline, under_id};
use crate::refusal::{Reason, Refusal};
use crate::reply::json;
use crate::round::Round;
use crate::session::Session;
use crate::shared::SharedCall;
use crate::task::TaskId;

/// What is needed to pass on the answer to one request.
#[derive(Debug)]
pub(crate) struct Relay {
    plane: Arc<Plane>,
    /// The call's place at the backend, kept until the answer has gone out.
    admitted: Arc<Admitted>,
    bridge: Bridge,
    /// What seals a state that the backend keeps with the client.
    round: Option<Round>,
    /// The call as the backend knows it, if clients share its session.
    shared: Option<Box<SharedCall>>,
    /// How often the backend has asked something on the way.
    asked: AtomicUsize,
    /// It is about a task.
    is_about_task: bool,
    /// What the backend says that others may keep, they may not.
    is_private: bool,
    /// The client's id, as it wrote it.
    id: String,
    /// In whose session a backend may ask something.
    client: Option<Session>,
    /// The backend session that must live as long as the answer.
    session: Option<Arc<Opened>>,
    /// What is asked again when policies change while it is answered, if there are any.
    standing: Option<Standing>,
    /// What becomes the record of it.
    entry: Entry,
}

/// What one message of a backend means for the client.
#[derive(Debug)]
enum Passed {
    /// The response to its request, and what it says of itself.
    Response(Bytes, Ended),
    /// How far its request has come.
    Progress(Bytes),
    /// Something else about its request.
    Notification(Bytes),
    /// Something that the backend asks of it, and the number of that question.
    Question(u64, Bytes),
    /// Nothing.
    Nothing,
}

/// The client's answer.
pub(crate) async fn answer(mut relay: Relay, answered: Answered) -> Result<Response, Refusal> {
    let whole = match answered.answer {
        Answer::Stream(events) => return Ok(stream::respond(relay, events)),
        whole => relay.whole(whole),
    };
    match whole {
        Ok((status, body, ended)) => {
            relay.entry.answered(ended, body.len());
            Ok(json(status, body))
        }
        Err(refusal) => {
            relay.entry.refused(&refusal);
            Err(refusal)
        }
    }
}

impl Relay {
    /// An answer that has come whole.
    fn whole(&self, answer: Answer) -> Result<(StatusCode, Bytes, Ended), Refusal> {
        match answer {
            Answer::Message(body) => match self.pass(body)? {
                Passed::Response(body, ended) => Ok((StatusCode::OK, body, ended)),
                Passed::Progress(_) | Passed::Notification(_) | Passed::Question(..) | Passed::Nothing => {
                    Err(self.refusal(Reason::Protocol))
                }
            },
            Answer::Accepted | Answer::Stream(_) => Err(self.refusal(Reason::Protocol)),
            Answer::Refused {
                status: StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE,
                retry_after: Some(time),
                ..
            } => Err(self.admitted.busy(time).with_id(&self.id)),
            // Whatever else it says: it is our credential that it refuses.
            Answer::Refused {
                status: status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), ..
            } => Err(self.refusal(Reason::from(status))),
            // A modern backend says "no" with a status and a JSON-RPC error; both are the client's.
            Answer::Refused { status, body, .. } => match self.read(body) {
                Ok(Passed::Response(body, ended)) => {
                    self.admitted.succeeded();
                    Ok((self.status_of(status), body, ended))
                }
                Ok(_) | Err(_) => Err(self.refusal(Reason::from(status))),
            },
        }
    }

    pub(crate) fn new(
        plane: Arc<Plane>,
        admitted: Admitted,
        (bridge, round, shared): (Bridge, Option<Round>, Option<Box<SharedCall>>),
        (is_public, standing): (bool, Option<Standing>),
        (asked, entry): (&Asked<'_>, Entry),
        session: Option<Arc<Opened>>,
    ) -> Self {
        let (id, client) = (asked.request.id.raw().to_owned(), asked.client.session());
        let is_about_task = asked.ask.is_about_task();
        let is_private = asked.ask == Ask::ReadResource && asked.client == Client::Modern && !is_public;
        let (admitted, asked) = (Arc::new(admitted), AtomicUsize::new(0));
        Self {
            plane,
            admitted,
            bridge,
            round,
            shared,
            asked,
            is_about_task,
            is_private,
            id,
            client,
            session,
            standing,
            entry,
        }
    }

    /// The client's answer where the backend's cannot be passed on.
    fn refusal(&self, reason: Reason) -> Refusal {
        self.admitted.refuse(reason).with_id(&self.id)
    }

    /// Reads one message of the backend and decides what becomes of it. A response shows that the backend works.
    fn pass(&self, body: Bytes) -> Result<Passed, Refusal> {
        let passed = self.read(body).map_err(|reason| self.refusal(reason))?;
        match passed {
            Passed::Response(..) => self.admitted.succeeded(),
            Passed::Progress(_) | Passed::Notification(_) | Passed::Question(..) => self.admitted.is_alive(),
            Passed::Nothing => {}
        }
        Ok(passed)
    }

    fn read(&self, body: Bytes) -> Result<Passed, Reason> {
        let limits = self.plane.exchange.answer_limits();
        let message = Message::parse(&body, &limits).map_err(|_| Reason::Protocol)?;
        match message {
            Message::Notification(notification) if notification.method == method::PROGRESS => {
                let Some(shared) = &self.shared else { return Ok(Passed::Progress(body.clone())) };
                Ok(shared.read_progress(&notification, &body).map_or(Passed::Nothing, Passed::Progress))
            }
            Message::Notification(notification) if is_about_request(&notification.method) => {
                Ok(Passed::Notification(body.clone()))
            }
            Message::Response(response) => match response.id {
                Some(id) if id.is(self.shared.as_ref().map_or(&self.id, |shared| &shared.id)) => {
                    let mut edits = Edits::new();
                    match &self.round {
                        Some(round) => self.seal(round, &response, &mut edits)?,
                        None => bridge::read_response(self.bridge, &response, &mut edits)?,
                    }
                    if self.is_private {
                        bridge::keep_private(&response, &mut edits);
                    }
                    let bridged = if edits.is_empty() { body.clone() } else { edits.apply(&body).into() };
                    let ended = self.entry.read(&response, &limits);
                    Ok(Passed::Response(under_our_id(id, &self.id, bridged, &limits), ended))
                }
                _ => {
                    self.plane.counters.dropped().inc();
                    Ok(Passed::Nothing)
                }
            },
            Message::Request(request) => Ok(self.question(&request, &body)),
            Message::Notification(_) => Ok(Passed::Nothing),
        }
    }

    /// Seals the state of a response, if the backend keeps one with the client, and calls its task, if it is about one, as the client
    /// knows it.
    fn seal(&self, round: &Round, response: &Answering<'_>, edits: &mut Edits<'_>) -> Result<(), Reason> {
        let Outcome::Result(result) = &response.outcome else { return Ok(()) };
        let kind = result.get("resultType").map_or("", |kind| kind.raw());
        let (state, task) = (result.get("requestState"), result.get("taskId"));
        if let Some(state) = state.filter(|_| kind == "\"input_required\"") {
            let sealed = state.as_str().and_then(|state| round.seal(&self.plane.sessions, &state));
            edits.replace_with(state, quote(&sealed.ok_or(Reason::Protocol)?).into());
        }
        if let Some(task) = task.filter(|_| self.is_about_task || kind == "\"task\"") {
            let id = match self.is_about_task {
                true => round.task_id(),
                false => task.as_str().zip(round.tool()).map(|(id, tool)| {
                    let scope = Scope { server: &round.server, principal: round.principal };
                    let backend = round.backend.name.clone();
                    self.plane.sessions.seal_task(scope, &TaskId { backend, tool, id: id.into_owned() })
                }),
            };
            edits.replace_with(task, quote(&id.ok_or(Reason::Protocol)?).into());
        }
        Ok(())
    }

    /// What a legacy backend asks on the way to its answer goes to the client, if that has said that it may be asked; else we say no.
    /// A modern one may ask nothing.
    fn question(&self, request: &Request<'_>, body: &[u8]) -> Passed {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= limits::ASKED_OF_CLIENT {
            self.plane.counters.dropped().inc();
            return Passed::Nothing;
        }
        match (&self.client, &self.session) {
            (Some(client), Some(opened)) if client.declared.allows(&request.method) => {
                let (number, message) = self.plane.questions.ask(client, opened, request, body);
                return Passed::Question(number, message);
            }
            _ => {}
        }
        self.plane.counters.dropped().inc();
        self.tell_backend(decline(request));
        Passed::Nothing
    }

    /// Answers what a legacy backend has asked.
    fn tell_backend(&self, answer: Bytes) {
        if let Some(opened) = &self.session {
            return opened.say(&self.plane.exchange, answer);
        }
        // One that keeps no sessions waits for its answer all the same.
        let legacy = self.admitted.backend().legacy.filter(|_| self.bridge.backend_speaks() == Era::Legacy);
        let Some(legacy) = legacy else { return };
        let session = mcp::Session { version: legacy.version, id: None, duplex: None };
        let (peer, plane) = (self.admitted.peer(), self.plane.clone());
        tokio::spawn(async move {
            let telling = session.send(&plane.exchange, &peer, answer);
            // Whether the backend likes the answer changes nothing for the client.
            let _ = tokio::time::timeout(limits::PROBE_TIME, telling).await;
        });
    }

    /// A modern client must see the status that belongs to some codes; everything else behind us is 200.
    fn status_of(&self, status: StatusCode) -> StatusCode {
        let is_modern = self.bridge == Bridge::None(Era::Modern);
        let says_something = matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND);
        if is_modern && says_something { status } else { StatusCode::OK }
    }
}

/// Whether a body is the backend's own answer to the request with this id, whatever its status.
pub(crate) fn is_response_to(id: &str, body: &[u8]) -> bool {
    let limits = Limits::new(body.len(), limits::DEPTH).with_lone_surrogates();
    match Message::parse(body, &limits) {
        Ok(Message::Response(response)) => response.id.is_some_and(|answered| answered.is(id)),
        _ => false,
    }
}

/// Lists change by our snapshot, not by what one backend says of its own.
fn is_about_request(name: &str) -> bool {
    !matches!(name, method::TOOLS_CHANGED | method::RESOURCES_CHANGED | method::PROMPTS_CHANGED)
}

/// The same id, written as the client wrote it.
fn under_our_id(theirs: Id<'_>, ours: &str, body: Bytes, limits: &Limits) -> Bytes {
    if theirs.raw() == ours {
        return body;
    }
    let Ok(object) = Object::parse(&body, limits) else { return body };
    under_id(object.get("id"), ours, &body)
}
