//! Serving HTTP until it is time to stop.

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::Drain;

/// Serves until `drain` says to stop, then finishes what runs. `TCP_NODELAY` is on: without it, small answers that follow
/// each other wait for the peer's delayed acknowledgement.
pub async fn listen(listener: TcpListener, router: Router, drain: Drain) {
    let stopped = {
        let drain = drain.clone();
        async move { drain.stopped().await }
    };
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
    });
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "listener ended");
    }
}
