//! Asking a control plane, and showing what it says. One verb a file.

pub(crate) mod apply;
mod change;
pub(crate) mod get;
pub(crate) mod status;
mod wait;

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use vmcp_core::limits;
use vmcp_proto::v1::control_client::ControlClient;
use vmcp_runtime::{connector, grpc_peer};

use crate::context;
use crate::failure::{Unreachable, WrongUsage};
use crate::settings::Server;

/// A control plane, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) control: ControlClient<Channel>,
    server: String,
}

/// Until an answer begins: an apply waits for the disk.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// A control plane that is silent for so long, and again for so long when it is asked, is taken for gone.
const ALIVE_TIME: Duration = Duration::from_secs(3);

/// The largest answer: a catalog of a hundred thousand items.
const ANSWER_BYTES: usize = 256 * 1024 * 1024;

impl Client {
    /// Connects to the control plane that is meant.
    pub(crate) async fn connect(server: &Server) -> anyhow::Result<Self> {
        let (server, files) = match &server.server {
            Some(url) => (url.clone(), server.shown.connect()),
            None => context::current(&server.shown)?,
        };
        let address =
            grpc_peer(&server, files.is_some(), "server").map_err(|error| WrongUsage(error.to_string()))?;
        let endpoint = Endpoint::from(address)
            .connect_timeout(limits::PLANE_CONNECT_TIME)
            .timeout(ANSWER_TIME)
            .http2_keep_alive_interval(ALIVE_TIME)
            .keep_alive_timeout(ALIVE_TIME)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        let connected = match &files {
            None => endpoint.connect().await,
            Some(files) => endpoint.connect_with_connector(connector(files)?).await,
        };
        let channel = connected.map_err(|error| Unreachable {
            server: server.clone(),
            why: anyhow::Error::from(error).chain().last().map(ToString::to_string).unwrap_or_default(),
        })?;
        let control = ControlClient::new(channel)
            .max_decoding_message_size(ANSWER_BYTES)
            .max_encoding_message_size(ANSWER_BYTES);
        Ok(Self { control, server })
    }

    /// The control plane has stopped while it was listened to.
    pub(crate) fn stopped(&self) -> anyhow::Error {
        Unreachable { server: self.server.clone(), why: "it has stopped".to_owned() }.into()
    }

    /// What a refusal means here: the control plane is gone, or the answer is no.
    pub(crate) fn explain(&self, status: &Status) -> anyhow::Error {
        let why = status.message().to_owned();
        match status.code() {
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded => {
                Unreachable { server: self.server.clone(), why }.into()
            }
            Code::Unimplemented => anyhow::anyhow!(
                "{} does not answer operators: is it where data planes follow? By default operators ask at port 4490",
                self.server
            ),
            // What the transport says when a connection breaks in the middle.
            Code::Unknown | Code::Internal
                if why.contains("h2 protocol error") || why.contains("transport") =>
            {
                Unreachable { server: self.server.clone(), why }.into()
            }
            _ => anyhow::Error::msg(why),
        }
    }

    /// The message of an answer, or why there is none.
    pub(crate) fn answered<T>(&self, answer: Result<tonic::Response<T>, Status>) -> anyhow::Result<T> {
        answer.map(tonic::Response::into_inner).map_err(|status| self.explain(&status))
    }
}
