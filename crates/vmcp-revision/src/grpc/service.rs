//! The publish service over gRPC.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use vmcp_core::limits;
use vmcp_proto::v1;
use vmcp_proto::v1::publish_server::{Publish, PublishServer};
use vmcp_runtime::Drain;

use crate::protocol::FromReplica;
use crate::publish::Publisher;

struct Service {
    publisher: Publisher,
    drain: Drain,
}

/// The service to add to a gRPC server. Its streams end when `drain` says to stop.
pub fn publish_service(publisher: Publisher, drain: Drain) -> PublishServer<impl Publish> {
    PublishServer::new(Service { publisher, drain }).max_decoding_message_size(limits::PUBLISH_MESSAGE_BYTES)
}

#[tonic::async_trait]
impl Publish for Service {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<v1::ToReplica, Status>> + Send>>;

    async fn follow(
        &self,
        request: Request<Streaming<v1::FromReplica>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let (outbound, sent) = mpsc::channel(limits::STREAM_MESSAGES);
        let (publisher, drain) = (self.publisher.clone(), self.drain.clone());
        let inbound = request.into_inner().map(|message| {
            let message = message.map_err(|status| status.message().to_owned())?;
            FromReplica::try_from(message).map_err(|violation| violation.to_string())
        });
        // Ends with the stream, whoever closes it.
        self.drain.spawn(async move { drop(publisher.serve(inbound, outbound, drain).await) });
        Ok(Response::new(Box::pin(ReceiverStream::new(sent).map(|message| Ok(v1::ToReplica::from(message))))))
    }
}
