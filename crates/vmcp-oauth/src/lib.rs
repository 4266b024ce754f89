//! What an authorization server says: where its keys are, and whether a token is good. Knows nothing of MCP.

mod address;
mod keys;
mod token;

pub use address::may_be_asked;
pub use token::{Denied, Expected, Verified, Verifier};
