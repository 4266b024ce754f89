//! JSON as bytes: a text is checked once, members of its objects are found as ranges, and one member is replaced,
//! removed or added by splicing, so that everything else stays as it was written. Knows nothing of MCP.
//!
//! ```
//! use vmcp_json::{Edits, Limits, Object};
//!
//! let text = br#"{"params":{"name":"search","n":1.10},"id":12345678901234567890123}"#;
//! let message = Object::parse(text, &Limits::new(1024, 8))?;
//! let params = message.get("params").and_then(|value| value.as_object()).unwrap();
//!
//! let mut edits = Edits::new();
//! edits.replace(params.get("name").unwrap(), b"\"find\"");
//! assert_eq!(edits.apply(text), br#"{"params":{"name":"find","n":1.10},"id":12345678901234567890123}"#);
//! # Ok::<(), vmcp_json::Fault>(())
//! ```

mod object;
mod scan;
mod skip;
mod splice;
mod text;
mod value;

pub use object::{Member, Object};
pub use scan::{Fault, Limits, OUTER_LEVELS};
pub use splice::Edits;
pub use text::{quote, quote_to};
pub use value::{Elements, Kind, Value};
