//! Which addresses of an authorization server may be asked.

use std::net::IpAddr;

use http::Uri;

/// Over TLS; in plain text on loopback alone.
pub fn may_be_asked(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let Some(host) = url.host().filter(|host| !host.is_empty()) else { return false };
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return false;
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_for_loopback() {
        for good in [
            "https://issuer.example/realms/a",
            "http://127.0.0.1:4455",
            "http://localhost/x",
            "http://[::1]:1",
        ] {
            assert!(may_be_asked(good), "{good}");
        }
        for bad in [
            "http://issuer.example",
            "http://127.0.0.1.example",
            "ftp://localhost",
            "issuer",
            "",
            "https://me:secret@issuer.example",
        ] {
            assert!(!may_be_asked(bad), "{bad}");
        }
    }
}
