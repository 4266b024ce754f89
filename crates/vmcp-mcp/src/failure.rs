//! Why a backend has not answered.

use std::error::Error as StdError;

use http::StatusCode;

use crate::body;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection: nothing has been sent.
    #[error("could not connect")]
    Unreachable(#[source] Box<dyn StdError + Send + Sync>),
    /// The connection broke: the request may have been executed.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
    /// The connection broke within a body: the request may have been executed.
    #[error("the answer was cut off")]
    CutOff(#[source] Box<dyn StdError + Send + Sync>),
    /// The time was up: the request may have been executed.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is over a bound.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// A status that is no answer.
    #[error("answered with HTTP status {0}")]
    Status(StatusCode),
    /// Something that is not MCP.
    #[error("{0}")]
    Protocol(String),
}

impl Failure {
    /// What happened and why, each cause once.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        text
    }
}

impl From<body::Incomplete> for Failure {
    fn from(incomplete: body::Incomplete) -> Self {
        match incomplete {
            body::Incomplete::TooLarge { limit } => Self::TooLarge { limit },
            body::Incomplete::Broken(source) => Self::CutOff(source),
        }
    }
}
