//! What is special about the servers that backends are at: how long a connection may take, and what its TLS trusts.

use std::collections::BTreeMap;

use vmcp_core::backend::BackendId;
use vmcp_core::desired::{Desired, Endpoints};
use vmcp_mcp::{Exchange, Origin, OriginName, Origins, check_roots};
use vmcp_runtime::secret_file;

/// Makes an exchange connect as is wanted. Where several backends are at one server, it is held to what all of them trust, and
/// waited for as long as the least patient waits.
pub fn set_origins(exchange: &Exchange, desired: &Desired, called: &BTreeMap<BackendId, Endpoints>) {
    let mut origins = Origins::new();
    for (id, endpoints) in called {
        let servers = desired.virtual_servers.values().filter(|server| server.group == id.group);
        let times = servers.map(|server| server.operational.timeouts(&id.name).connect);
        let Some(connect) = times.min() else { continue };
        // A file that is of no use is said by whoever asks its backend.
        let roots = endpoints.ca_bundle.as_deref().and_then(|file| secret_file(file).ok());
        let roots = roots.filter(|roots| check_roots(roots.as_bytes()).is_ok());
        for name in endpoints.urls.iter().filter_map(OriginName::of) {
            let origin = origins.entry(name).or_insert(Origin { roots: None, connect });
            origin.connect = origin.connect.min(connect);
            if let Some(roots) = &roots {
                let all = origin.roots.get_or_insert_default();
                all.push(b'\n');
                all.extend_from_slice(roots.as_bytes());
            }
        }
    }
    if let Err(error) = exchange.set_origins(origins) {
        tracing::error!(%error, "connections are made as they were before");
    }
}
