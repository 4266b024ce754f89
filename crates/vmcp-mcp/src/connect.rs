//! How connections to backends come to stand: within a time, and over TLS by what a backend's origin trusts besides the usual.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Uri;
use http::uri::Authority;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt, service_fn};

/// What is special about which servers, by host and port. Others are connected to as everybody is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<OriginName, Origin>);

/// What is special about the servers at one host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    /// Certificates (PEM) that its TLS is held to besides those that everybody is.
    roots: Option<Vec<u8>>,
    /// Time until a connection stands, TLS included.
    connect: Duration,
}

/// A host and a port, in an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct OriginName(String);

impl Origins {
    /// What one backend wants of the server that a URL leads to: a connection that stands in time, and certificates (PEM) besides
    /// the usual ones. Where several want something of one server, it is held to what all of them trust, and waited for as long as
    /// the least patient waits. A URL that leads nowhere adds nothing.
    pub fn add(&mut self, url: &Uri, connect: Duration, roots: Option<&[u8]>) {
        let Some(name) = OriginName::of(url) else { return };
        let origin = self.0.entry(name).or_insert(Origin { roots: None, connect });
        origin.connect = origin.connect.min(connect);
        if let Some(roots) = roots {
            let all = origin.roots.get_or_insert_default();
            all.push(b'\n');
            all.extend_from_slice(roots);
        }
    }
}

impl OriginName {
    /// Where a URL leads; `None` if it leads nowhere.
    fn of(url: &Uri) -> Option<Self> {
        let is_tls = url.scheme_str() == Some("https");
        url.authority().map(|authority| Self::named(authority, is_tls))
    }

    fn named(authority: &Authority, is_tls: bool) -> Self {
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Self(format!("{}:{port}", authority.host().to_ascii_lowercase()))
    }
}

pub(crate) type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;
type Https = HttpsConnector<HttpConnector>;
pub(crate) type Connector = BoxCloneSyncService<Uri, Connection, BoxError>;

/// Makes connections. Cheap to clone; all clones see the same origins.
#[derive(Clone)]
pub(crate) struct Connects {
    special: Arc<ArcSwap<Special>>,
    usual: Https,
    time: Duration,
}

#[derive(Default)]
struct Special {
    origins: Origins,
    by_name: HashMap<OriginName, (Https, Duration)>,
}

impl Connects {
    /// TLS trusts what the operating system trusts; where that is nobody, what Mozilla does.
    pub(crate) fn new(time: Duration) -> Self {
        let tls = match HttpsConnectorBuilder::new().with_native_roots() {
            Ok(tls) => tls,
            Err(_) => HttpsConnectorBuilder::new().with_webpki_roots(),
        };
        let usual = tls.https_or_http().enable_all_versions().wrap_connector(tcp());
        Self { special: Arc::default(), usual, time }
    }

    /// Replaces what is special. Connections that stand stay.
    ///
    /// # Errors
    /// Certificates that are none; everything stays as it was.
    pub(crate) fn set(&self, origins: Origins) -> io::Result<()> {
        if self.special.load().origins == origins {
            return Ok(());
        }
        let mut by_name = HashMap::with_capacity(origins.0.len());
        for (name, origin) in &origins.0 {
            let https = match &origin.roots {
                None => self.usual.clone(),
                Some(roots) => {
                    let tls = HttpsConnectorBuilder::new().with_tls_config(trusting(roots)?);
                    tls.https_or_http().enable_all_versions().wrap_connector(tcp())
                }
            };
            by_name.insert(name.clone(), (https, origin.connect));
        }
        self.special.store(Arc::new(Special { origins, by_name }));
        Ok(())
    }

    /// As hyper's client wants it.
    pub(crate) fn connector(&self) -> Connector {
        // The client clones it for each request.
        let connects = Arc::new(self.clone());
        BoxCloneSyncService::new(service_fn(move |url: Uri| {
            let special = connects.special.load();
            let its = OriginName::of(&url).and_then(|name| special.by_name.get(&name));
            let (https, time) = its.cloned().unwrap_or_else(|| (connects.usual.clone(), connects.time));
            async move {
                let connecting = https.oneshot(url);
                match tokio::time::timeout(time, connecting).await {
                    Ok(connected) => connected,
                    Err(_) => Err("the connection did not stand in time".into()),
                }
            }
        }))
    }
}

impl fmt::Debug for Connects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connects")
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    tcp
}

fn trusting(roots: &[u8]) -> io::Result<ClientConfig> {
    let mut store = RootCertStore::empty();
    // What the operating system has that cannot be read is nobody's fault here.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let before = store.len();
    for certificate in CertificateDer::pem_slice_iter(roots) {
        let certificate = certificate.map_err(io::Error::other)?;
        store.add(certificate).map_err(io::Error::other)?;
    }
    if store.len() == before {
        return Err(io::Error::other("no certificate is in it"));
    }
    Ok(ClientConfig::builder().with_root_certificates(store).with_no_client_auth())
}

/// Whether these are certificates that TLS can be held to.
///
/// # Errors
/// What is wrong with them.
pub fn check_roots(roots: &[u8]) -> io::Result<()> {
    trusting(roots).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_backends_at_one_server_share_its_trust_and_the_shortest_time() {
        let url = |text: &str| text.parse::<Uri>().unwrap();
        let mut origins = Origins::default();
        origins.add(&url("https://Backend.test/one"), Duration::from_secs(3), Some(b"one"));
        origins.add(&url("https://backend.test:443/two"), Duration::from_secs(2), Some(b"two"));
        origins.add(&url("https://backend.test/three"), Duration::from_secs(5), None);
        origins.add(&url("http://backend.test/"), Duration::from_secs(9), None);
        let own = |roots: Option<&[u8]>, seconds| Origin {
            roots: roots.map(<[u8]>::to_vec),
            connect: Duration::from_secs(seconds),
        };
        let name = |text: &str| OriginName(text.to_owned());
        let expected = [
            (name("backend.test:443"), own(Some(b"\none\ntwo"), 2)),
            (name("backend.test:80"), own(None, 9)),
        ];
        assert_eq!(origins, Origins(expected.into()));
    }
}
