//! The publish service over gRPC: streams of those who may follow, and of nothing but what they may.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, StreamExt, future, stream};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_proto::v1;
use vmcp_proto::v1::publish_server::{Publish, PublishServer};
use vmcp_runtime::Drain;

use crate::protocol::FromReplica;
use crate::publish::Publisher;

/// What whoever is connected may follow. Each request carries one; without it nobody may follow anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follows {
    /// Whose streams are counted together.
    identity: Option<Arc<str>>,
    rights: Rights,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rights {
    Nothing,
    All,
    Some(Vec<Name>),
}

impl Follows {
    /// For a listener that only this machine reaches.
    pub const fn everything() -> Self {
        Self { identity: None, rights: Rights::All }
    }

    /// For somebody who may not follow.
    pub const fn nothing() -> Self {
        Self { identity: None, rights: Rights::Nothing }
    }

    /// For an identity that may have these virtual servers, or all.
    pub fn some(identity: String, virtual_servers: Option<Vec<Name>>) -> Self {
        let rights = virtual_servers.map_or(Rights::All, Rights::Some);
        Self { identity: Some(identity.into()), rights }
    }

    /// What a replica wants, if it may have that: who does not say gets all that it may have.
    fn narrowed(&self, wanted: Vec<Name>) -> Result<Vec<Name>, Status> {
        let Rights::Some(allowed) = &self.rights else { return Ok(wanted) };
        if let Some(other) = wanted.iter().find(|name| !allowed.contains(name)) {
            return Err(Status::permission_denied(format!("this certificate may not follow `{other}`")));
        }
        match (wanted.is_empty(), allowed.is_empty()) {
            // An empty list would be all.
            (true, true) => Err(Status::permission_denied("this certificate may follow no virtual server")),
            (true, false) => Ok(allowed.clone()),
            (false, _) => Ok(wanted),
        }
    }
}

struct Service {
    publisher: Publisher,
    drain: Drain,
    /// Places of identities, each of which has so many streams.
    places: Held,
    /// Names of replicas: nobody takes another's.
    names: Held,
}

/// What streams hold, each with whom it is for, and how many hold it.
type Held = Arc<Mutex<HashMap<Arc<str>, (Option<Arc<str>>, usize)>>>;

/// One stream's part in what it holds, given back when it ends.
struct Hold(Held, Arc<str>);

impl Hold {
    /// `None`: somebody else holds it, or as many as may.
    fn take(held: &Held, what: Arc<str>, whose: Option<Arc<str>>, most: usize) -> Option<Self> {
        let mut all = held.lock().unwrap_or_else(PoisonError::into_inner);
        let (owner, count) = all.entry(what.clone()).or_insert_with(|| (whose.clone(), 0));
        if *owner != whose || *count >= most {
            return None;
        }
        *count += 1;
        Some(Self(held.clone(), what))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = all.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.1);
            }
        }
    }
}

/// The service to add to a gRPC server, whose requests carry [`Follows`]. Its streams end when `drain` says to stop.
pub fn publish_service(publisher: Publisher, drain: Drain) -> PublishServer<impl Publish> {
    let service = Service { publisher, drain, places: Held::default(), names: Held::default() };
    PublishServer::new(service).max_decoding_message_size(limits::PUBLISH_MESSAGE_BYTES)
}

#[tonic::async_trait]
impl Publish for Service {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<v1::ToReplica, Status>> + Send>>;

    async fn follow(
        &self,
        request: Request<Streaming<v1::FromReplica>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let follows = request.extensions().get::<Follows>().cloned().unwrap_or(Follows::nothing());
        if follows.rights == Rights::Nothing {
            return Err(Status::permission_denied("this certificate may not follow"));
        }
        let full = || Status::resource_exhausted("this certificate has too many streams");
        let take =
            |identity| Hold::take(&self.places, identity, None, limits::STREAMS_PER_PEER).ok_or_else(full);
        let place = follows.identity.clone().map(take).transpose()?;
        let (outbound, sent) = mpsc::channel(limits::STREAM_MESSAGES);
        let (refuse, refused) = oneshot::channel();
        let mut refuse = Some(refuse);
        let (names, mut held) = (self.names.clone(), Vec::new());
        let (publisher, drain) = (self.publisher.clone(), self.drain.clone());
        let inbound = request.into_inner().map(move |message| {
            let message = message.map_err(|status| status.message().to_owned())?;
            let message = FromReplica::try_from(message).map_err(|violation| violation.to_string())?;
            let FromReplica::Hello(mut hello) = message else { return Ok::<_, String>(message) };
            let mut told = |status: Status| {
                let why = status.message().to_owned();
                // Told on the stream, which is open by now.
                let _ = refuse.take().map(|refuse| refuse.send(status));
                why
            };
            hello.virtual_servers = follows.narrowed(hello.virtual_servers).map_err(&mut told)?;
            let name: Arc<str> = hello.replica.as_str().into();
            let Some(name) = Hold::take(&names, name, follows.identity.clone(), usize::MAX) else {
                let why = format!("`{}` is a replica that shows another certificate", hello.replica);
                return Err(told(Status::permission_denied(why)));
            };
            held.push(name);
            Ok(FromReplica::Hello(hello))
        });
        // Ends with the stream, whoever closes it.
        self.drain.spawn(async move {
            let _place = place;
            drop(publisher.serve(inbound, outbound, drain).await);
        });
        let sent = ReceiverStream::new(sent).map(|message| Ok(v1::ToReplica::from(message)));
        let refused = stream::once(refused).filter_map(|refused| future::ready(refused.ok().map(Err)));
        Ok(Response::new(Box::pin(sent.chain(refused))))
    }
}
