//! Where a control plane is followed: over gRPC, or in the same process by the same messages.

use std::fmt;
use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Uri;
use vmcp_core::limits;
use vmcp_runtime::{ConnectFiles, Drain};

use crate::grpc::{self, Remote};
use crate::protocol::{FromReplica, ToReplica};
use crate::publish::Publisher;

/// A control plane.
#[derive(Debug, Clone)]
pub enum Source {
    /// At an address.
    Remote(Box<Remote>),
    /// In this process.
    Here(Publisher),
}

/// A control plane at an address, over TLS by `files` if they are there.
pub fn remote(address: Uri, files: Option<ConnectFiles>) -> Source {
    Source::Remote(Box::new(Remote::new(address, files)))
}

/// An open stream.
pub(crate) struct Link {
    pub(crate) outbound: mpsc::Sender<FromReplica>,
    pub(crate) inbound: Pin<Box<dyn Stream<Item = Result<ToReplica, String>> + Send>>,
}

impl Source {
    pub(crate) async fn open(&self, drain: &Drain) -> Result<Link, String> {
        let (outbound, sent) = mpsc::channel(limits::STREAM_MESSAGES);
        let sent = ReceiverStream::new(sent);
        let inbound = match self {
            Self::Remote(remote) => tokio::select! {
                () = drain.stopped() => return Err("stopped".to_owned()),
                inbound = tokio::time::timeout(limits::SILENCE_TIME, grpc::follow(remote, sent)) => {
                    inbound.map_err(|_| "no answer".to_owned())??
                }
            },
            Self::Here(publisher) => {
                let (reply, inbound) = mpsc::channel(limits::STREAM_MESSAGES);
                let (publisher, stop) = (publisher.clone(), drain.clone());
                drain.spawn(async move {
                    publisher.serve(sent.map(Ok::<_, String>), reply, stop).await;
                });
                ReceiverStream::new(inbound).map(Ok).boxed()
            }
        };
        Ok(Link { outbound, inbound })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(remote) => remote.fmt(f),
            Self::Here(_) => f.write_str("this process"),
        }
    }
}
