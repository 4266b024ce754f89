//! What some backends offer single callers: asked in the caller's name when it is not known, one question at a time for each, kept for a
//! while, within bounds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue};
use moka::Expiry;
use moka::future::Cache as Asking;
use moka::sync::Cache;
use vmcp_core::inventory::Inventory;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_introspect::{Contact, Credential};
use vmcp_revision::Digest;

use crate::asked::{Action, Ask, Asked};
use crate::outgoing::NotShown;
use crate::plane::Plane;
use crate::principal::{Identity, Scope};
use crate::session::Sessions;
use crate::snapshot::{PersonalBackend, Reading, Server};

/// Shared by all lanes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PersonalInventories {
    fresh: Asking<Key, Heard>,
    /// What a backend last said, in case it does not answer.
    good: Cache<Key, Arc<Inventory>>,
    servers: Cache<(Name, [u8; 32]), Arc<Made>>,
}

/// Who asks whom: what a backend and its virtual server were published as, and the grant that the caller has come with.
type Key = ([Digest; 2], [u8; 32]);

/// What came of asking.
#[derive(Debug, Clone)]
struct Heard {
    /// `None`: it does not answer.
    inventory: Option<Arc<Inventory>>,
    good_for: Duration,
}

/// A server that was made for one caller, and from what.
#[derive(Debug)]
struct Made {
    base: Arc<Server>,
    inventories: BTreeMap<Name, Arc<Inventory>>,
    server: Arc<Server>,
}

struct GoodFor;

impl Expiry<Key, Heard> for GoodFor {
    fn expire_after_create(&self, _: &Key, heard: &Heard, _: Instant) -> Option<Duration> {
        Some(heard.good_for)
    }
}

impl fmt::Debug for PersonalInventories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalInventories")
    }
}

impl Default for PersonalInventories {
    fn default() -> Self {
        let bytes =
            |inventory: &Inventory| inventory.items.iter().map(|item| item.definition.len() + 256).sum();
        let weight = move |inventory: Option<&Arc<Inventory>>| {
            let bytes: usize = inventory.map_or(256, |inventory| bytes(inventory));
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let fresh = Asking::builder()
            .weigher(move |_: &Key, heard: &Heard| weight(heard.inventory.as_ref()))
            .max_capacity(limits::PERSONAL_INVENTORIES_BYTES)
            .expire_after(GoodFor);
        let good = Cache::builder()
            .weigher(move |_: &Key, inventory: &Arc<Inventory>| weight(Some(inventory)))
            .max_capacity(limits::PERSONAL_INVENTORIES_BYTES)
            .time_to_idle(limits::PERSONAL_KEPT_TIME);
        let servers = Cache::builder()
            .weigher(|_: &(Name, [u8; 32]), made: &Arc<Made>| made.server.bytes())
            .max_capacity(limits::PERSONAL_SERVERS_BYTES)
            .time_to_idle(limits::PERSONAL_KEPT_TIME);
        Self { fresh: fresh.build(), good: good.build(), servers: servers.build() }
    }
}

/// Whether what is asked for may be something that this caller alone is offered. What everybody is offered goes before, and needs no
/// backend to be asked.
pub(crate) fn is_personal(server: &Server, sessions: &Sessions, asked: &Asked<'_>) -> bool {
    if server.personal.is_none() {
        return false;
    }
    if let Ask::List(_) = asked.ask {
        return true;
    }
    let index = &server.index;
    match asked.action() {
        Ok(Some(action)) => match &action {
            Action::CallTool(name) => index.tool(name).is_none(),
            Action::GetPrompt(name) | Action::CompletePrompt(name) => index.prompt(name).is_none(),
            Action::CompleteTemplate(uri) => index.template(uri).is_none(),
            Action::ReadResource(uri) | Action::WatchResource(uri) => {
                matches!(index.resource(uri), Reading::Nobody)
            }
            Action::UseTask(id) => {
                let scope = Scope { server: &server.name, principal: asked.principal };
                sessions.open_task(scope, id).is_some_and(|task| index.tool(&task.tool).is_none())
            }
        },
        // It is refused, whoever asks.
        Ok(None) | Err(_) => false,
    }
}

/// The server as this caller sees it.
pub(crate) async fn personal(plane: &Plane, base: &Arc<Server>, identity: &Identity) -> Arc<Server> {
    let Some(personal) = &base.personal else { return base.clone() };
    let all = personal.asked.iter().map(async |backend| {
        let inventory = plane.personal_inventories.of(plane, backend, identity).await?;
        Some((backend.backend.id.name.clone(), inventory))
    });
    let inventories: BTreeMap<Name, Arc<Inventory>> = join_all(all).await.into_iter().flatten().collect();
    plane.personal_inventories.server(base, inventories, identity)
}

impl PersonalInventories {
    /// What a backend offers this caller; what it last did, if it does not answer.
    async fn of(
        &self,
        plane: &Plane,
        asked: &PersonalBackend,
        identity: &Identity,
    ) -> Option<Arc<Inventory>> {
        let key = (asked.asked_by, identity.marks().0);
        // Boxed: asking a backend for everything is large, and rare.
        let heard =
            self.fresh.get_with(key, Box::pin(ask(plane, asked, identity, self.good.get(&key)))).await;
        match heard.inventory {
            // It is nothing to fall back on.
            Some(inventory) if !inventory.unread.is_empty() => Some(inventory),
            Some(inventory) => {
                if self.good.get(&key).is_none_or(|known| !Arc::ptr_eq(&known, &inventory)) {
                    self.good.insert(key, inventory.clone());
                }
                Some(inventory)
            }
            None => self.good.get(&key),
        }
    }

    /// The server as a caller saw it last, if it is still made of this one.
    pub(crate) fn made(&self, base: &Arc<Server>, identity: &Identity) -> Option<Arc<Server>> {
        let made = self.servers.get(&(base.name.clone(), identity.marks().0))?;
        Arc::ptr_eq(&made.base, base).then(|| made.server.clone())
    }

    fn server(
        &self,
        base: &Arc<Server>,
        inventories: BTreeMap<Name, Arc<Inventory>>,
        identity: &Identity,
    ) -> Arc<Server> {
        let key = (base.name.clone(), identity.marks().0);
        if let Some(made) = self.servers.get(&key)
            && Arc::ptr_eq(&made.base, base)
            && made.inventories.len() == inventories.len()
            && made
                .inventories
                .iter()
                .zip(&inventories)
                .all(|((one, was), (other, is))| one == other && Arc::ptr_eq(was, is))
        {
            return made.server.clone();
        }
        let server = base.for_one(&inventories).map_or_else(|| base.clone(), Arc::new);
        let made = Made { base: base.clone(), inventories, server: server.clone() };
        self.servers.insert(key, Arc::new(made));
        server
    }
}

/// Asks a backend in a caller's name. What it cannot list is what it `last` was, and what is the same value is the same one, so that it
/// makes the same server. Whoever is refused is offered nothing.
async fn ask(
    plane: &Plane,
    asked: &PersonalBackend,
    identity: &Identity,
    last: Option<Arc<Inventory>>,
) -> Heard {
    let silent = Heard { inventory: None, good_for: limits::PERSONAL_RETRY_TIME };
    let (backend, at_once) = (&asked.backend, &asked.at_once);
    let (Some(described), false) = (asked.described(), backend.is_avoided()) else { return silent };
    let refused = || Heard { inventory: Some(Arc::default()), ..silent.clone() };
    let header = async || backend.shown.header(&plane.tokens, identity).await;
    let asking = async |header: Option<(HeaderName, HeaderValue)>| {
        let credential = Credential::by(move || std::future::ready(Ok(header.clone())).boxed());
        let asking = async {
            // Nobody closes it.
            let _place = at_once.acquire().await;
            let contact =
                Contact::open(&plane.exchange, &described.endpoints, credential, limits::PROBE_TIME).await?;
            let heard = contact.ask().await?;
            contact.end_session().await;
            Ok::<_, vmcp_mcp::Failure>(heard)
        };
        vmcp_introspect::within(limits::PERSONAL_ASK_TIME, asking).await
    };
    let shown = match header().await {
        Ok(header) => header,
        Err(NotShown::Refused) => return refused(),
        Err(NotShown::Unavailable) => return silent,
    };
    let mut asked = asking(shown.clone()).await;
    if let Err(failure) = &asked
        && backend.shown.replace_refused((&plane.tokens, identity), shown.as_ref(), failure).await
    {
        asked = match header().await {
            Ok(header) => asking(header).await,
            Err(NotShown::Refused) => return refused(),
            Err(NotShown::Unavailable) => return silent,
        };
    }
    match asked {
        Ok(heard) => {
            let longest = limits::PERSONAL_FRESH_TIME;
            if !heard.inventory.unread.is_empty() {
                let inventory = heard.inventory.keeping(last.as_deref().unwrap_or(&Inventory::default()));
                return Heard { inventory: Some(Arc::new(inventory)), ..silent };
            }
            let good_for =
                heard.fresh.map_or(longest, |fresh| fresh.clamp(limits::PERSONAL_RETRY_TIME, longest));
            let same = last.filter(|last| **last == heard.inventory);
            Heard { inventory: Some(same.unwrap_or_else(|| Arc::new(heard.inventory))), good_for }
        }
        Err(failure) if vmcp_introspect::is_refusal(&failure) => refused(),
        Err(failure) => {
            tracing::debug!(backend = %backend.id, error = failure.in_full(), "what a caller is offered is not known");
            silent
        }
    }
}
