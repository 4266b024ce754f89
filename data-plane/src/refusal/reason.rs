//! What went wrong behind us, in words for clients to decide by.

use http::StatusCode;
use vmcp_mcp::Failure;

/// What went wrong behind us: `error.data.reason`, for clients to decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It cannot be reached, or says that it is not there.
    Unavailable,
    /// It did not answer in time.
    Timeout,
    /// What it answered is not MCP.
    Protocol,
    /// It says "no" in a way that is not MCP, as to a body that is too large for it.
    Declined,
    /// What it answered is over a bound.
    TooLarge,
    /// It does not accept our credential.
    Auth,
    /// There is no credential for it now, since the authorization server cannot be used.
    AuthUnavailable,
    /// It wants to be left alone for a while.
    Busy,
    /// It asked the client for something that this client's era cannot be asked.
    InputRequired,
    /// It says more on the way to its answer than anybody can use.
    StreamLimit,
}

impl Reason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "backend_unavailable",
            Self::Timeout => "backend_timeout",
            Self::Protocol | Self::Declined => "backend_protocol_error",
            Self::TooLarge => "backend_response_too_large",
            Self::Auth => "backend_auth_failed",
            Self::AuthUnavailable => "backend_auth_unavailable",
            Self::Busy => "backend_busy",
            Self::InputRequired => "backend_needs_input",
            Self::StreamLimit => "backend_stream_limit",
        }
    }

    /// Whether this shows that the backend works: it does not if it cannot be reached, is late or talks nonsense, and nothing is shown
    /// by its being busy. What one client asks for must not close a backend to others.
    pub(crate) const fn verdict(self) -> Option<bool> {
        match self {
            Self::Unavailable | Self::Timeout | Self::Protocol => Some(false),
            Self::Busy | Self::AuthUnavailable => None,
            Self::Declined | Self::Auth | Self::TooLarge | Self::InputRequired | Self::StreamLimit => {
                Some(true)
            }
        }
    }

    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Unavailable => "is not available",
            Self::Timeout => "did not answer in time",
            Self::Protocol | Self::Declined => "did not answer as MCP demands",
            Self::TooLarge => "answered more than is passed on",
            Self::Auth => "does not accept the credential it is called with",
            Self::AuthUnavailable => "cannot be called: there is no credential for it at the moment",
            Self::Busy => "is busy",
            Self::InputRequired => "asks for input, which this client's protocol version cannot give",
            Self::StreamLimit => "sends more messages than are passed on",
        }
    }
}

impl From<&Failure> for Reason {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Unreachable(_) | Failure::Broken(_) => Self::Unavailable,
            Failure::TimedOut => Self::Timeout,
            Failure::TooLarge { .. } => Self::TooLarge,
            Failure::Protocol(_) | Failure::CutOff(_) => Self::Protocol,
            Failure::Status(status) => Self::from(*status),
        }
    }
}

impl From<StatusCode> for Reason {
    fn from(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                Self::Unavailable
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Auth,
            StatusCode::TOO_MANY_REQUESTS => Self::Busy,
            StatusCode::REQUEST_TIMEOUT => Self::Protocol,
            status if status.is_client_error() => Self::Declined,
            _ => Self::Protocol,
        }
    }
}
