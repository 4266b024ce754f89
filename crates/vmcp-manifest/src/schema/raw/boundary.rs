//! What people write of the two boundaries, as types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::group::TextOrReference;

/// Who may come in, and what they may do.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct IncomingAuth {
    /// `anonymous`: whoever reaches the listener. `local`: the same, as the user of the operating system who runs the data plane. `oidc`:
    /// who brings an access token.
    r#type: IncomingType,
    /// Whose access tokens are taken, with `type: oidc`.
    #[serde(default)]
    oidc: Option<OneOrSeveral>,
    /// What those who come in may do; everything if absent.
    #[serde(default)]
    authz: Option<Authz>,
}

/// One issuer, or several.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(in crate::schema) enum OneOrSeveral {
    One(Box<Oidc>),
    Several(Vec<Oidc>),
}

/// Whose access tokens are taken.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct Oidc {
    /// The issuer, as it writes itself in its tokens: an https address, or an http one on loopback.
    issuer: String,
    /// What a token must be for: it is in its `aud`.
    audience: String,
    /// Who we are to the issuer: for introspection, and for exchanges that name no other client.
    #[serde(default)]
    client_id: Option<String>,
    /// Where the client's secret is found: `{env: NAME}` or `{file: PATH}`.
    #[serde(default)]
    client_secret: Option<TextOrReference>,
    /// The same: a variable.
    #[serde(default)]
    client_secret_env: Option<String>,
    /// The same: a file; an absolute path.
    #[serde(default)]
    client_secret_file: Option<String>,
    /// How the client shows that it is the one; by what it has if absent.
    #[serde(default)]
    client_auth_method: Option<ClientAuthMethod>,
    /// Where the private key (PEM) of `private_key_jwt` is found.
    #[serde(default)]
    client_key: Option<TextOrReference>,
    /// The key's id at the issuer.
    #[serde(default)]
    client_key_id: Option<String>,
    /// How the key signs.
    #[serde(default)]
    client_key_algorithm: KeyAlgorithm,
    /// What the server is called in its metadata (RFC 9728); its address if absent.
    #[serde(default)]
    resource: Option<String>,
    /// What clients are told to ask for.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// Scopes without which nobody comes in: 403, with all of them at once.
    #[serde(default)]
    required_scopes: Option<Vec<String>>,
    /// Where the issuer's keys are; found by discovery if absent.
    #[serde(default)]
    jwks_url: Option<String>,
    /// Where the issuer says whether a token is good (RFC 7662). Tokens are not looked into then.
    #[serde(default)]
    introspection_url: Option<String>,
    /// What discovery leads to may be at addresses that are not public.
    #[serde(default)]
    jwks_allow_private_ip: bool,
    /// The same.
    #[serde(default)]
    protected_resource_allow_private_ip: bool,
    /// The issuer may be asked in plain text elsewhere than on loopback. For tests.
    #[serde(default)]
    insecure_allow_http: bool,
    /// A file (PEM) with certificates that the issuer's TLS is held to besides those of the operating system; an absolute path.
    #[serde(default)]
    ca_bundle_path: Option<String>,
}

/// How clients are told apart.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::schema) enum IncomingType {
    Anonymous,
    Oidc,
    Local,
}

/// How a client shows that it is the one (RFC 6749, RFC 7523).
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::schema) enum ClientAuthMethod {
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    None,
}

/// How a private key signs.
#[derive(JsonSchema, Serialize, Default)]
pub(in crate::schema) enum KeyAlgorithm {
    #[default]
    RS256,
    RS384,
    RS512,
    PS256,
    ES256,
    ES384,
    EdDSA,
}

/// What those who come in may do. Whatever no policy permits is denied, and not listed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct Authz {
    /// `cedar`: what `policies` permit. `none`: everything.
    r#type: AuthzType,
    /// Policies of Cedar, each a text; see the guide on permissions.
    #[serde(default)]
    policies: Option<Vec<String>>,
    /// Entities in Cedar's JSON form: groups within groups, attributes of tools.
    #[serde(default)]
    entities_json: Option<String>,
    /// The claim that holds a caller's groups, with points on the way into it; `groups`, `roles` or `cognito:groups` if absent.
    #[serde(default)]
    group_claim_name: Option<String>,
    /// The claim that holds a caller's roles, which are groups too.
    #[serde(default)]
    role_claim_name: Option<String>,
    /// What groups are called in policies.
    #[serde(default = "group_type")]
    group_entity_type: String,
}

fn group_type() -> String {
    "THVGroup".to_owned()
}

/// Who decides.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::schema) enum AuthzType {
    Cedar,
    None,
}

/// What backends are shown.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct OutgoingAuth {
    /// Where the strategies stand.
    #[serde(default)]
    source: OutgoingSource,
    /// For workloads that are not in `backends`.
    #[serde(default)]
    default: Option<Strategy>,
    /// By workload.
    #[serde(default)]
    backends: Option<BTreeMap<String, Strategy>>,
}

/// Where the strategies stand.
#[derive(JsonSchema, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub(in crate::schema) enum OutgoingSource {
    #[default]
    Inline,
}

/// What one backend is shown.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct Strategy {
    /// `unauthenticated`: nothing. `token_exchange`: a token for it, in the caller's name. `service_account`: a token or credential of our
    /// own. `header_injection`: the same header always. `pass_through`: the caller's own token, which MCP forbids.
    r#type: StrategyType,
    /// What is asked for, with `type: token_exchange`.
    #[serde(default)]
    token_exchange: Option<TokenExchange>,
    /// What is asked for, or where it is found, with `type: service_account`.
    #[serde(default)]
    service_account: Option<ServiceAccount>,
    /// Which header, with `type: header_injection`.
    #[serde(default)]
    header_injection: Option<HeaderInjection>,
}

/// What a backend is shown.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::schema) enum StrategyType {
    Unauthenticated,
    PassThrough,
    TokenExchange,
    ServiceAccount,
    HeaderInjection,
}

/// A token that the caller's is exchanged for (RFC 8693). It is asked for once as long as it is good.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct TokenExchange {
    /// The token endpoint; that of the caller's issuer if absent.
    #[serde(default)]
    token_url: Option<String>,
    /// Who asks; the client of `incoming_auth.oidc` if absent.
    #[serde(default)]
    client_id: Option<String>,
    /// Where the client's secret is found: `{env: NAME}` or `{file: PATH}`.
    #[serde(default)]
    client_secret: Option<TextOrReference>,
    /// The same: a variable.
    #[serde(default)]
    client_secret_env: Option<String>,
    /// The same: a file; an absolute path.
    #[serde(default)]
    client_secret_file: Option<String>,
    /// How the client shows that it is the one; by what it has if absent.
    #[serde(default)]
    client_auth_method: Option<ClientAuthMethod>,
    /// Where the private key (PEM) of `private_key_jwt` is found.
    #[serde(default)]
    client_key: Option<TextOrReference>,
    /// The key's id there.
    #[serde(default)]
    client_key_id: Option<String>,
    /// How the key signs.
    #[serde(default)]
    client_key_algorithm: KeyAlgorithm,
    /// For whom the token is to be good, by name. A token that says another audience is not used.
    #[serde(default)]
    audience: Option<String>,
    /// For what, by address (RFC 8707).
    #[serde(default)]
    resource: Option<String>,
    /// What it is to allow.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// What the caller's token is said to be: `access_token`, `id_token`, `jwt`, or one of their URNs.
    #[serde(default = "access_token")]
    subject_token_type: String,
    /// It may be asked in plain text elsewhere than on loopback. For tests.
    #[serde(default)]
    insecure_allow_http: bool,
    /// A file (PEM) with certificates that its TLS is held to besides those of the operating system; an absolute path.
    #[serde(default)]
    ca_bundle_path: Option<String>,
}

fn access_token() -> String {
    "access_token".to_owned()
}

/// A token of our own (RFC 6749, section 4.4), or a credential that is there already.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct ServiceAccount {
    /// The token endpoint; that of the caller's issuer if absent.
    #[serde(default)]
    token_url: Option<String>,
    /// Who asks; the client of `incoming_auth.oidc` if absent.
    #[serde(default)]
    client_id: Option<String>,
    /// Where the client's secret is found: `{env: NAME}` or `{file: PATH}`.
    #[serde(default)]
    client_secret: Option<TextOrReference>,
    /// The same: a variable.
    #[serde(default)]
    client_secret_env: Option<String>,
    /// The same: a file; an absolute path.
    #[serde(default)]
    client_secret_file: Option<String>,
    /// How the client shows that it is the one; by what it has if absent.
    #[serde(default)]
    client_auth_method: Option<ClientAuthMethod>,
    /// Where the private key (PEM) of `private_key_jwt` is found.
    #[serde(default)]
    client_key: Option<TextOrReference>,
    /// The key's id there.
    #[serde(default)]
    client_key_id: Option<String>,
    /// How the key signs.
    #[serde(default)]
    client_key_algorithm: KeyAlgorithm,
    /// For whom the token is to be good, by name.
    #[serde(default)]
    audience: Option<String>,
    /// For what, by address (RFC 8707).
    #[serde(default)]
    resource: Option<String>,
    /// What it is to allow.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// It may be asked in plain text elsewhere than on loopback. For tests.
    #[serde(default)]
    insecure_allow_http: bool,
    /// A file (PEM) with certificates that its TLS is held to besides those of the operating system; an absolute path.
    #[serde(default)]
    ca_bundle_path: Option<String>,
    /// A variable that holds the credential; nothing is asked for then.
    #[serde(default)]
    credentials_env: Option<String>,
    /// The same: a file; an absolute path.
    #[serde(default)]
    credentials_file: Option<String>,
    /// In which header the credential goes.
    #[serde(default = "authorization")]
    header_name: String,
    /// What the header holds; `{token}`, at the end, stands for the credential.
    #[serde(default = "bearer")]
    header_format: String,
}

fn authorization() -> String {
    "Authorization".to_owned()
}

fn bearer() -> String {
    "Bearer {token}".to_owned()
}

/// The same header with every request.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::schema) struct HeaderInjection {
    /// Its name.
    header_name: String,
    /// What it holds; a secret as `{env: NAME}` or `{file: PATH}`, with a `prefix` where one is needed.
    #[serde(default)]
    header_value: Option<TextOrReference>,
    /// The same: a variable.
    #[serde(default)]
    header_value_env: Option<String>,
    /// The same: a file; an absolute path.
    #[serde(default)]
    header_value_file: Option<String>,
}
