//! Talking to an authorization server: whether a token is good, and tokens for backends. Knows nothing of MCP.

mod address;
mod bearer;
mod claims;
mod client;
mod denied;
mod discovery;
mod fetcher;
mod grant;
mod introspect;
mod keys;
mod opaque;
pub mod prepare;
mod reach;
mod tokens;
mod trusted;
mod verified;
mod verify;

pub use bearer::{Bearer, hash};
pub use client::Client;
pub use denied::{Denied, Why};
pub use fetcher::KeyFetcher;
pub use grant::{Endpoint, Grant, Issued, NoToken};
pub use reach::Reach;
pub use tokens::Tokens;
pub use trusted::Trusted;
pub use verified::Verified;
pub use verify::Verifier;
