//! What TLS reads: certificates, keys, authorities and lists of what was revoked, as PEM files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::secrets::regular_file;

/// A bundle of every authority that a system trusts has some 200 KiB; a list of what was revoked can be larger.
const FILE_BYTES: u64 = 8 * 1024 * 1024;

/// What one end shows: a chain of certificates, its own first, and the key of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// PEM.
    pub certificates: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Who may come in: those who show a certificate by one of these authorities, and not a revoked one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// PEM.
    pub authorities: PathBuf,
    /// PEM, RFC 5280 section 5. If it is there, an authority of which it says nothing vouches for nobody.
    pub revoked: Option<PathBuf>,
}

/// The texts of all files, which tell whether anything has changed. They cannot be printed.
#[derive(PartialEq, Eq)]
pub(super) struct Texts {
    certificates: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
    revoked: Option<Vec<u8>>,
}

/// What a server goes by.
pub(super) struct Ready {
    pub(super) config: Arc<ServerConfig>,
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Texts {
    pub(super) fn read(shown: &Shown, clients: Option<&Clients>) -> io::Result<Self> {
        let certificates = regular_file(&shown.certificates, FILE_BYTES)?;
        let key = regular_file(&shown.key, FILE_BYTES)?;
        Self { certificates, key, authorities: None, revoked: None }.trusting(clients)
    }

    /// The same own certificate and key, with who is trusted read anew.
    pub(super) fn trusting(&self, clients: Option<&Clients>) -> io::Result<Self> {
        let revoked = clients.and_then(|clients| clients.revoked.as_deref());
        Ok(Self {
            certificates: self.certificates.clone(),
            key: self.key.clone(),
            authorities: clients.map(|clients| regular_file(&clients.authorities, FILE_BYTES)).transpose()?,
            revoked: revoked.map(|file| regular_file(file, FILE_BYTES)).transpose()?,
        })
    }

    /// What they mean together. `protocols`: what is spoken, the preferred first.
    pub(super) fn ready(&self, protocols: &[&str]) -> io::Result<Ready> {
        let verifier = match &self.authorities {
            Some(authorities) => Some(verifier(authorities, self.revoked.as_deref())?),
            None => None,
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let builder = match verifier.clone() {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = (chain(&self.certificates)?, key(&self.key)?);
        let mut config = builder.with_single_cert(chain, key).map_err(io::Error::other)?;
        if verifier.is_some() {
            // Who comes again is looked at again: a resumed session would show what was good when it began.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Ready { config: Arc::new(config), verifier })
    }
}

fn verifier(authorities: &[u8], revoked: Option<&[u8]>) -> io::Result<Arc<dyn ClientCertVerifier>> {
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authorities)?), provider());
    if let Some(revoked) = revoked {
        let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(revoked).collect();
        let lists = lists.map_err(|error| broken("a list of what was revoked", &error))?;
        if lists.is_empty() {
            return Err(io::Error::other("there is no list of what was revoked (`BEGIN X509 CRL`)"));
        }
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
    }
    let verifier = builder.build().map_err(io::Error::other)?;
    Ok(verifier)
}

/// Authorities that are trusted.
pub(super) fn roots(pem: &[u8]) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(pem)? {
        roots.add(certificate).map_err(io::Error::other)?;
    }
    Ok(roots)
}

pub(super) fn chain(pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| broken("a certificate", &error))?;
    if all.is_empty() {
        return Err(io::Error::other("there is no certificate (`BEGIN CERTIFICATE`)"));
    }
    Ok(all)
}

/// What stands in it is not in the error.
pub(super) fn key(pem: &[u8]) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| broken("a key", &error))
}

pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// One end's own: a chain and its key, for somebody who connects.
pub(super) fn read_own(shown: &Shown) -> io::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let texts = Texts::read(shown, None)?;
    Ok((chain(&texts.certificates)?, key(&texts.key)?))
}

pub(super) fn read_roots(file: &Path) -> io::Result<RootCertStore> {
    roots(&regular_file(file, FILE_BYTES)?)
}

fn broken(what: &str, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{what} cannot be read: {error}"))
}
