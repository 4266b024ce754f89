//! Who we are to an authorization server, and how a request shows it (RFC 6749, section 2.3; RFC 7523, section 2.2).

use std::fmt;

use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use crate::bearer::hash;

/// A client with what shows that it is the one. It cannot be printed.
#[derive(Clone)]
pub struct Client {
    id: String,
    proof: Proof,
    /// Tells it from others that show something else.
    mark: [u8; 32],
}

#[derive(Clone)]
enum Proof {
    None,
    Basic(String),
    Post(String),
    Signed { key: EncodingKey, header: Box<Header> },
}

/// By how much a signed proof outlives its making, in seconds.
const ASSERTION_SECONDS: u64 = 60;

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({:?}, …)", self.id)
    }
}

/// What a request shows.
pub(crate) struct Showing {
    /// Of the form.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// In `Authorization`.
    pub(crate) header: Option<String>,
}

impl Client {
    /// One that everybody can claim to be.
    pub fn public(id: &str) -> Self {
        Self::new(id, Proof::None, b"")
    }

    /// Its secret goes in the header.
    pub fn basic(id: &str, secret: String) -> Self {
        let mark = secret.clone();
        Self::new(id, Proof::Basic(secret), mark.as_bytes())
    }

    /// Its secret goes in the body.
    pub fn post(id: &str, secret: String) -> Self {
        let mark = secret.clone();
        Self::new(id, Proof::Post(secret), mark.as_bytes())
    }

    /// It signs with a private key (PEM).
    ///
    /// # Errors
    /// It is no key that signs by `algorithm`; without the key.
    pub fn signed(id: &str, pem: &str, key_id: Option<&str>, algorithm: &str) -> Result<Self, String> {
        use Algorithm::{ES256, ES384, EdDSA};
        let algorithm: Algorithm = algorithm.parse().map_err(|_| format!("nobody signs by `{algorithm}`"))?;
        let key = match algorithm {
            ES256 | ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        let key = key.map_err(|_| format!("it is no private key (PEM) that signs by {algorithm:?}"))?;
        let mut header = Header::new(algorithm);
        header.kid = key_id.map(ToOwned::to_owned);
        Ok(Self::new(id, Proof::Signed { key, header: Box::new(header) }, pem.as_bytes()))
    }

    fn new(id: &str, proof: Proof, shown: &[u8]) -> Self {
        Self { id: id.to_owned(), proof, mark: hash(&[id.as_bytes(), shown]) }
    }

    pub(crate) fn mark(&self) -> &[u8; 32] {
        &self.mark
    }

    /// What a form says of it besides, and the header. `now`: seconds since 1970.
    pub(crate) fn show(&self, endpoint: &str, now: u64) -> Result<Showing, String> {
        let id = ("client_id", self.id.clone());
        let (fields, header) = match &self.proof {
            Proof::None => (vec![id], None),
            Proof::Basic(secret) => {
                let both = format!("{}:{}", form_encode(&self.id), form_encode(secret));
                (Vec::new(), Some(format!("Basic {}", BASE64_STANDARD.encode(both))))
            }
            Proof::Post(secret) => (vec![id, ("client_secret", secret.clone())], None),
            Proof::Signed { key, header } => {
                let mut unique = [0; 16];
                rand::fill(&mut unique).map_err(|_| "there is no randomness".to_owned())?;
                let claims = json!({
                    "iss": self.id, "sub": self.id, "aud": endpoint, "iat": now, "exp": now + ASSERTION_SECONDS,
                    "jti": BASE64_URL_SAFE_NO_PAD.encode(unique),
                });
                let assertion = encode(header, &claims, key).map_err(|error| error.to_string())?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned();
                (vec![id, ("client_assertion_type", kind), ("client_assertion", assertion)], None)
            }
        };
        Ok(Showing { fields, header })
    }
}

/// As names and values of forms are written (RFC 6749, appendix B).
pub(crate) fn form_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                encoded.push(char::from(byte))
            }
            b' ' => encoded.push('+'),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A whole form.
pub(crate) fn form(fields: &[(&str, String)]) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", form_encode(value))).collect();
    pairs.join("&")
}
