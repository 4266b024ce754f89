//! Who a peer is: the names in the certificate that it has shown.

use std::fmt;
use std::time::Duration;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::unix_ms;

/// Somebody whose certificate has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// Each URI as it stands, such as a SPIFFE id (X.509-SVID, section 2), and each name of a host as `dns:<name>`.
    pub names: Vec<String>,
    /// In seconds since 1970.
    until: u64,
}

impl Certified {
    /// `None`: it is no certificate that can be read.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let until = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
        let alternative = certificate.subject_alternative_name().ok()?;
        let names =
            alternative.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
                GeneralName::URI(uri) => Some((*uri).to_owned()),
                GeneralName::DNSName(name) => Some(format!("dns:{}", name.to_ascii_lowercase())),
                _ => None,
            });
        Some(Self { names: names.collect(), until })
    }

    /// How long the certificate is still good.
    pub(super) fn left(&self) -> Duration {
        Duration::from_millis((self.until + 1).saturating_mul(1_000).saturating_sub(unix_ms()))
    }
}

impl fmt::Display for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names[..] {
            [] => f.write_str("a certificate without names"),
            names => f.write_str(&names.join(" ")),
        }
    }
}
