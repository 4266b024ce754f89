//! A backend as the wire sees it: where it is, how it is spoken to, and what every request to it carries.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri};

use crate::exchange::Call;
use crate::header;
use crate::version::ProtocolVersion;

/// A backend as the wire sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its MCP endpoint; of [`Carrier::Sse`], where its stream of events is.
    pub url: Uri,
    /// What carries messages.
    pub carrier: Carrier,
    /// What every request carries. What MCP needs itself goes before it.
    pub headers: HeaderMap,
}

/// What carries messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Carrier {
    /// MCP 2025-03-26 and later, Streamable HTTP.
    #[default]
    StreamableHttp,
    /// MCP 2024-11-05, HTTP with SSE.
    Sse,
}

impl Peer {
    /// A peer over streamable HTTP that wants nothing special.
    pub fn at(url: Uri) -> Self {
        Self { url, carrier: Carrier::default(), headers: HeaderMap::new() }
    }

    /// A call to it with these headers besides its own.
    pub fn call(&self, headers: HeaderMap, body: impl Into<Bytes>) -> Call {
        Call { url: self.url.clone(), headers: self.with_own(headers), body: body.into() }
    }

    /// Headers, and its own where they say nothing.
    pub fn with_own(&self, mut headers: HeaderMap) -> HeaderMap {
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        headers
    }

    /// A modern request with the headers that mirror it, for methods that mirror no name.
    pub fn modern(&self, method: &'static str, body: String) -> Call {
        let mut headers = HeaderMap::with_capacity(4);
        let version = HeaderValue::from_static(ProtocolVersion::LATEST_MODERN.as_str());
        headers.insert(header::PROTOCOL_VERSION, version);
        headers.insert(header::METHOD, HeaderValue::from_static(method));
        self.call(headers, body)
    }
}
