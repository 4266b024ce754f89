//! Why a token is not taken: clients hear that it is not, operators why.

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Not a token that is good here.
    #[error("the token is not good here: {}", .0.as_str())]
    Invalid(Why),
    /// Nobody can say, since the issuer cannot be reached.
    #[error("the issuer cannot be reached")]
    Unavailable,
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is no JWT, or not one that can be read, or larger than any.
    Malformed,
    /// It says that it is something else than an access token, or that something is critical that nobody knows here.
    OtherKind,
    /// It is of nobody whose tokens are taken here.
    OtherIssuer,
    /// It is for somebody else.
    OtherAudience,
    /// Its issuer has no key that it could be signed by.
    UnknownKey,
    /// It is not signed by the key of its issuer.
    Signature,
    /// It does not say what it must: `exp`, `iss`, `aud`, `sub`, or not as it must.
    Incomplete,
    /// It has ended.
    Ended,
    /// It is not good yet.
    NotYet,
    /// It is bound to a key that is not shown (RFC 9449, RFC 8705).
    Bound,
    /// Its issuer, who was asked, says no.
    NotActive,
}

impl Why {
    /// A word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::OtherKind => "token_of_other_kind",
            Self::OtherIssuer => "token_of_other_issuer",
            Self::OtherAudience => "token_for_other_audience",
            Self::UnknownKey => "token_under_unknown_key",
            Self::Signature => "token_signature",
            Self::Incomplete => "token_incomplete",
            Self::Ended => "token_ended",
            Self::NotYet => "token_not_yet_good",
            Self::Bound => "token_bound_to_key",
            Self::NotActive => "token_not_active",
        }
    }
}
