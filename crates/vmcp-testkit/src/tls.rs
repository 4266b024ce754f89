//! TLS before a backend, with certificates of our own.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
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
    authority: String,
    task: JoinHandle<()>,
}

impl TlsDoor {
    /// Opens before the backend at this URL.
    ///
    /// # Panics
    /// Certificates cannot be made.
    pub async fn before(url: &str, certificate: Certificate) -> Self {
        let name = if matches!(certificate, Certificate::OfAnother) { "other.example" } else { "localhost" };
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().expect("a key");
        let authority_pem = authority.self_signed(&authority_key).expect("a certificate").pem();
        let issuer = Issuer::new(authority, authority_key);
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        if matches!(certificate, Certificate::Expired) {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().expect("a key");
        let shown = params.signed_by(&key, &issuer).expect("a certificate").der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![shown], key)
            .expect("a certificate for its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let behind = url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        let task = tokio::spawn(async move {
            while let Ok((outside, _)) = listener.accept().await {
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                tokio::spawn(async move {
                    let Ok(mut outside) = acceptor.accept(outside).await else { return };
                    let Ok(mut inside) = TcpStream::connect(behind).await else { return };
                    // It ends when either end does.
                    let _ = copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self { address, authority: authority_pem, task }
    }

    /// Where the backend is behind it.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/mcp", self.address.port())
    }

    /// The certificate (PEM) that its own was made with.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl Drop for TlsDoor {
    fn drop(&mut self) {
        self.task.abort();
    }
}
