//! What is true: names, items, inventories, conflict resolution, catalogs, diagnostics and limits. Pure: no clock, no
//! socket, no file.

pub mod access;
pub mod aggregation;
pub mod audit;
pub mod backend;
pub mod boundary;
pub mod catalog;
pub mod desired;
pub mod diagnostic;
pub mod drift;
pub mod health;
pub mod inventory;
pub mod item;
pub mod limits;
pub mod name;
pub mod operational;
pub mod owners;
pub mod prefix;
pub mod report;
pub mod resolve;
pub mod sentence;
pub mod template;
pub mod tool_name;
pub mod written;
