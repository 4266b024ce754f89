//! How an authorization server is reached: over TLS, without redirects, and not into networks that are nobody else's business.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response};
use serde::de::DeserializeOwned;

use crate::address::{is_private_literal, is_public, is_safe, is_same_host};
use crate::bearer::hash;

/// A document is larger for nobody.
const DOCUMENT_BYTES: usize = 256 * 1024;
const TIME: Duration = Duration::from_secs(5);

/// How an authorization server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Reach {
    /// Certificates (PEM) that its TLS is held to besides the usual ones.
    pub roots: Option<Vec<u8>>,
    /// Whether what it refers to may be at addresses that are not public.
    pub allows_private_ip: bool,
    /// Whether it may be asked in plain text elsewhere than on loopback.
    pub allows_http: bool,
}

impl Reach {
    /// Tells it from all others.
    pub(crate) fn mark(&self) -> [u8; 32] {
        let lifted = [u8::from(self.allows_private_ip), u8::from(self.allows_http)];
        hash(&[self.roots.as_deref().unwrap_or_default(), &lifted])
    }
}

/// The way to authorization servers that are reached alike.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    reach: Reach,
    /// To where an operator has pointed.
    named: Client,
    /// To where somebody else has.
    referred: Client,
}

impl Http {
    /// # Errors
    /// The certificates cannot be read, or TLS cannot be had.
    pub(crate) fn new(reach: Reach) -> io::Result<Self> {
        let builder = || -> io::Result<reqwest::ClientBuilder> {
            // Documents are where a server says that they are, and nowhere else; no proxy of the environment hears of tokens.
            let mut builder = Client::builder().redirect(Policy::none()).no_proxy().timeout(TIME);
            for root in reach.roots.iter() {
                for certificate in Certificate::from_pem_bundle(root).map_err(io::Error::other)? {
                    builder = builder.add_root_certificate(certificate);
                }
            }
            Ok(builder)
        };
        let named = builder()?.build().map_err(io::Error::other)?;
        let referred = match reach.allows_private_ip {
            true => named.clone(),
            false => builder()?.dns_resolver(Arc::new(Public)).build().map_err(io::Error::other)?,
        };
        Ok(Self { reach, named, referred })
    }

    /// The client for an address, which `server`, an address that an operator has written, refers to.
    ///
    /// # Errors
    /// It may not be asked; said without what stands there.
    pub(crate) fn client_for(&self, url: &str, server: &str) -> Result<&Client, String> {
        if !is_safe(url, self.reach.allows_http) {
            return Err("an address is neither https nor on loopback".to_owned());
        }
        if is_same_host(url, server) {
            return Ok(&self.named);
        }
        if !self.reach.allows_private_ip && is_private_literal(url) {
            return Err("an address that it refers to is not public".to_owned());
        }
        Ok(&self.referred)
    }

    /// A JSON document.
    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &str, server: &str) -> Result<T, String> {
        let request = self.client_for(url, server)?.get(url);
        let (status, text) = send(request).await?;
        match status {
            200 => serde_json::from_slice(&text).map_err(|_| format!("{url} is not what it should be")),
            status => Err(format!("{url} answers {status}")),
        }
    }
}

/// The status and the body, within their bounds.
pub(crate) async fn send(request: RequestBuilder) -> Result<(u16, Vec<u8>), String> {
    let failed = |error: reqwest::Error| causes(&error.without_url());
    let mut response: Response = request.send().await.map_err(failed)?;
    let mut text = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        text.extend_from_slice(&piece);
        if text.len() > DOCUMENT_BYTES {
            return Err(format!("an answer is larger than {DOCUMENT_BYTES} bytes"));
        }
    }
    Ok((response.status().as_u16(), text))
}

/// What went wrong, with the last of its causes, which says most.
fn causes(error: &reqwest::Error) -> String {
    let mut last: Option<&dyn StdError> = error.source();
    while let Some(cause) = last.and_then(StdError::source) {
        last = Some(cause);
    }
    last.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// Finds public addresses alone, so that no name leads elsewhere, however often it is asked.
struct Public;

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("it has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Every way that was asked for, so that connections are shared.
#[derive(Debug, Default)]
pub(crate) struct Ways(std::sync::Mutex<HashMap<Reach, Http>>);

impl Ways {
    pub(crate) fn to(&self, reach: &Reach) -> io::Result<Http> {
        let mut ways = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = ways.get(reach) {
            return Ok(known.clone());
        }
        let http = Http::new(reach.clone())?;
        ways.insert(reach.clone(), http.clone());
        Ok(http)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T18: a name is held to what it leads to, whenever it is asked.
    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_leads_nowhere() {
        let found = Public.resolve("localhost".parse().unwrap()).await;
        assert!(found.is_err_and(|why| why.to_string().contains("no public address")));
        let http = Http::new(Reach::default()).unwrap();
        let why = http.referred.get("http://localhost:1/").send().await.unwrap_err();
        assert!(format!("{why:?}").contains("no public address"), "{why:?}");
        // What an operator has written may be anywhere.
        let why = http.named.get("http://localhost:1/").send().await.unwrap_err();
        assert!(!format!("{why:?}").contains("no public address"), "{why:?}");
    }
}
