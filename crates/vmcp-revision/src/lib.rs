//! The publish protocol: what a control plane publishes as named parts, how a part becomes bytes and back, both ends of a stream
//! as state machines, and what drives them over gRPC or within a process.

pub mod codec;
mod fleet;
mod follow;
mod grpc;
mod link;
mod part;
pub mod protocol;
mod publish;
mod published;
mod serving;

pub use fleet::{Avoided, Fleet, Replica};
pub use follow::{Connection, Follower, Verdict};
pub use grpc::{Follows, publish_service};
pub use link::{Source, remote};
pub use part::{Digest, InvalidPartName, Part, PartName};
pub use publish::{Publisher, StreamEnd};
pub use published::Published;
pub use serving::{ServedWhole, Serving};
