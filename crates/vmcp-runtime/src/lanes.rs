//! Threads that each serve connections of their own on a runtime of their own. A connection stays where it was handed to,
//! and so does everything that it wakes: passing wake-ups between threads costs more than the work they wake for.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use crate::Drain;

/// Connections that wait for their lane to take them.
const WAITING: usize = 1_024;

/// Starts to serve `listener`, on one lane per processor, until `drain` says to stop. `router` is called once for each, on
/// its thread.
///
/// # Errors
/// A thread or its runtime cannot be started.
pub fn serve_on_lanes(
    listener: TcpListener,
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
        let (router, stop) = (router.clone(), drain.clone());
        std::thread::Builder::new().name(format!("lane-{number}")).spawn(move || {
            runtime.block_on(serve(Handed { handed, address }, router(), stop));
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
    let serving = axum::serve(handed, router).with_graceful_shutdown(async move { stop.stopped().await });
    if let Err(error) = serving.await {
        tracing::error!(%error, "listener ended");
    }
}

/// Each connection to the next lane.
async fn hand_out(mut listener: TcpListener, lanes: Vec<mpsc::Sender<(std::net::TcpStream, SocketAddr)>>) {
    for lane in lanes.iter().cycle() {
        // Accepting waits and goes on when there are no descriptors left.
        let (stream, peer) = Listener::accept(&mut listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        match stream.into_std() {
            // A lane that has ended takes nothing: the process is stopping, or a bug has ended it, which is in the log.
            Ok(stream) => drop(lane.send((stream, peer)).await),
            Err(error) => tracing::debug!(%error, "could not hand out a connection"),
        }
    }
}

/// The connections of one lane, as axum wants to accept them.
struct Handed {
    handed: mpsc::Receiver<(std::net::TcpStream, SocketAddr)>,
    address: SocketAddr,
}

impl Listener for Handed {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        while let Some((stream, peer)) = self.handed.recv().await {
            match TcpStream::from_std(stream) {
                Ok(stream) => return (stream, peer),
                Err(error) => tracing::debug!(%error, "could not take a connection"),
            }
        }
        // Nobody hands out any more: the process is stopping, and whoever waits here is told otherwise.
        std::future::pending().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
