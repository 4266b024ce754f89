//! The end that listens: TLS by files that are followed, and gRPC to those whose certificates are good for as long as they are.

use std::fmt;
use std::future::pending;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::files::{Clients, Ready, Shown, Texts};
use super::peer::Certified;
use crate::{Drain, unix_ms};

/// How often files are looked at: what is revoked is out within seconds.
const LOOK_TIME: Duration = Duration::from_secs(1);
/// Until somebody who has connected has shown who they are.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Connections of one listener, those that are still shaking hands included.
const CONNECTIONS: usize = 4_096;
/// Either end of a connection says that it is there, so that one that is gone is noticed.
const ALIVE_TIME: Duration = Duration::from_secs(8);
/// Requests at once on one connection.
const REQUESTS: u32 = 256;
/// Until a connection that is to end has finished what it was asked.
const END_TIME: Duration = Duration::from_millis(500);

/// TLS at a listener, as its files are now. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls(watch::Receiver<Arc<Ready>>);

/// What somebody who has come in gets to see, and for how long.
pub struct Admission {
    /// What answers.
    pub router: Router,
    /// Resolves when it is over.
    pub over: BoxFuture<'static, ()>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission")
    }
}

impl ServerTls {
    /// Reads the files, and again whenever they change, until `drain` says to stop. Files that cannot be used change nothing, which is
    /// logged. `protocols`: what is spoken, the preferred first (`h2`, `http/1.1`).
    ///
    /// # Errors
    /// They cannot be used now.
    pub fn follow(
        shown: Shown,
        clients: Option<Clients>,
        protocols: &'static [&'static str],
        drain: &Drain,
    ) -> io::Result<Self> {
        let in_file = |error: io::Error| in_file(&shown.certificates, &error);
        let texts = Texts::read(&shown, clients.as_ref()).map_err(in_file)?;
        let ready = texts.ready(protocols).map_err(in_file)?;
        let (tell, current) = watch::channel(Arc::new(ready));
        let stop = drain.clone();
        drain.spawn(async move {
            tokio::select! {
                () = stop.stopped() => {}
                () = keep(shown, clients, texts, protocols, tell) => {}
            }
        });
        Ok(Self(current))
    }

    /// Shakes hands with somebody who has connected.
    ///
    /// # Errors
    /// They do not speak TLS, show nothing that is good, or take too long.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.0.borrow().config.clone();
        let accepting = TlsAcceptor::from(config).accept(stream);
        tokio::time::timeout(HANDSHAKE_TIME, accepting).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// Resolves when a certificate is no longer taken: it has expired, was revoked, or its authority has gone.
    async fn until_over(mut self, chain: Vec<CertificateDer<'static>>, certified: Arc<Certified>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(certified.left()) => return,
                changed = self.0.changed() => if changed.is_err() {
                    // Files are no longer followed: the process stops.
                    return pending().await;
                },
            }
            let current = self.0.borrow_and_update().clone();
            let (Some(verifier), [own, others @ ..]) = (&current.verifier, &chain[..]) else { return };
            let now = UnixTime::since_unix_epoch(Duration::from_millis(unix_ms()));
            if verifier.verify_client_cert(own, others, now).is_err() {
                return;
            }
        }
    }
}

async fn keep(
    shown: Shown,
    clients: Option<Clients>,
    mut texts: Texts,
    protocols: &[&str],
    tell: watch::Sender<Arc<Ready>>,
) {
    let mut said = None;
    loop {
        tokio::time::sleep(LOOK_TIME).await;
        let read = Texts::read(&shown, clients.as_ref());
        let changed = match read {
            Ok(new) if new == texts => continue,
            Ok(new) => new.ready(protocols).map(|ready| (new, ready)),
            Err(error) => Err(error),
        };
        match changed {
            Ok((new, ready)) => {
                (texts, said) = (new, None);
                tell.send_replace(Arc::new(ready));
                tracing::info!(file = %shown.certificates.display(), "certificates were read again");
            }
            Err(error) => {
                // Whom we trust no longer we trust no longer, whatever has become of what we show.
                if let Ok(trusting) = texts.trusting(clients.as_ref())
                    && trusting != texts
                    && let Ok(ready) = trusting.ready(protocols)
                {
                    texts = trusting;
                    tell.send_replace(Arc::new(ready));
                }
                let error = error.to_string();
                if said.as_ref() != Some(&error) {
                    tracing::error!(file = %shown.certificates.display(), error, "certificates stay as they were");
                    said = Some(error);
                }
            }
        }
    }
}

fn in_file(file: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}

/// Serves HTTP/2 until `drain` says to stop. `admit` is asked once for each connection; without `tls` nobody shows who they are.
pub async fn serve_grpc(
    listener: TcpListener,
    tls: Option<ServerTls>,
    admit: impl Fn(Option<Arc<Certified>>) -> Admission + Clone + Send + 'static,
    drain: Drain,
) {
    let mut listener = listener;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let stream = tokio::select! {
            () = drain.stopped() => return,
            // Accepting waits and goes on when there are no descriptors left.
            (stream, _) = axum::serve::Listener::accept(&mut listener) => stream,
        };
        // Who comes when all places are taken goes away at once, so that they ask elsewhere.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let (tls, admit, drain_in) = (tls.clone(), admit.clone(), drain.clone());
        drain.spawn(async move {
            let _place = place;
            connection(stream, tls, admit, &drain_in).await;
        });
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<ServerTls>,
    admit: impl Fn(Option<Arc<Certified>>) -> Admission,
    drain: &Drain,
) {
    let Some(tls) = tls else { return speak(stream, admit(None), pending(), drain).await };
    let stream = match tls.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!(%error, "no TLS with who has connected"),
    };
    let chain: Vec<_> = stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|one| one.clone().into_owned())
        .collect();
    let certified = chain.first().and_then(|own| Certified::read(own)).map(Arc::new);
    let Some(certified) = certified.filter(|certified| !certified.left().is_zero()) else {
        return tracing::debug!("a certificate cannot be read, or has expired");
    };
    let admission = admit(Some(certified.clone()));
    speak(stream, admission, tls.until_over(chain, certified), drain).await;
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    admission: Admission,
    expired: impl Future<Output = ()>,
    drain: &Drain,
) {
    let service = TowerToHyperService::new(admission.router);
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(ALIVE_TIME)
            .keep_alive_timeout(ALIVE_TIME)
            .max_concurrent_streams(REQUESTS)
            .serve_connection(TokioIo::new(stream), service)
    );
    let is_stopping = tokio::select! {
        // However it has ended: there is nobody to tell.
        _ = connection.as_mut() => return,
        () = drain.stopped() => true,
        () = admission.over => false,
        () = expired => false,
    };
    connection.as_mut().graceful_shutdown();
    // Streams of somebody who may no longer be here do not end by themselves; when the process stops, they do.
    let _ = if is_stopping { Ok(connection.await) } else { tokio::time::timeout(END_TIME, connection).await };
}
