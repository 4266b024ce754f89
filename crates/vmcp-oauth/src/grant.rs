//! Asking a token endpoint for a token: for a caller (RFC 8693), or for ourselves (RFC 6749, section 4.4).

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::bearer::{Bearer, hash};
use crate::claims::is_for;
use crate::client::{Client, form};
use crate::discovery::discover;
use crate::reach::{Http, Reach, send};

/// What is asked for, and where.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Where.
    pub endpoint: Endpoint,
    /// Who asks.
    pub client: Client,
    /// For whom the token is to be good, by name.
    pub audience: Option<String>,
    /// For what, by address (RFC 8707).
    pub resource: Option<String>,
    /// What it is to allow.
    pub scopes: Vec<String>,
    /// How the server is reached.
    pub reach: Reach,
}

/// Where tokens are had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// At an address that an operator has written.
    At(String),
    /// Where this issuer says.
    Of(String),
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// The server says no to this caller: another one may have one.
    #[error("the authorization server refuses: {0}")]
    Refused(String),
    /// The server cannot be reached, or does not say what it should; later it may.
    #[error("the authorization server cannot be used: {0}")]
    Unavailable(String),
}

/// A token for a backend. It cannot be printed.
#[derive(Clone)]
pub struct Issued {
    pub(crate) value: String,
    /// In seconds; absent if it is not said.
    pub(crate) expires_in: Option<u64>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issued(…)")
    }
}

impl Issued {
    /// What a header holds for the backend.
    pub fn to_header(&self) -> String {
        format!("Bearer {}", self.value)
    }
}

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

#[derive(Deserialize)]
struct Said {
    access_token: Option<String>,
    token_type: Option<String>,
    issued_token_type: Option<String>,
    expires_in: Option<f64>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Grant {
    /// Tells what it asks for from all else.
    pub fn mark(&self) -> [u8; 32] {
        let (kind, endpoint) = match &self.endpoint {
            Endpoint::At(url) => ("at", url),
            Endpoint::Of(issuer) => ("of", issuer),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        hash(&[
            kind.as_bytes(),
            endpoint.as_bytes(),
            self.client.mark(),
            text(&self.audience).as_bytes(),
            text(&self.resource).as_bytes(),
            self.scopes.join(" ").as_bytes(),
            &self.reach.mark(),
        ])
    }

    /// A token that the caller's is exchanged for. `kind`: what the caller's is said to be, by its URN.
    pub(crate) async fn exchange(
        &self,
        http: &Http,
        subject: &Bearer,
        kind: &str,
        now: u64,
    ) -> Result<Issued, NoToken> {
        let fields = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
            ("subject_token", subject.reveal().to_owned()),
            ("subject_token_type", kind.to_owned()),
            ("requested_token_type", ACCESS_TOKEN.to_owned()),
        ];
        let said = self.ask(http, fields, now).await?;
        // RFC 8693, section 2.2.1: it is required, and says what the token is.
        if !said.issued_token_type.as_deref().is_some_and(|kind| [ACCESS_TOKEN, JWT].contains(&kind)) {
            return Err(NoToken::Unavailable("what it has issued is no access token".to_owned()));
        }
        self.take(said, now)
    }

    /// A token of our own.
    pub(crate) async fn credentials(&self, http: &Http, now: u64) -> Result<Issued, NoToken> {
        let fields = vec![("grant_type", "client_credentials".to_owned())];
        let said = self.ask(http, fields, now).await?;
        self.take(said, now)
    }

    async fn ask(
        &self,
        http: &Http,
        mut fields: Vec<(&'static str, String)>,
        now: u64,
    ) -> Result<Said, NoToken> {
        let (url, named_by) = match &self.endpoint {
            Endpoint::At(url) => (url.clone(), url),
            Endpoint::Of(issuer) => {
                let found = discover(http, issuer).await.map_err(NoToken::Unavailable)?;
                let missing = || NoToken::Unavailable("the issuer names no token endpoint".to_owned());
                (found.token_endpoint.ok_or_else(missing)?, issuer)
            }
        };
        let shown = self.client.show(&url, now).map_err(NoToken::Unavailable)?;
        let wanted = [("audience", &self.audience), ("resource", &self.resource)];
        fields.extend(wanted.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        if !self.scopes.is_empty() {
            fields.push(("scope", self.scopes.join(" ")));
        }
        fields.extend(shown.fields);
        let client = http.client_for(&url, named_by).map_err(NoToken::Unavailable)?;
        let mut request = client.post(&url).body(form(&fields));
        request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json");
        if let Some(header) = shown.header {
            request = request.header("authorization", header);
        }
        let (status, text) = send(request).await.map_err(NoToken::Unavailable)?;
        match status {
            200 => serde_json::from_slice(&text)
                .map_err(|_| NoToken::Unavailable("its answer is not what it should be".to_owned())),
            // RFC 6749, section 5.2. What is wrong with us is not the caller's fault, and may be mended.
            400..=403 => match serde_json::from_slice::<Refusal>(&text) {
                Ok(Refusal { error }) if is_about_caller(&error) => Err(NoToken::Refused(error)),
                Ok(Refusal { error }) => Err(NoToken::Unavailable(known(&error))),
                Err(_) => Err(NoToken::Unavailable(format!("it answers {status}"))),
            },
            status => Err(NoToken::Unavailable(format!("it answers {status}"))),
        }
    }

    /// A token that can be shown to the backend, and is for it.
    fn take(&self, said: Said, now: u64) -> Result<Issued, NoToken> {
        let unusable = |why: &str| NoToken::Unavailable(why.to_owned());
        if !said.token_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(unusable("what it has issued is no bearer token"));
        }
        let is_plain =
            |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let value = said.access_token.filter(is_plain).ok_or_else(|| unusable("it has issued no token"))?;
        let wanted = [self.audience.as_deref(), self.resource.as_deref()];
        let claims = claims(&value);
        if let Some(claims) = &claims
            && claims.contains_key("aud")
            && wanted.iter().any(Option::is_some)
            && !wanted.iter().flatten().any(|audience| is_for(claims, audience))
        {
            return Err(unusable("what it has issued is for somebody else"));
        }
        // It may say itself that it ends sooner.
        let ends = claims.and_then(|claims| claims.get("exp")?.as_f64());
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
        let left = ends.map(|ends| ends - now as f64);
        let expires_in = said.expires_in.into_iter().chain(left).reduce(f64::min);
        if expires_in.is_some_and(|seconds| seconds <= 0.0) {
            return Err(unusable("what it has issued is good no more"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and bounded where it is used"
        )]
        let expires_in = expires_in.map(|seconds| seconds as u64);
        Ok(Issued { value, expires_in })
    }
}

/// What a token says that can be read.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let mut pieces = token.split('.');
    let (_, claims, _) = (pieces.next()?, pieces.next()?, pieces.next()?);
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn is_about_caller(error: &str) -> bool {
    matches!(error, "invalid_grant" | "invalid_target" | "invalid_scope" | "access_denied")
}

/// What a server says stands in a log only if it is a word of the specification.
fn known(error: &str) -> String {
    let is_known = ["invalid_request", "invalid_client", "unauthorized_client", "unsupported_grant_type"]
        .contains(&error);
    if is_known { error.to_owned() } else { "it refuses".to_owned() }
}
