//! What is true: names, items, inventories, conflict resolution, catalogs, diagnostics and limits. Pure: no clock, no
//! socket, no file.

pub mod backend;
pub mod catalog;
pub mod desired;
pub mod diagnostic;
pub mod inventory;
pub mod item;
pub mod limits;
pub mod name;
pub mod prefix;
pub mod resolve;
pub mod template;
