//! The headers that mirror a body, and how they must agree with it
//! (MCP 2026-07-28, Streamable HTTP, Request Metadata and Server Validation).

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Names the legacy session.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Names the protocol version.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Where a stream is to go on from.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Mirrors `method`.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// Mirrors `params.name` or `params.uri`.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Begins the headers that mirror arguments; they travel on as they are.
pub const PARAM_PREFIX: &str = "mcp-param-";

const SENTINEL_START: &str = "=?base64?";
const SENTINEL_END: &str = "?=";

/// A backend's session id. Whoever has it can act in the session, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId(HeaderValue);

/// How headers and body disagree: the message of a `-32020` error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A header that the version requires is not there.
    #[error("Header mismatch: {0} is missing")]
    Missing(HeaderName),
    /// A header is there more than once, with different values.
    #[error("Header mismatch: {0} is sent more than once")]
    Repeated(HeaderName),
    /// A value with bytes that no header may have, or a broken base64 sentinel.
    #[error("Header mismatch: {0} has a value that cannot be decoded")]
    Undecodable(HeaderName),
    /// A value that the body contradicts.
    #[error("Header mismatch: {name} header value '{header}' does not match body value '{body}'")]
    Differs {
        /// Which header.
        name: HeaderName,
        /// What it says.
        header: String,
        /// What the body says.
        body: String,
    },
}

impl SessionId {
    pub(crate) fn new(mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        Self(value)
    }

    /// One that was written down. `None`: no header can hold it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        HeaderValue::from_bytes(bytes).ok().map(Self::new)
    }

    /// As a header value that does not print itself.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// The one value of a header, decoded if it carries the base64 sentinel. Identical repetitions count as one.
///
/// # Errors
/// [`Mismatch::Repeated`] and [`Mismatch::Undecodable`].
pub fn value<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<Cow<'h, str>>, Mismatch> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(Mismatch::Repeated(name.clone()));
    }
    let undecodable = || Mismatch::Undecodable(name.clone());
    let text = first.to_str().map_err(|_| undecodable())?.trim();
    let encoded = text.strip_prefix(SENTINEL_START).and_then(|rest| rest.strip_suffix(SENTINEL_END));
    match encoded {
        None => Ok(Some(Cow::Borrowed(text))),
        Some(encoded) => {
            let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| undecodable())?;
            String::from_utf8(bytes).map(|text| Some(Cow::Owned(text))).map_err(|_| undecodable())
        }
    }
}

/// Holds one required header to what the body says.
///
/// # Errors
/// Any [`Mismatch`].
pub fn require(headers: &HeaderMap, name: &HeaderName, body: &str) -> Result<(), Mismatch> {
    match value(headers, name)? {
        None => Err(Mismatch::Missing(name.clone())),
        Some(header) if header == body => Ok(()),
        Some(header) => {
            Err(Mismatch::Differs { name: name.clone(), header: header.into_owned(), body: body.to_owned() })
        }
    }
}

/// `text` as a header value: as it is if that is safe, else in the base64 sentinel
/// (MCP 2026-07-28, Streamable HTTP, Value Encoding).
pub fn encode(text: &str) -> HeaderValue {
    let visible = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e | b'\t'));
    let padded = text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']);
    let like_sentinel = text.starts_with(SENTINEL_START) && text.ends_with(SENTINEL_END);
    let safe = visible && !padded && !like_sentinel;
    let encoded = || format!("{SENTINEL_START}{}{SENTINEL_END}", BASE64_STANDARD.encode(text));
    let value = if safe { HeaderValue::from_str(text) } else { HeaderValue::from_str(&encoded()) };
    // Both are visible ASCII by construction.
    value.unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_encode_and_decode() {
        let table = [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ];
        for (text, header) in table {
            assert_eq!(encode(text), header);
            let headers = HeaderMap::from_iter([(NAME, encode(text))]);
            assert_eq!(value(&headers, &NAME).unwrap().unwrap(), text);
            assert_eq!(require(&headers, &NAME, text), Ok(()));
        }
    }

    #[test]
    fn disagreement_is_found() {
        let check = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(NAME, HeaderValue::from_static(value));
            }
            require(&headers, &NAME, "search")
        };
        assert_eq!(check(&["search"]), Ok(()));
        assert_eq!(check(&["search", "search"]), Ok(()));
        assert_eq!(check(&[]), Err(Mismatch::Missing(NAME)));
        assert_eq!(check(&["search", "other"]), Err(Mismatch::Repeated(NAME)));
        assert_eq!(check(&["=?base64?!?="]), Err(Mismatch::Undecodable(NAME)));
        assert_eq!(check(&["=?base64?/w==?="]), Err(Mismatch::Undecodable(NAME)));
        assert!(matches!(check(&["Search"]), Err(Mismatch::Differs { .. })));
    }
}
