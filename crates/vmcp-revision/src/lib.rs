//! The publish protocol: what a control plane publishes as named parts, how a part becomes bytes and back, and the
//! channel on which data planes follow.

pub mod codec;
mod part;
mod publish;

pub use part::{Digest, Part, PartName};
pub use publish::{Follower, Published, Publisher};
