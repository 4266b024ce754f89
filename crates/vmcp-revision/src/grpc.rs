//! Streams of the publish protocol over gRPC.

mod service;

use std::fmt;
use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use tonic::transport::{Channel, Endpoint, Uri};
use vmcp_core::limits;
use vmcp_proto::v1;
use vmcp_proto::v1::publish_client::PublishClient;
use vmcp_runtime::{ConnectFiles, connector};

use crate::protocol::{FromReplica, ToReplica};

pub use service::{Follows, publish_service};

/// A control plane at an address.
#[derive(Debug, Clone)]
pub struct Remote {
    endpoint: Endpoint,
    /// Over TLS by these, if they are there.
    files: Option<ConnectFiles>,
}

impl Remote {
    /// The connection is kept alive, so that a peer that is gone is noticed.
    pub(crate) fn new(address: Uri, files: Option<ConnectFiles>) -> Self {
        let endpoint = Endpoint::from(address)
            .connect_timeout(limits::PLANE_CONNECT_TIME)
            .http2_keep_alive_interval(limits::PING_TIME)
            .keep_alive_timeout(limits::PING_TIME)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        Self { endpoint, files }
    }

    /// Files are read again each time, so that certificates can be replaced.
    async fn connect(&self) -> Result<Channel, String> {
        let connected = match &self.files {
            None => self.endpoint.connect().await,
            Some(files) => {
                let connector = connector(files).map_err(|error| error.to_string())?;
                self.endpoint.connect_with_connector(connector).await
            }
        };
        connected.map_err(|error| in_full(&error))
    }
}

type Inbound = Pin<Box<dyn Stream<Item = Result<ToReplica, String>> + Send>>;

/// Opens a stream on which `sent` is said.
pub(crate) async fn follow(
    remote: &Remote,
    sent: impl Stream<Item = FromReplica> + Send + 'static,
) -> Result<Inbound, String> {
    let channel = remote.connect().await?;
    let mut client = PublishClient::new(channel).max_decoding_message_size(limits::PUBLISH_MESSAGE_BYTES);
    let answer = client.follow(sent.map(v1::FromReplica::from)).await.map_err(|status| in_words(&status))?;
    let inbound = answer.into_inner().map(|message| {
        let message = message.map_err(|status| in_words(&status))?;
        ToReplica::try_from(message).map_err(|violation| violation.to_string())
    });
    Ok(inbound.boxed())
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.uri().fmt(f)
    }
}

fn in_words(status: &tonic::Status) -> String {
    match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    }
}

/// An error with its causes: what the transport says alone is "transport error".
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
