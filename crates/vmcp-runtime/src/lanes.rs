//! Threads that each serve connections of their own on a runtime of their own. A connection stays where it was handed to,
//! and so does everything that it wakes: passing wake-ups between threads costs more than the work they wake for.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::{Drain, ServerTls};

/// Connections that wait for their lane to take them.
const WAITING: usize = 1_024;
/// Connections of one lane that shake hands at once; each has a time for it.
const SHAKING: usize = 1_024;

/// Starts to serve `listener`, on one lane per processor, until `drain` says to stop. `router` is called once for each, on
/// its thread. With `tls` nothing else is spoken.
///
/// # Errors
/// A thread or its runtime cannot be started.
pub fn serve_on_lanes(
    listener: TcpListener,
    tls: Option<ServerTls>,
    drain: &Drain,
    router: impl Fn() -> Router + Clone + Send + 'static,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let mut lanes = Vec::with_capacity(count);
    for number in 0..count {
        let (hand, handed) = mpsc::channel(WAITING);
        lanes.push(hand);
        let (ended, wait) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (router, stop, tls) = (router.clone(), drain.clone(), tls.clone());
        std::thread::Builder::new().name(format!("lane-{number}")).spawn(move || {
            runtime.block_on(serve(
                Handed { handed, address, tls, shaking: FuturesUnordered::new() },
                router(),
                stop,
            ));
            drop(ended);
        })?;
        // The lane has ended when its sender is gone.
        drain.spawn(async move { drop(wait.await) });
    }
    let stop = drain.clone();
    drain.spawn(async move {
        tokio::select! {
            () = stop.stopped() => {}
            () = hand_out(listener, lanes) => {}
        }
    });
    Ok(())
}

async fn serve(handed: Handed, router: Router, drain: Drain) {
    let stop = drain.clone();
    let router = router.into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(handed, router).with_graceful_shutdown(async move { stop.stopped().await });
    if let Err(error) = serving.await {
        tracing::error!(%error, "listener ended");
    }
}

/// Who holds the other end of a connection; requests carry it as `ConnectInfo<Peer>`.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Handed>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Handed>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Each connection to the next lane that takes one. Where none does, whoever comes goes away at once, and can ask elsewhere.
async fn hand_out(mut listener: TcpListener, lanes: Vec<mpsc::Sender<(std::net::TcpStream, SocketAddr)>>) {
    for first in (0..lanes.len()).cycle() {
        // Accepting waits and goes on when there are no descriptors left.
        let (stream, peer) = Listener::accept(&mut listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let mut handed = match stream.into_std() {
            Ok(stream) => (stream, peer),
            Err(error) => {
                tracing::debug!(%error, "could not hand out a connection");
                continue;
            }
        };
        for lane in lanes[first..].iter().chain(&lanes[..first]) {
            // One that has ended takes nothing either: the process is stopping, or a bug has ended it, which is in the log.
            handed = match lane.try_send(handed) {
                Ok(()) => break,
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => back,
            };
        }
    }
}

/// The connections of one lane, as axum wants to accept them.
struct Handed {
    handed: mpsc::Receiver<(std::net::TcpStream, SocketAddr)>,
    address: SocketAddr,
    tls: Option<ServerTls>,
    /// Those that shake hands.
    shaking: FuturesUnordered<BoxFuture<'static, Option<(Connection, SocketAddr)>>>,
}

type Connection = Either<TcpStream, TlsStream<TcpStream>>;

impl Listener for Handed {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let can_take = self.shaking.len() < SHAKING;
            tokio::select! {
                handed = self.handed.recv(), if can_take => {
                    // Nobody hands out any more: the process is stopping, and whoever waits here is told otherwise.
                    let Some((stream, peer)) = handed else { return std::future::pending().await };
                    match (TcpStream::from_std(stream), self.tls.clone()) {
                        (Ok(stream), None) => return (Either::Left(stream), peer),
                        (Ok(stream), Some(tls)) => self.shaking.push(Box::pin(shake(tls, stream, peer))),
                        (Err(error), _) => tracing::debug!(%error, "could not take a connection"),
                    }
                }
                Some(shaken) = self.shaking.next() => if let Some(accepted) = shaken {
                    return accepted;
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn shake(tls: ServerTls, stream: TcpStream, peer: SocketAddr) -> Option<(Connection, SocketAddr)> {
    match tls.accept(stream).await {
        Ok(stream) => Some((Either::Right(stream), peer)),
        Err(error) => {
            tracing::debug!(%error, "no TLS with who has connected");
            None
        }
    }
}
