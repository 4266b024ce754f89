//! What is special about the servers that backends are at: how long a connection may take, and what its TLS trusts.

use std::collections::BTreeMap;

use vmcp_core::backend::BackendId;
use vmcp_core::desired::{Desired, Endpoints};
use vmcp_mcp::{Exchange, Origins, check_roots};
use vmcp_runtime::secret_file;

/// Makes an exchange connect as is wanted.
pub fn set_origins(exchange: &Exchange, desired: &Desired, called: &BTreeMap<BackendId, Endpoints>) {
    let mut origins = Origins::default();
    for (id, endpoints) in called {
        let servers = desired.virtual_servers.values().filter(|server| server.group == id.group);
        let times = servers.map(|server| server.operational.timeouts(&id.name).connect);
        let Some(connect) = times.min() else { continue };
        // A file that is of no use is said by whoever asks its backend.
        let roots = endpoints.ca_bundle.as_deref().and_then(|file| secret_file(file).ok());
        let roots = roots.filter(|roots| check_roots(roots.as_bytes()).is_ok());
        for url in &endpoints.urls {
            origins.add(url, connect, roots.as_deref().map(str::as_bytes));
        }
    }
    if let Err(error) = exchange.set_origins(origins) {
        tracing::error!(%error, "connections are made as they were before");
    }
}
