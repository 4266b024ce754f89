//! TLS before a backend, with certificates of our own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a server shows.
#[derive(Debug, Clone, Copy)]
pub enum Certificate {
    /// For `localhost`, now.
    Good,
    /// For somebody else.
    OfAnother,
    /// For `localhost`, long ago.
    Expired,
}

/// TLS before a backend.
#[derive(Debug)]
pub struct TlsDoor {
    address: SocketAddr,
    authority: Authority,
    shown: watch::Sender<Shown>,
    let_in: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What is shown to who comes in; those who are in hear of it when it changes.
#[derive(Clone)]
struct Shown(Arc<ServerConfig>);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

/// Whoever makes certificates.
#[derive(Debug)]
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn make(&self, certificate: Certificate) -> Shown {
        let name = if matches!(certificate, Certificate::OfAnother) { "other.example" } else { "localhost" };
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        if matches!(certificate, Certificate::Expired) {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().expect("a key");
        let shown = params.signed_by(&key, &self.issuer).expect("a certificate").der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![shown], key)
            .expect("a certificate for its key");
        // The backend behind it speaks both.
        config.alpn_protocols = [&b"h2"[..], b"http/1.1"].map(<[u8]>::to_vec).into();
        Shown(Arc::new(config))
    }
}

impl TlsDoor {
    /// Opens before the backend at this URL.
    ///
    /// # Panics
    /// Certificates cannot be made.
    pub async fn before(url: &str, certificate: Certificate) -> Self {
        let authority = Authority::new();
        let (shown, seen) = watch::channel(authority.make(certificate));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let behind = url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        let let_in_all = Arc::<AtomicUsize>::default();
        let counted = let_in_all.clone();
        let task = tokio::spawn(async move {
            while let Ok((outside, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(let_in(outside, behind.clone(), seen.clone()));
            }
        });
        Self { address, authority, shown, let_in: let_in_all, task }
    }

    /// Shows another certificate from now on, by the same authority, and ends the connections that stand.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn show(&self, certificate: Certificate) {
        self.shown.send_replace(self.authority.make(certificate));
    }

    /// The same, by an authority that nobody knows.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn show_of_another_authority(&self) {
        self.shown.send_replace(Authority::new().make(Certificate::Good));
    }

    /// Where the backend is behind it.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/mcp", self.address.port())
    }

    /// Connections that were let in.
    pub fn connections(&self) -> usize {
        self.let_in.load(Ordering::SeqCst)
    }

    /// The certificate (PEM) that its own was made with.
    pub fn authority(&self) -> &str {
        &self.authority.pem
    }
}

impl Drop for TlsDoor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn let_in(outside: TcpStream, behind: String, mut seen: watch::Receiver<Shown>) {
    let shown = seen.borrow_and_update().0.clone();
    let Ok(mut outside) = TlsAcceptor::from(shown).accept(outside).await else { return };
    let Ok(mut inside) = TcpStream::connect(behind).await else { return };
    tokio::select! {
        // It ends when either end does.
        _ = copy_bidirectional(&mut outside, &mut inside) => {}
        _ = seen.changed() => {}
    }
}
