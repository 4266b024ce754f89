//! The two boundaries of a virtual server: who may come in and what they may do; and what its backends are shown.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::HeaderName;

use crate::desired::{Found, Text};
use crate::name::Name;
use crate::written::Line;

/// Who may come in to a virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Incoming {
    /// Whoever reaches the listener.
    #[default]
    Anonymous,
    /// Whoever reaches the listener, as the user of the operating system who runs the data plane.
    Local,
    /// Who brings an access token of one of these issuers; at least one, each once.
    Oidc(Vec<Issuer>),
}

/// Whose access tokens are taken, and how they are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// As it calls itself: an address.
    pub issuer: String,
    /// What a token must be for.
    pub audience: String,
    /// Who we are to the issuer, where we ask it something.
    pub client: Option<Client>,
    /// What the server is called in its metadata, if not by its address.
    pub resource: Option<String>,
    /// What clients are told to ask for.
    pub scopes: Vec<String>,
    /// Those without which nobody comes in.
    pub required_scopes: Vec<String>,
    /// Where its keys are; found by discovery if absent.
    pub jwks_url: Option<String>,
    /// Where it says whether a token is good; tokens are not looked into then.
    pub introspection_url: Option<String>,
    /// How it is reached.
    pub reach: Reach,
}

/// How an authorization server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// A file with certificates that its TLS is held to besides the usual ones.
    pub ca_bundle: Option<PathBuf>,
    /// Whether what it refers to may be at addresses that are not public.
    pub allows_private_ip: bool,
    /// Whether it may be asked in plain text elsewhere than on loopback.
    pub allows_http: bool,
}

/// Who we are to an authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name for us.
    pub id: String,
    /// How we show that we are that.
    pub proof: Proof,
}

/// How a client shows that it is the one (RFC 6749, section 2.3; RFC 7523, section 2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It does not.
    None,
    /// By a secret, in the header.
    Basic(Found),
    /// By a secret, in the body.
    Post(Found),
    /// By what it signs with a private key (PEM).
    PrivateKey {
        /// Where the key is.
        key: Found,
        /// Its id there.
        key_id: Option<String>,
        /// How it signs, such as `RS256`.
        algorithm: String,
    },
}

/// What those who may come in may do: policies of Cedar, in ToolHive's vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorization {
    /// As they were written, one text each.
    pub policies: Vec<String>,
    /// Where each of them begins.
    pub lines: Vec<Line>,
    /// Entities that are written out, in Cedar's JSON.
    pub entities: Option<String>,
    /// The claim that holds groups, if it is not one of the usual ones.
    pub group_claim: Option<String>,
    /// The claim that holds roles, which are groups too.
    pub role_claim: Option<String>,
    /// What groups are called in policies, if not `THVGroup`.
    pub group_type: Option<String>,
}

/// What backends are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outgoing {
    /// Those of which nothing else is said.
    pub default: Strategy,
    /// By workload.
    pub backends: BTreeMap<Name, Strategy>,
}

/// What one backend is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Nothing.
    #[default]
    Unauthenticated,
    /// The caller's own token.
    PassThrough,
    /// A token that the caller's is exchanged for (RFC 8693).
    TokenExchange(Box<TokenExchange>),
    /// A token of our own (RFC 6749, section 4.4).
    ClientCredentials(Box<Grant>),
    /// The same header with every request.
    Header(HeaderName, Text),
}

/// What an authorization server is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grant {
    /// Where; the token endpoint of the caller's issuer if absent.
    pub token_url: Option<String>,
    /// Who asks; who we are to the caller's issuer if absent.
    pub client: Option<Client>,
    /// For whom the token is to be good, by name.
    pub audience: Option<String>,
    /// For what, by address (RFC 8707).
    pub resource: Option<String>,
    /// What it is to allow.
    pub scopes: Vec<String>,
    /// How the server is reached.
    pub reach: Reach,
}

/// How a caller's token is exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenExchange {
    /// What for.
    pub grant: Grant,
    /// What kind of token the caller's is said to be.
    pub subject_token_type: SubjectTokenType,
}

/// What kind of token a caller's is said to be (RFC 8693, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubjectTokenType {
    /// An access token.
    #[default]
    AccessToken,
    /// An ID token.
    IdToken,
    /// Any JWT.
    Jwt,
}

impl Outgoing {
    /// What a backend is shown.
    pub fn of(&self, backend: &Name) -> &Strategy {
        self.backends.get(backend).unwrap_or(&self.default)
    }
}

impl SubjectTokenType {
    /// Each, with its short name.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::AccessToken, "access_token"), (Self::IdToken, "id_token"), (Self::Jwt, "jwt")];

    /// As requests name it.
    pub fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }

    /// By its short name, or as requests name it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(kind, name)| *name == text || kind.urn() == text).map(|(kind, _)| kind)
    }
}
