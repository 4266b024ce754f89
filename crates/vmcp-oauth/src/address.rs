//! Which addresses of an authorization server may be asked: what it refers to is a stranger's word (RFC 9700, section 4; MCP, SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Over TLS; in plain text on loopback alone, or where that is allowed.
pub(crate) fn is_safe(url: &str, allows_http: bool) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let Some(host) = host(&url) else { return false };
    if !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    let is_loopback = host == "localhost" || literal(host).is_some_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => true,
        "http" => is_loopback || allows_http,
        _ => false,
    }
}

/// Whether two addresses are of one host.
pub(crate) fn is_same_host(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => host(&one).is_some() && host(&one) == host(&other),
        _ => false,
    }
}

/// Whether the host is written as an address that is not public.
pub(crate) fn is_private_literal(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return true };
    let host = host(&url).unwrap_or_default();
    host == "localhost" || literal(host).is_some_and(|address| !is_public(address))
}

/// As the client reads it that is going to connect: `127.1` and `0x7f000001` are addresses, too (WHATWG URL, host parsing).
fn host(url: &Url) -> Option<&str> {
    url.host_str().map(|host| host.trim_end_matches('.')).filter(|host| !host.is_empty())
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether anybody may reach it: neither this machine, nor a network of somebody's own, nor a way to one (RFC 6890).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_reserved = a == 0 || a >= 240 || (a, b, c) == (192, 0, 0) || (a == 198 && (b == 18 || b == 19));
    let is_relay = (a, b, c) == (192, 88, 99);
    !(is_special || is_shared || is_reserved || is_relay)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let low = || {
        let [.., a, b] = segments;
        let [[a, b], [c, d]] = [a.to_be_bytes(), b.to_be_bytes()];
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        // An address of the older kind in the newer's clothes, or translated to one (RFC 4291, 6052).
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(low()),
        // Only unicast that is global is handed out from 2000::/3; of that, not Teredo, benchmarks, documentation, 6to4.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
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
            assert!(is_safe(good, false), "{good}");
        }
        for bad in [
            "http://issuer.example",
            "http://127.0.0.1.example",
            "ftp://localhost",
            "issuer",
            "",
            "https://me:secret@issuer.example",
            "file:///etc/passwd",
            "gopher://x",
        ] {
            assert!(!is_safe(bad, false), "{bad}");
        }
        assert!(is_safe("http://issuer.example", true));
    }

    #[test]
    fn addresses_of_ones_own_are_not_public_however_they_are_written() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "fec0::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for url in [
            "http://localhost/x",
            "https://LocalHost./x",
            "http://[::1]/",
            "https://169.254.169.254/latest",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://127.0.0.1./",
            "https://[::ffff:7f00:1]/",
            "https://１２７.0.0.1/",
            "no address",
        ] {
            assert!(is_private_literal(url), "{url}");
        }
    }
}
