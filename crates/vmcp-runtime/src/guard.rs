//! Who is addressed, and from which page: what keeps web pages of others away from a listener on this machine.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};

/// Who does not belong here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// The name under which we are addressed.
    Host,
    /// The page that sends the request.
    Origin,
}

/// Defence against DNS rebinding (MCP 2026-07-28, Streamable HTTP, Security): a page that a browser on this machine shows
/// must not reach us under its own name.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    is_loopback: bool,
}

impl Guard {
    /// For a listener at this address.
    pub fn new(address: SocketAddr) -> Self {
        Self { is_loopback: address.ip().is_loopback() }
    }

    /// On a loopback address only loopback names may be in `Host` and `Origin`. Elsewhere an `Origin` must be our own host,
    /// and that a plain address or `localhost`, since any name may have been made to lead here. Names in `known`, with a port or for any,
    /// are ours too; if there are some, no other name is.
    ///
    /// # Errors
    /// [`Foreign`].
    pub fn check(self, uri: &Uri, headers: &HeaderMap, known: &[String]) -> Result<(), Foreign> {
        let host = host(uri, headers);
        let is_known = |host: &str| {
            let is = |known: &String| {
                known.eq_ignore_ascii_case(host) || known.eq_ignore_ascii_case(host_name(host))
            };
            known.iter().any(is)
        };
        let is_ours = match host.as_deref() {
            Some(host) if is_loopback(host_name(host)) || is_known(host) => true,
            Some(host) if !known.is_empty() => !self.is_loopback && host_name(host).parse::<IpAddr>().is_ok(),
            Some(_) | None => !self.is_loopback,
        };
        if !is_ours {
            return Err(Foreign::Host);
        }
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        let is_ours = match origin {
            None => false,
            Some(origin) if is_known(origin) => true,
            Some(origin) if self.is_loopback => is_loopback(host_name(origin)),
            Some(origin) => {
                let is_plain = is_loopback(host_name(origin)) || host_name(origin).parse::<IpAddr>().is_ok();
                is_plain && host.as_deref().is_some_and(|host| host.eq_ignore_ascii_case(origin))
            }
        };
        if is_ours { Ok(()) } else { Err(Foreign::Origin) }
    }
}

/// Whom the client addresses: the authority of HTTP/2, or the one `Host` header.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str().to_owned());
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?.to_owned();
    hosts.next().is_none().then_some(host)
}

/// The name without its port; nothing if it is not a name with at most a port.
fn host_name(host: &str) -> &str {
    let (name, rest) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    if rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port) { name } else { "" }
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(listen: &str, host: &'static str, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        let guard = Guard::new(listen.parse().unwrap());
        guard.check(&Uri::from_static("/mcp"), &headers, &[]).is_ok()
    }

    #[test]
    fn on_loopback_only_loopback_names_come_in() {
        let table = [
            ("127.0.0.1:4483", None, true),
            ("localhost:4483", None, true),
            ("LocalHost", None, true),
            ("[::1]:4483", None, true),
            ("127.0.0.1:4483", Some("http://localhost:3000"), true),
            ("127.0.0.1:4483", Some("http://[::1]:3000"), true),
            ("evil.example", None, false),
            ("evil.example:4483", Some("http://evil.example:4483"), false),
            ("127.0.0.1:4483", Some("http://evil.example"), false),
            ("127.0.0.1:4483", Some("http://127.0.0.1.evil.example"), false),
            ("127.0.0.1.evil.example", None, false),
            ("127.0.0.1:4483", Some("null"), false),
            ("127.0.0.1:x@evil.example", None, false),
            ("", None, false),
        ];
        for (host, origin, expected) in table {
            assert_eq!(check("127.0.0.1:4483", host, origin), expected, "{host} {origin:?}");
        }
    }

    #[test]
    fn elsewhere_pages_of_other_hosts_are_kept_out() {
        assert!(check("0.0.0.0:4483", "mcp.example:4483", None));
        assert!(check("0.0.0.0:4483", "192.0.2.1:4483", Some("http://192.0.2.1:4483")));
        assert!(!check("0.0.0.0:4483", "evil.example:4483", Some("http://evil.example:4483")));
        assert!(!check("0.0.0.0:4483", "mcp.example:4483", Some("https://evil.example")));
    }

    #[test]
    fn names_that_are_known_are_ours_and_then_no_others() {
        let known = ["mcp.example".to_owned(), "other.example:8443".to_owned()];
        let table = [
            ("mcp.example", None, true),
            ("MCP.example:4483", Some("https://mcp.example"), true),
            ("other.example:8443", None, true),
            ("other.example", None, false),
            ("evil.example", None, false),
            ("127.0.0.1:4483", None, true),
            ("mcp.example", Some("https://evil.example"), false),
        ];
        for listen in ["127.0.0.1:4483", "0.0.0.0:4483"] {
            for (host, origin, expected) in table {
                let mut headers = HeaderMap::new();
                headers.insert(HOST, HeaderValue::from_static(host));
                headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
                let guard = Guard::new(listen.parse().unwrap());
                let is_ours = guard.check(&Uri::from_static("/mcp"), &headers, &known).is_ok();
                assert_eq!(is_ours, expected, "{listen} {host} {origin:?}");
            }
        }
    }
}
