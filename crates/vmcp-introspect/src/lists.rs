//! One list of a backend, page by page to its end.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use vmcp_core::item::{Item, Kind};
use vmcp_core::limits;
use vmcp_core::sentence::shown;
use vmcp_json::{Object, quote};
use vmcp_mcp::{
    Exchange, Failure, Message, Misuse, OURSELVES, Outcome, Peer, Session, check_annotations, method,
    modern_params, request,
};

use crate::within;

/// Whom we ask, and in which session, if the backend is legacy.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) peer: &'a Peer,
    pub(crate) session: Option<&'a Session>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) items: Vec<Item>,
    pub(crate) faults: Vec<String>,
    /// Items that are none.
    left_out: usize,
    /// It was not read to its end.
    pub(crate) is_unread: bool,
    /// For how long the backend says that it is good.
    pub(crate) fresh: Option<Duration>,
}

impl Asking<'_> {
    /// Items up to the end or to a bound; what went wrong is said and loses only what came after it.
    /// `room` is what is left of the bytes that the backend may take.
    pub(crate) async fn list(&self, kind: Kind, room: &mut usize) -> Listed {
        let mut listed = Listed::default();
        let result = within(limits::INVENTORY_TIME, self.pages(kind, &mut listed, room)).await;
        let more = listed.left_out.saturating_sub(limits::INVENTORY_FAULTS);
        if more > 0 {
            listed.faults.push(format!("{more} more {}s were left out", kind.noun()));
        }
        if let Err(failure) = result {
            listed.is_unread = true;
            listed.faults.push(format!("could not list {}s to the end: {failure}", kind.noun()));
        }
        listed
    }

    async fn pages(&self, kind: Kind, listed: &mut Listed, room: &mut usize) -> Result<(), Failure> {
        let mut cursor: Option<String> = None;
        let mut seen = HashSet::new();
        for page in 0..limits::INVENTORY_PAGES {
            let id = format!("\"vmcp-list-{page}\"");
            let body = self.ask(kind, &id, cursor.as_deref()).await?;
            *room =
                room.checked_sub(body.len()).ok_or(Failure::TooLarge { limit: limits::INVENTORY_BYTES })?;
            let limits = self.exchange.answer_limits();
            let Ok(Message::Response(response)) = Message::parse(&body, &limits) else {
                return Err(Failure::Protocol("not a response".into()));
            };
            let result = match response.outcome {
                Outcome::Result(result) => result,
                Outcome::Error { code, error } => {
                    let message =
                        error.get("message").and_then(|message| message.as_str()).unwrap_or_default();
                    return Err(Failure::Protocol(format!("{} ({code})", shown(&message))));
                }
            };
            take(kind, self.session.is_none(), &result, listed)?;
            // 0 says nothing of how often it changes.
            let ttl_ms = result.get("ttlMs").and_then(|ttl| ttl.raw().parse().ok()).filter(|ttl| *ttl > 0);
            let fresh = ttl_ms.map(Duration::from_millis);
            listed.fresh = [listed.fresh, fresh].into_iter().flatten().min();
            let Some(next) = result.get("nextCursor").and_then(|next| next.as_str()) else { return Ok(()) };
            if next.len() > limits::CURSOR_BYTES || !seen.insert(next.clone().into_owned()) {
                return Err(Failure::Protocol("a cursor came twice or is too long".into()));
            }
            cursor = Some(next.into_owned());
        }
        Err(Failure::Protocol(format!("more than {} pages", limits::INVENTORY_PAGES)))
    }

    async fn ask(&self, kind: Kind, id: &str, cursor: Option<&str>) -> Result<Bytes, Failure> {
        let name = match kind {
            Kind::Tool => method::TOOLS_LIST,
            Kind::Resource => method::RESOURCES_LIST,
            Kind::Template => method::TEMPLATES_LIST,
            Kind::Prompt => method::PROMPTS_LIST,
        };
        let members = cursor.map(|cursor| format!("\"cursor\":{}", quote(cursor))).unwrap_or_default();
        match self.session {
            None => {
                let body = request(id, name, Some(&modern_params(&OURSELVES, &members)));
                Ok(self.exchange.ask(self.peer.modern(name, body), id).await?.0)
            }
            Some(session) => {
                let params = format!("{{{members}}}");
                let body = request(id, name, (!members.is_empty()).then_some(params.as_str()));
                session.ask(self.exchange, self.peer, body, id).await
            }
        }
    }
}

fn take(kind: Kind, is_modern: bool, result: &Object<'_>, listed: &mut Listed) -> Result<(), Failure> {
    let items = result.get(kind.list()).and_then(|items| items.as_array());
    let items = items.ok_or_else(|| Failure::Protocol(format!("a result without `{}`", kind.list())))?;
    for item in items {
        if listed.items.len() + listed.left_out == limits::INVENTORY_ITEMS {
            return Err(Failure::Protocol(format!("more than {} items", limits::INVENTORY_ITEMS)));
        }
        let fault = match Item::read(kind, item.raw()) {
            Ok(item) => match misuse(&item, is_modern) {
                None => {
                    listed.items.push(item);
                    continue;
                }
                Some(misuse) => {
                    format!("the {} `{}` was left out: {misuse}", kind.noun(), shown(&item.original_name))
                }
            },
            Err(fault) => format!("a {} was left out: {fault}", kind.noun()),
        };
        listed.left_out += 1;
        if listed.left_out <= limits::INVENTORY_FAULTS {
            listed.faults.push(fault);
        }
    }
    Ok(())
}

/// What is wrong with the annotations of a tool that modern clients would leave out, too.
fn misuse(item: &Item, is_modern: bool) -> Option<Misuse> {
    let is_tool = is_modern && item.kind == Kind::Tool;
    is_tool.then(|| check_annotations(&item.definition, &limits::EXPOSED_ITEM).err()).flatten()
}
