//! What people write: YAML in, core values and every fault with its place out. Pure: files are read by the caller.
//!
//! `tree` reads YAML with spans, `decode` walks it with a decoder that gathers faults, `desired` joins all documents.
//! `schema` says the same to editors and to the reference.

mod access;
mod cases;
mod decode;
mod desired;
mod document;
mod duration;
mod fault;
mod import;
mod schema;
mod tree;
mod written;

pub use access::read_access;
pub use cases::{Case, read_cases};
pub use decode::{Hosting, Reference};
pub use desired::{Source, read, read_for, references};
pub use fault::{Fault, Place};
pub use import::{CannotImport, Imported, import};
pub use schema::{Row, Section, reference, schema};
pub use written::{DocumentKind, UnknownKind, Written, documents};
