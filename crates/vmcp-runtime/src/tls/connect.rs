//! The end that connects, and shows who it is.

use std::io;
use std::path::PathBuf;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;

use super::files::{Shown, provider, read_own, read_roots};

/// What somebody who connects goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectFiles {
    /// Whose certificates are taken (PEM).
    pub authorities: PathBuf,
    /// What is shown.
    pub shown: Shown,
}

/// Makes connections for HTTP/2 over TLS, by the files as they are now.
///
/// # Errors
/// One of them cannot be read, or is not what it should be.
pub fn connector(files: &ConnectFiles) -> io::Result<HttpsConnector<HttpConnector>> {
    let roots = read_roots(&files.authorities)
        .map_err(|error| io::Error::other(format!("{}: {error}", files.authorities.display())))?;
    let (chain, key) = read_own(&files.shown)
        .map_err(|error| io::Error::other(format!("{}: {error}", files.shown.certificates.display())))?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(io::Error::other)?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http2().wrap_connector(tcp))
}
