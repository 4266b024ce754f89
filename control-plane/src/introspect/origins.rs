//! What is special about the servers that backends are at: how long a connection may take, and what its TLS trusts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use vmcp_core::backend::BackendId;
use vmcp_core::desired::Desired;
use vmcp_mcp::{Exchange, Origin, OriginName, Origins, check_roots};
use vmcp_runtime::secret_file;

use crate::introspect::Watched;

/// Keeps an exchange at what is wanted.
#[derive(Debug)]
pub(crate) struct SpecialOrigins {
    exchange: Exchange,
    wanted: BTreeMap<OriginName, (Duration, Vec<PathBuf>)>,
}

impl SpecialOrigins {
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self { exchange, wanted: BTreeMap::new() }
    }

    /// Where several backends are at one server, it is held to what all of them trust, and waited for as long as the least patient
    /// waits. Files are read when what is wanted changes.
    pub(crate) fn follow(&mut self, desired: &Desired, watched: &BTreeMap<BackendId, Watched>) {
        let mut wanted: BTreeMap<OriginName, (Duration, Vec<PathBuf>)> = BTreeMap::new();
        for (id, Watched { located, .. }) in watched {
            let servers = desired.virtual_servers.values().filter(|server| server.group == id.group);
            let times = servers.map(|server| server.operational.timeouts(&id.name).connect);
            let Some(connect) = times.min() else { continue };
            for name in located.endpoints.urls.iter().filter_map(OriginName::of) {
                let (time, files) = wanted.entry(name).or_insert((connect, Vec::new()));
                *time = connect.min(*time);
                files.extend(located.endpoints.ca_bundle.clone());
            }
        }
        if wanted == self.wanted {
            return;
        }
        let origins = wanted.iter().map(|(name, (connect, files))| {
            // A file that is of no use is said by whoever asks its backend.
            let read = files.iter().filter_map(|file| secret_file(file).ok());
            let read: Vec<String> = read.filter(|roots| check_roots(roots.as_bytes()).is_ok()).collect();
            let roots = (!read.is_empty()).then(|| read.join("\n").into_bytes());
            (name.clone(), Origin { roots, connect: *connect })
        });
        if let Err(error) = self.exchange.set_origins(origins.collect::<Origins>()) {
            tracing::error!(%error, "connections are made as they were before");
        }
        self.wanted = wanted;
    }
}
