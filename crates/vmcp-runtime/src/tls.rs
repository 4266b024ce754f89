//! TLS at both ends of a connection: what is shown and who is trusted are files, followed as they change; who a peer is stands in
//! the certificate that it shows.

mod connect;
mod files;
mod peer;
mod serve;

pub use connect::{ConnectFiles, connector};
pub use files::{Clients, Shown};
pub use peer::Certified;
pub use serve::{Admission, ServerTls, serve_grpc};
