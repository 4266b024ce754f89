//! An issuer of access tokens: discovery, keys, tokens that say whatever a test wants, and a token endpoint that exchanges them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
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
    introspections: Arc<Mutex<Vec<Asked>>>,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

/// What makes tokens.
#[derive(Debug)]
struct Signer {
    address: SocketAddr,
    /// The last one signs; all of them are published.
    keys: Mutex<Vec<Arc<NamedKey>>>,
    published: Mutex<Published>,
}

#[derive(Debug)]
struct NamedKey {
    id: String,
    pair: KeyPair,
}

impl NamedKey {
    fn new(id: &str) -> Arc<Self> {
        Arc::new(Self { id: id.to_owned(), pair: KeyPair::generate().expect("a key") })
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &EncodingKey::from_ec_der(&self.pair.serialize_der())).expect("a token")
    }

    fn jwk(&self) -> Value {
        // Uncompressed: a byte that says so, then both coordinates.
        let point = self.pair.der_bytes()[1..].to_vec();
        let coordinate = |at: usize| BASE64_URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": coordinate(0), "y": coordinate(32)})
    }
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

/// What is found where its keys should be.
#[derive(Debug, Clone, Default)]
pub enum Published {
    /// They are.
    #[default]
    Keys,
    /// They are, after a while.
    Late(Duration),
    /// They are, behind so many bytes of blanks.
    Padded(usize),
    /// They are somewhere else.
    Elsewhere(String),
    /// Something else is.
    Saying(&'static str),
}

/// The id of its first key.
const KEY_ID: &str = "only";

impl Issuer {
    /// Listens.
    ///
    /// # Panics
    /// No port or key is to be had.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let base = format!("http://{address}");
        let discovery = json!({"issuer": base, "jwks_uri": format!("{base}/jwks"),
            "token_endpoint": format!("{base}/token")})
        .to_string();
        let fetches = Arc::<AtomicUsize>::default();
        let counted = fetches.clone();
        let keys = Mutex::new(vec![NamedKey::new(KEY_ID)]);
        let signer = Arc::new(Signer { address, keys, published: Mutex::default() });
        let published = signer.clone();
        let desk = Arc::<Desk>::default();
        let (asked, told) = ((signer.clone(), desk.clone()), signer.clone());
        let introspections = Arc::<Mutex<Vec<Asked>>>::default();
        let noted = introspections.clone();
        let router = Router::new()
            .route(
                "/token",
                post(async move |headers: HeaderMap, body: String| {
                    exchange(&asked.0, &asked.1, &headers, &body).await
                }),
            )
            .route(
                "/introspect",
                post(async move |headers: HeaderMap, body: String| {
                    let asked = Asked { form: form_of(&body), authorization: shown(&headers) };
                    let said = introspect(&told, &asked.form);
                    noted.lock().expect("nobody panics").push(asked);
                    said
                }),
            )
            .route("/.well-known/openid-configuration", get(async move || discovery))
            .route(
                "/jwks",
                get(async move || {
                    counted.fetch_add(1, Ordering::SeqCst);
                    published.answer().await
                }),
            );
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Self { signer, fetches, introspections, desk, task }
    }

    /// As it calls itself.
    pub fn url(&self) -> String {
        self.signer.url()
    }

    /// How often its keys were fetched.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// What it was asked about tokens, in order.
    ///
    /// # Panics
    /// Somebody else has.
    pub fn introspections(&self) -> Vec<Asked> {
        self.introspections.lock().expect("nobody panics").clone()
    }

    /// A good token of a subject for an audience, with some claims (an object) otherwise.
    pub fn token(&self, subject: &str, audience: &str, otherwise: &Value) -> String {
        let id = self.signer.newest().id.clone();
        self.token_under(Some(&id), "at+jwt", subject, audience, otherwise)
    }

    /// Signs with another key from now on. `keeps`: those of before are published, too.
    ///
    /// # Panics
    /// Somebody else has.
    pub fn rotate(&self, id: &str, keeps: bool) {
        let mut keys = self.signer.keys.lock().expect("nobody panics");
        if !keeps {
            keys.clear();
        }
        keys.push(NamedKey::new(id));
    }

    /// What is found where its keys should be, from now on.
    ///
    /// # Panics
    /// Somebody else has.
    pub fn publishes(&self, published: Published) {
        *self.signer.published.lock().expect("nobody panics") = published;
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

    /// Tokens that somebody else has made: by a shared secret that is none, and by a key that comes with the token.
    ///
    /// # Panics
    /// They cannot be signed.
    pub fn forgeries(&self, subject: &str, audience: &str) -> Vec<String> {
        let claims = self.signer.claims(subject, audience, &Value::Null);
        let published = self.signer.newest();
        let foreign = NamedKey::new(&published.id);
        let header = |algorithm| Header {
            kid: Some(published.id.clone()),
            typ: Some("at+jwt".to_owned()),
            ..Header::new(algorithm)
        };
        let shared = |id: &str, secret: &[u8]| {
            let header = Header { kid: Some(id.to_owned()), ..header(Algorithm::HS256) };
            encode(&header, &claims, &EncodingKey::from_secret(secret)).expect("a token")
        };
        let own = |header: &Header| foreign.sign(header, &claims);
        let jwk = serde_json::from_value(foreign.jwk()).expect("a key");
        let jku = format!("{}/jwks", self.url());
        vec![
            shared("shared", b"secret"),
            shared(&published.id, published.jwk().to_string().as_bytes()),
            shared(&published.id, published.pair.der_bytes()),
            own(&header(Algorithm::ES256)),
            own(&Header { jwk: Some(jwk), ..header(Algorithm::ES256) }),
            own(&Header { jku: Some(jku), kid: Some("theirs".to_owned()), ..header(Algorithm::ES256) }),
            // By the right key, and critical in a way that nobody knows.
            published.sign(&Header { crit: Some(vec!["x".to_owned()]), ..header(Algorithm::ES256) }, &claims),
        ]
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
    fn newest(&self) -> Arc<NamedKey> {
        self.keys.lock().expect("nobody panics").last().expect("a key").clone()
    }

    async fn answer(&self) -> Response {
        let published = self.published.lock().expect("nobody panics").clone();
        match published {
            Published::Keys => {}
            Published::Late(time) => tokio::time::sleep(time).await,
            Published::Padded(bytes) => return (" ".repeat(bytes) + &self.jwks()).into_response(),
            Published::Elsewhere(url) => return Redirect::temporary(&url).into_response(),
            Published::Saying(text) => return text.into_response(),
        }
        self.jwks().into_response()
    }

    fn jwks(&self) -> String {
        // One that nobody can use does not spoil the others.
        let mut keys = vec![json!({"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}), json!({"kty": "new"})];
        keys.extend(self.keys.lock().expect("nobody panics").iter().map(|key| key.jwk()));
        json!({"keys": keys}).to_string()
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn claims(&self, subject: &str, audience: &str, otherwise: &Value) -> Value {
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let mut claims =
            json!({"iss": self.url(), "sub": subject, "aud": audience, "iat": now, "exp": now + 300});
        for (name, value) in otherwise.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims
    }

    fn token_under(
        &self,
        key_id: Option<&str>,
        kind: &str,
        subject: &str,
        audience: &str,
        otherwise: &Value,
    ) -> String {
        let claims = self.claims(subject, audience, otherwise);
        let mut header = Header::new(Algorithm::ES256);
        (header.kid, header.typ) = (key_id.map(ToOwned::to_owned), Some(kind.to_owned()));
        self.newest().sign(&header, &claims)
    }
}

/// RFC 8693, and RFC 6749, section 4.4.
async fn exchange(signer: &Signer, desk: &Desk, headers: &HeaderMap, body: &str) -> (StatusCode, String) {
    let form: BTreeMap<String, String> = form_of(body);
    let authorization = shown(headers);
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
    let token = signer.token_under(Some(&signer.newest().id), "at+jwt", &subject, &for_whom, &otherwise);
    let said = json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
    (StatusCode::OK, said.to_string())
}

fn shown(headers: &HeaderMap) -> Option<String> {
    headers.get("authorization").and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

/// RFC 7662: `opaque-<subject>-<audience>` is good; that of the subject `bound` is so for who shows a key.
fn introspect(signer: &Signer, form: &BTreeMap<String, String>) -> String {
    let token = form.get("token").cloned().unwrap_or_default();
    let Some((subject, audience)) = token.strip_prefix("opaque-").and_then(|rest| rest.split_once('-'))
    else {
        return json!({"active": false}).to_string();
    };
    let mut said =
        json!({"active": true, "sub": subject, "aud": audience, "iss": signer.url(), "scope": "tools"});
    if subject == "bound" {
        said["cnf"] = json!({"jkt": "x"});
    }
    said.to_string()
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
