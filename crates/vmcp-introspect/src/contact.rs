//! A backend that has answered: asked for its lists, listened to, and asked now and then whether it is still there.

use std::time::Duration;

use tokio::time::Instant;
use vmcp_core::desired::{Endpoints, Found, Transport};
use vmcp_core::inventory::{Abilities, Eras, Extensions, Inventory, Legacy};
use vmcp_core::item::Kind;
use vmcp_core::limits;
use vmcp_json::{Limits, Object};
use vmcp_mcp::{
    Carrier, Changes, Discovered, Exchange, Failure, Holder, Initialized, OURSELVES, Peer, check_roots,
    close, discover, extension, is_modern_alone, method, open, request,
};
use vmcp_runtime::{secret_file, secret_variable};

use crate::credential::Credential;
use crate::lists::Asking;
use crate::within;

/// A backend that has answered.
#[derive(Debug)]
pub struct Contact {
    exchange: Exchange,
    /// Without what it is shown.
    peer: Peer,
    credential: Credential,
    modern: Option<Discovered>,
    legacy: Option<Initialized>,
    /// It may speak an era that it has not shown, because of something that passes.
    pub is_unsure: bool,
}

/// What it offers, and for how long it says that is good.
#[derive(Debug)]
pub struct Asked {
    /// Every list, as far as it could be read.
    pub inventory: Inventory,
    /// Absent if it says nothing of that.
    pub fresh: Option<Duration>,
}

/// It is still there.
#[derive(Debug)]
pub struct Probed {
    /// How long it took to say so.
    pub took: Duration,
    /// Whether it says of itself what it said when it was met.
    pub is_same: bool,
}

const PING: &str = "\"vmcp-ping\"";

impl Contact {
    /// Asks each of its addresses until one answers.
    ///
    /// # Errors
    /// None does, or none speaks a version that we do: what the last one said.
    pub async fn open(
        exchange: &Exchange,
        endpoints: &Endpoints,
        credential: Credential,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let headers = endpoints.header_map(|found| match found {
            Found::Variable(name) => secret_variable(name),
            Found::File(path) => secret_file(path).map(Into::into),
        });
        let headers = headers.map_err(|error| Failure::Protocol(error.to_string()))?;
        if let Some(file) = &endpoints.ca_bundle {
            let checked = secret_file(file).and_then(|roots| check_roots(roots.as_bytes()));
            checked.map_err(|error| {
                Failure::Protocol(format!("`{}` does not hold certificates: {error}", file.display()))
            })?;
        }
        let carrier = match endpoints.transport {
            Transport::StreamableHttp => Carrier::StreamableHttp,
            Transport::Sse => Carrier::Sse,
        };
        let mut last = Failure::Protocol("has no address".to_owned());
        for url in &endpoints.urls {
            let peer = Peer { url: url.clone(), carrier, headers: headers.clone() };
            match Self::at(exchange, peer, credential.clone(), patience).await {
                Ok(contact) => return Ok(contact),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn at(
        exchange: &Exchange,
        bare: Peer,
        credential: Credential,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let mut is_unsure = false;
        let peer = shown(&bare, &credential).await?;
        let modern = match within(patience, discover(exchange, &peer, &OURSELVES)).await {
            Ok(modern) => modern,
            // Silence, or a fault, is how some legacy servers treat methods that they do not know.
            Err(Failure::TimedOut | Failure::Status(_)) => {
                is_unsure = true;
                None
            }
            Err(failure) => return Err(failure),
        };
        // A server that speaks both may name the modern versions alone, so it is asked, unless it is sure to speak no other.
        let is_modern_alone = match &modern {
            Some(modern) if !modern.names_legacy => {
                within(limits::GLANCE_TIME, async { Ok(is_modern_alone(exchange, &peer).await) })
                    .await
                    .unwrap_or(false)
            }
            _ => false,
        };
        let opening = async {
            match is_modern_alone {
                true => Ok(None),
                false => open(exchange, &peer, &OURSELVES, Holder::Nobody).await,
            }
        };
        let legacy = match (within(patience, opening).await, &modern) {
            (Ok(legacy), _) => legacy,
            (Err(_), Some(_)) => {
                is_unsure = true;
                None
            }
            (Err(failure), None) => return Err(failure),
        };
        if modern.is_none() && legacy.is_none() {
            return Err(Failure::Protocol("speaks no protocol version that we speak".into()));
        }
        let contact = Self { exchange: exchange.clone(), peer: bare, credential, modern, legacy, is_unsure };
        if contact.modern.is_some() {
            contact.end_session().await;
        }
        Ok(contact)
    }

    /// Every list that the backend has declared, within bounds. One that cannot be read is a fault of the inventory; the others stay.
    ///
    /// # Errors
    /// There is no credential for it now.
    pub async fn ask(&self) -> Result<Asked, Failure> {
        let instructions = match (&self.modern, &self.legacy) {
            (Some(modern), _) => modern.instructions.clone(),
            (None, Some(legacy)) => legacy.instructions.clone(),
            (None, None) => None,
        };
        let capabilities = self.capabilities();
        let session = self.legacy.as_ref().filter(|_| self.modern.is_none()).map(|legacy| &legacy.session);
        let peer = self.peer().await?;
        let asking = Asking { exchange: &self.exchange, peer: &peer, session };
        let limits = Limits::new(capabilities.len(), usize::MAX).with_lone_surrogates();
        let declared = Object::parse(capabilities.as_bytes(), &limits).ok();
        let declares = |name: &str| declared.as_ref().is_some_and(|declared| declared.member(name).is_some());
        let abilities = self.abilities();
        let mut inventory = Inventory { instructions, abilities, eras: self.eras(), ..Inventory::default() };
        let mut fresh = None;
        let mut room = limits::INVENTORY_BYTES;
        for kind in Kind::ALL {
            let capability = match kind {
                Kind::Tool => "tools",
                Kind::Prompt => "prompts",
                Kind::Resource | Kind::Template => "resources",
            };
            if !declares(capability) {
                continue;
            }
            let listed = asking.list(kind, &mut room).await;
            inventory.items.extend(listed.items);
            inventory.faults.extend(listed.faults);
            inventory.unread.extend(listed.is_unread.then_some(kind));
            fresh = [fresh, listed.fresh].into_iter().flatten().min();
        }
        Ok(Asked { inventory, fresh })
    }

    fn capabilities(&self) -> &str {
        match (&self.modern, &self.legacy) {
            (Some(modern), _) => &modern.capabilities,
            (None, Some(legacy)) => &legacy.capabilities,
            (None, None) => "{}",
        }
    }

    /// What it says it can do besides offering items.
    pub fn abilities(&self) -> Abilities {
        let capabilities = self.capabilities();
        let limits = Limits::new(capabilities.len(), usize::MAX).with_lone_surrogates();
        let declared = Object::parse(capabilities.as_bytes(), &limits).ok();
        let declares = |name: &str| declared.as_ref().is_some_and(|declared| declared.member(name).is_some());
        let resources =
            declared.as_ref().and_then(|declared| declared.get("resources")?.as_object()?.get("subscribe"));
        let extensions = declared.as_ref().and_then(|declared| declared.get("extensions")?.as_object());
        let extends = |name: &str| extensions.as_ref().is_some_and(|all| all.member(name).is_some());
        Abilities {
            completes: declares("completions"),
            logs: declares("logging"),
            subscribes: resources.is_some_and(|value| value.is_true()),
            extensions: Extensions { tasks: extends(extension::TASKS), apps: extends(extension::APPS) },
        }
    }

    /// What it can be spoken to as.
    pub fn eras(&self) -> Eras {
        let legacy = self.legacy.as_ref().map(|initialized| Legacy {
            version: initialized.session.version.to_string(),
            has_sessions: initialized.session.id.is_some() || initialized.session.duplex.is_some(),
        });
        Eras { modern: self.modern.is_some(), legacy }
    }

    /// What it says of its lists by itself; `None` if it does not.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn changes(&self) -> Result<Option<Changes>, Failure> {
        let peer = self.peer().await?;
        match (&self.modern, &self.legacy) {
            (Some(_), _) => {
                within(limits::PROBE_TIME, Changes::of_modern(&self.exchange, &peer, &OURSELVES)).await
            }
            (None, Some(legacy)) => {
                let listening = Changes::of_legacy(&self.exchange, &peer, &legacy.session);
                match within(limits::PROBE_TIME, listening).await {
                    // Some have no such route; only one that has forgotten the session does not answer in it either.
                    Err(failure) if self.is_forgotten(&failure) => {
                        self.probe(limits::PROBE_TIME).await.map(|_| None)
                    }
                    heard => heard,
                }
            }
            (None, None) => Ok(None),
        }
    }

    /// Whether it is still there.
    ///
    /// # Errors
    /// It is not, or does not say so in time.
    pub async fn probe(&self, patience: Duration) -> Result<Probed, Failure> {
        let peer = self.peer().await?;
        let began = Instant::now();
        within(patience, async {
            match (&self.modern, &self.legacy) {
                (Some(known), _) => match discover(&self.exchange, &peer, &OURSELVES).await? {
                    Some(now) => Ok(now == *known),
                    None => Err(Failure::Protocol("does not answer server/discover any more".into())),
                },
                (None, Some(legacy)) => {
                    let body = request(PING, method::PING, None);
                    legacy.session.ask(&self.exchange, &peer, body, PING).await.map(|_| true)
                }
                (None, None) => Ok(true),
            }
        })
        .await
        .map(|is_same| Probed { took: began.elapsed(), is_same })
    }

    /// Whether this says no more than that the backend has forgotten our session.
    pub fn is_forgotten(&self, failure: &Failure) -> bool {
        let has_session = self.legacy.as_ref().is_some_and(|legacy| legacy.session.id.is_some());
        has_session && matches!(failure, Failure::Status(status) if status.as_u16() == 404)
    }

    /// Ends the session, if there is one.
    pub async fn end_session(&self) {
        if let Some(legacy) = &self.legacy {
            // A backend that does not answer that forgets the session by itself.
            let Ok(peer) = self.peer().await else { return };
            let ending = close(&self.exchange, &peer, &legacy.session);
            let _ = tokio::time::timeout(limits::PROBE_TIME, ending).await;
        }
    }

    async fn peer(&self) -> Result<Peer, Failure> {
        shown(&self.peer, &self.credential).await
    }
}

/// The same, with what it is shown now.
async fn shown(peer: &Peer, credential: &Credential) -> Result<Peer, Failure> {
    let header = credential.header().await;
    let header =
        header.map_err(|why| Failure::Protocol(format!("is not asked without its credential: {why}")))?;
    let mut peer = peer.clone();
    if let Some((name, value)) = header {
        peer.headers.insert(name, value);
    }
    Ok(peer)
}
