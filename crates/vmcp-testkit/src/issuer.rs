//! An issuer of access tokens: discovery, keys, tokens that say whatever a test wants, and a token endpoint that exchanges them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
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
    signer: Arc<Signer>,
    fetches: Arc<AtomicUsize>,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

/// What makes tokens.
#[derive(Debug)]
struct Signer {
    address: SocketAddr,
    key: KeyPair,
}

/// Where tokens are asked for.
#[derive(Debug, Default)]
struct Desk {
    asked: Mutex<Vec<Asked>>,
    mood: Mutex<Mood>,
}

/// What was asked for, as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The form.
    pub form: BTreeMap<String, String>,
    /// Of the header `Authorization`.
    pub authorization: Option<String>,
}

/// How whoever asks for a token is treated.
#[derive(Debug, Clone, Default)]
pub enum Mood {
    /// As asked, for five minutes.
    #[default]
    Good,
    /// The same for so many seconds.
    GoodFor(u64),
    /// The same, after a while.
    Slow(Duration),
    /// Another status, and an error of RFC 6749.
    Refusing(u16, &'static str),
    /// This, whatever was asked.
    Saying(Value),
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
        let discovery = json!({"issuer": base, "jwks_uri": format!("{base}/jwks"),
            "token_endpoint": format!("{base}/token")})
        .to_string();
        // One that nobody can use does not spoil the others.
        let keys = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, {"kty": "new"}, jwk]})
            .to_string();
        let fetches = Arc::<AtomicUsize>::default();
        let counted = fetches.clone();
        let signer = Arc::new(Signer { address, key });
        let desk = Arc::<Desk>::default();
        let (asked, told) = ((signer.clone(), desk.clone()), signer.clone());
        let router = Router::new()
            .route(
                "/token",
                post(async move |headers: HeaderMap, body: String| {
                    exchange(&asked.0, &asked.1, &headers, &body).await
                }),
            )
            .route("/introspect", post(async move |body: String| introspect(&told, &body)))
            .route("/.well-known/openid-configuration", get(async move || discovery))
            .route(
                "/jwks",
                get(async move || {
                    counted.fetch_add(1, Ordering::SeqCst);
                    keys
                }),
            );
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Self { signer, fetches, desk, task }
    }

    /// As it calls itself.
    pub fn url(&self) -> String {
        self.signer.url()
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
        self.signer.token_under(key_id, kind, subject, audience, otherwise)
    }

    /// What was asked for so far.
    ///
    /// # Panics
    /// Somebody else has.
    pub fn asked(&self) -> Vec<Asked> {
        self.desk.asked.lock().expect("nobody panics").clone()
    }

    /// How those are treated who ask from now on.
    ///
    /// # Panics
    /// Somebody else has.
    pub fn is(&self, mood: Mood) {
        *self.desk.mood.lock().expect("nobody panics") = mood;
    }
}

impl Signer {
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn token_under(
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

/// RFC 8693, and RFC 6749, section 4.4.
async fn exchange(signer: &Signer, desk: &Desk, headers: &HeaderMap, body: &str) -> (StatusCode, String) {
    let form: BTreeMap<String, String> = form_of(body);
    let authorization =
        headers.get("authorization").and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    desk.asked.lock().expect("nobody panics").push(Asked { form: form.clone(), authorization });
    let mood = desk.mood.lock().expect("nobody panics").clone();
    let seconds = match mood {
        Mood::Good => 300,
        Mood::GoodFor(seconds) => seconds,
        Mood::Slow(time) => {
            tokio::time::sleep(time).await;
            300
        }
        Mood::Refusing(status, error) => {
            let status = StatusCode::from_u16(status).expect("a status");
            return (status, json!({"error": error}).to_string());
        }
        Mood::Saying(value) => return (StatusCode::OK, value.to_string()),
    };
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let subject = match form.get("subject_token") {
        Some(token) => claims(token)["sub"].as_str().unwrap_or_default().to_owned(),
        None => "the-service".to_owned(),
    };
    let for_whom = if field("audience").is_empty() { field("resource") } else { field("audience") };
    let otherwise =
        json!({"scope": field("scope"), "jti": desk.asked.lock().expect("nobody panics").len().to_string()});
    let token = signer.token_under(Some(KEY_ID), "at+jwt", &subject, &for_whom, &otherwise);
    let said = json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
    (StatusCode::OK, said.to_string())
}

/// RFC 7662: `opaque-<subject>-<audience>` is good.
fn introspect(signer: &Signer, body: &str) -> String {
    let form = form_of(body);
    let token = form.get("token").cloned().unwrap_or_default();
    let Some((subject, audience)) = token.strip_prefix("opaque-").and_then(|rest| rest.split_once('-'))
    else {
        return json!({"active": false}).to_string();
    };
    json!({"active": true, "sub": subject, "aud": audience, "iss": signer.url(), "scope": "tools"})
        .to_string()
}

/// What a token says.
///
/// # Panics
/// It cannot be read.
pub fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("a token");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON")
}

fn form_of(body: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://form/?{body}")).expect("a form");
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
