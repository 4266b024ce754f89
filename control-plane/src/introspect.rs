//! Keeps to each backend: asks what it offers, listens to what it says of its lists by itself, and sees whether it is there.

mod credential;
mod ear;
mod known;
mod observe;
mod origins;

pub use credential::{Service, inventory, service};
pub(crate) use known::{Observation, Observations};
pub(crate) use observe::{Observers, Watched};
pub use origins::set_origins;
