//! An issuer of access tokens: discovery, keys, and tokens that say whatever a test wants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server on a port of its own.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    key: KeyPair,
    fetches: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// The id of its only key.
const KEY_ID: &str = "only";

impl Issuer {
    /// Listens.
    ///
    /// # Panics
    /// No port or key is to be had.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let key = KeyPair::generate().expect("a key");
        // Uncompressed: a byte that says so, then both coordinates.
        let point = key.der_bytes()[1..].to_vec();
        let coordinate = |at: usize| BASE64_URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
        let jwk = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
            "x": coordinate(0), "y": coordinate(32)});
        let base = format!("http://{address}");
        let discovery = json!({"issuer": base, "jwks_uri": format!("{base}/jwks")}).to_string();
        // One that nobody can use does not spoil the others.
        let keys = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, {"kty": "new"}, jwk]})
            .to_string();
        let fetches = Arc::<AtomicUsize>::default();
        let counted = fetches.clone();
        let router =
            Router::new().route("/.well-known/openid-configuration", get(async move || discovery)).route(
                "/jwks",
                get(async move || {
                    counted.fetch_add(1, Ordering::SeqCst);
                    keys
                }),
            );
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Self { address, key, fetches, task }
    }

    /// As it calls itself.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often its keys were fetched.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// A good token of a subject for an audience, with some claims (an object) otherwise.
    pub fn token(&self, subject: &str, audience: &str, otherwise: &Value) -> String {
        self.token_under(Some(KEY_ID), "at+jwt", subject, audience, otherwise)
    }

    /// The same under another key id and of another type.
    ///
    /// # Panics
    /// It cannot be signed.
    pub fn token_under(
        &self,
        key_id: Option<&str>,
        kind: &str,
        subject: &str,
        audience: &str,
        otherwise: &Value,
    ) -> String {
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let mut claims =
            json!({"iss": self.url(), "sub": subject, "aud": audience, "iat": now, "exp": now + 300});
        for (name, value) in otherwise.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let mut header = Header::new(Algorithm::ES256);
        (header.kid, header.typ) = (key_id.map(ToOwned::to_owned), Some(kind.to_owned()));
        let key = EncodingKey::from_ec_der(&self.key.serialize_der());
        encode(&header, &claims, &key).expect("a token")
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
