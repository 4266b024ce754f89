//! The MCP wire: messages as borrowed ranges over raw bytes, protocol versions, header rules, server-sent events, and
//! [`Exchange`], the only thing that opens connections to backends. Knows the protocol, and nothing of virtual servers.

mod annotation;
pub mod body;
mod change;
mod changes;
pub mod code;
mod compose;
mod connect;
mod duplex;
mod exchange;
pub mod extension;
mod failure;
pub mod header;
mod holder;
mod message;
pub mod method;
mod mirror;
mod peer;
mod probe;
mod retry_after;
mod session;
pub mod sse;
mod stream;
mod version;
mod watch;

pub use annotation::{Misuse, check_annotations};
pub use change::Change;
pub use changes::Changes;
pub use compose::{
    Implementation, NO_CAPABILITIES, OURSELVES, accepted_meta, error, modern_params, notification, request,
    result,
};
pub use connect::{Origins, check_roots};
pub use duplex::Duplex;
pub use exchange::{Answer, Answered, Begun, Bounds, Call, Exchange};
pub use failure::Failure;
pub use header::SessionId;
pub use holder::Holder;
pub use message::{Id, Malformed, Message, Notification, Outcome, Rejected, Request, Response};
pub use mirror::{Mirror, mirrors};
pub use peer::{Carrier, Peer};
pub use probe::{Discovered, discover, is_modern_alone, speaks_modern};
pub use session::{Initialized, Session, close, listen, open, resume};
pub use stream::EventStream;
pub use version::{Era, ProtocolVersion};
pub use watch::watch;
