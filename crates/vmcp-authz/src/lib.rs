//! Cedar behind our words: policies are compiled, decide, and explain themselves. Knows no MCP message; pure.

mod compile;
mod condition;
mod decide;
mod entity;
mod fault;
mod hints;
mod infer;
mod item;
mod lint;
mod named;
mod schema;
mod select;
mod shape;
mod subject;
mod vocabulary;

pub use compile::Policies;
pub use decide::Decision;
pub use fault::PolicyFault;
pub use hints::Hints;
pub use item::{Described, Guarded};
pub use lint::{Lint, Offered};
pub use subject::{Claims, GROUP_CLAIMS, Subject};
pub use vocabulary::Act;

#[cfg(test)]
mod tests;
