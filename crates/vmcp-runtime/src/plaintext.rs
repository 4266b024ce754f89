//! Where gRPC may be spoken: in the clear between loopback addresses alone, and over TLS everywhere.

use std::net::{IpAddr, SocketAddr};

use axum::http::Uri;

/// An address at which gRPC must not be spoken so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPlain(String);

/// A listener for gRPC in the clear.
///
/// # Errors
/// The address is not a loopback one.
pub fn plain_listener(address: SocketAddr) -> Result<SocketAddr, NotPlain> {
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(NotPlain(format!(
        "{address} is not a loopback address, so it needs TLS: `--tls-cert`, `--tls-key`, `--tls-client-ca` and `--access` (`vmcpctl certs` makes them)"
    )))
}

/// A peer for gRPC: over TLS, or in the clear on this machine. `has_certificate`: there is something to show, which `--<option>-cert` and
/// its like say.
///
/// # Errors
/// It is no address, or must not be spoken to so.
pub fn grpc_peer(url: &str, has_certificate: bool, option: &str) -> Result<Uri, NotPlain> {
    let example = if has_certificate { "https://control.example.com:4490" } else { "http://127.0.0.1:4490" };
    let no_address = || NotPlain(format!("`{url}` is no address: write `{example}`"));
    let uri: Uri = url.parse().map_err(|_| no_address())?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        // It is not shown again.
        return Err(NotPlain("an address of a control plane must not carry a password".to_owned()));
    }
    if !uri.path().trim_matches('/').is_empty() || uri.query().is_some() {
        return Err(NotPlain(format!("`{url}` has a path: write `{example}`")));
    }
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback =
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match (uri.scheme_str(), has_certificate) {
        (Some("http" | "https"), _) if uri.port_u16().is_none() => {
            Err(NotPlain(format!("`{url}` has no port: write `{example}`")))
        }
        (Some("https"), true) => Ok(uri),
        (Some("https"), false) => Err(NotPlain(format!(
            "`{url}`: over TLS both ends show who they are: `--{option}-ca`, `--{option}-cert` and `--{option}-key` are needed (`vmcpctl certs` makes them)"
        ))),
        (Some("http"), true) => {
            Err(NotPlain(format!("`{url}` is not TLS, and there is a certificate to show: write `https://`")))
        }
        (Some("http"), false) if is_loopback => Ok(uri),
        (Some("http"), false) => Err(NotPlain(format!(
            "`{url}` is not on this machine, so it needs TLS: `https://`, `--{option}-ca`, `--{option}-cert` and `--{option}-key` (`vmcpctl certs` makes them)"
        ))),
        _ => Err(no_address()),
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
            assert!(grpc_peer(good, false, "server").is_ok(), "{good}");
            assert!(grpc_peer(good, true, "server").is_err(), "{good}");
        }
        for (bad, why) in [
            ("http://10.0.0.1:4490", "needs TLS"),
            ("http://control.example:4490", "needs TLS"),
            ("http://127.0.0.1.evil.example:4490", "needs TLS"),
            ("https://127.0.0.1:4490", "`--server-cert`"),
            ("http://localhost", "no port"),
            ("http://bob:secret@127.0.0.1:4490", "must not carry a password"),
            ("http://127.0.0.1:4490/x", "has a path"),
            ("http://127.0.0.1:4490/?x=1", "has a path"),
            ("127.0.0.1:4490", "no address"),
            ("", "no address"),
        ] {
            let error = grpc_peer(bad, false, "server").unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{bad}: {error}");
        }
        assert!(plain_listener("0.0.0.0:4490".parse().unwrap()).is_err());
        assert!(plain_listener("[::1]:0".parse().unwrap()).is_ok());
        assert!(grpc_peer("https://control.example:4490", true, "server").is_ok());
    }
}
