//! Where gRPC may be spoken in the clear: between loopback addresses, and nowhere else.

use std::net::{IpAddr, SocketAddr};

use axum::http::Uri;

/// An address at which nothing may be said in the clear.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPlain(String);

/// A listener for plaintext gRPC.
///
/// # Errors
/// The address is not a loopback one.
pub fn plain_listener(address: SocketAddr) -> Result<SocketAddr, NotPlain> {
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(NotPlain(format!(
        "{address} is not a loopback address, and gRPC with TLS is not built yet: listen on 127.0.0.1, and bring peers on other machines there through a tunnel (ssh, WireGuard, a service mesh)"
    )))
}

/// A peer for plaintext gRPC.
///
/// # Errors
/// It is no address, or not on this machine.
pub fn plain_peer(url: &str) -> Result<Uri, NotPlain> {
    let uri: Uri =
        url.parse().map_err(|_| NotPlain(format!("`{url}` is no address: write `http://127.0.0.1:4490`")))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback =
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        // It is not shown again.
        return Err(NotPlain("an address of a control plane must not carry a password".to_owned()));
    }
    if !uri.path().trim_matches('/').is_empty() || uri.query().is_some() {
        return Err(NotPlain(format!("`{url}` has a path: write `http://127.0.0.1:4490`")));
    }
    match (uri.scheme_str(), is_loopback) {
        (Some("http"), true) if uri.port_u16().is_some() => Ok(uri),
        (Some("http"), true) => Err(NotPlain(format!("`{url}` has no port: write `http://127.0.0.1:4490`"))),
        (Some("http"), false) => Err(NotPlain(format!(
            "`{url}` is not on this machine, and gRPC with TLS is not built yet: bring it to a loopback address through a tunnel (ssh, WireGuard, a service mesh)"
        ))),
        (Some("https"), _) => Err(NotPlain(format!(
            "`{url}`: gRPC with TLS is not built yet; use `http://` and a loopback address"
        ))),
        _ => Err(NotPlain(format!("`{url}` is no address: write `http://127.0.0.1:4490`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_stays_on_the_machine() {
        for good in
            ["http://127.0.0.1:4490", "http://localhost:1", "http://[::1]:4491", "http://127.9.9.9:80/"]
        {
            assert!(plain_peer(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://10.0.0.1:4490", "tunnel"),
            ("http://control.example:4490", "tunnel"),
            ("http://127.0.0.1.evil.example:4490", "tunnel"),
            ("https://127.0.0.1:4490", "not built yet"),
            ("http://localhost", "no port"),
            ("http://bob:secret@127.0.0.1:4490", "must not carry a password"),
            ("http://127.0.0.1:4490/x", "has a path"),
            ("http://127.0.0.1:4490/?x=1", "has a path"),
            ("127.0.0.1:4490", "no address"),
            ("", "no address"),
        ] {
            let error = plain_peer(bad).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{bad}: {error}");
        }
        assert!(plain_listener("0.0.0.0:4490".parse().unwrap()).is_err());
        assert!(plain_listener("[::1]:0".parse().unwrap()).is_ok());
    }
}
