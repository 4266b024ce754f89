//! The workloads of groups that are written out, and where each is found.

use std::collections::BTreeMap;

use http::Uri;
use vmcp_core::backend::BackendId;
use vmcp_core::desired::{Address, Desired};

/// Where a backend is found, and in which of its lives: a child that has been started again may offer something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its MCP endpoint.
    pub url: Uri,
    /// Counts the starts of a hosted child; 0 for what is not ours to start.
    pub life: u64,
}

/// Where stdio workloads have been hosted, by backend: those that have been up at least once.
pub type Hosted = BTreeMap<BackendId, Located>;

/// Where each workload of the desired state is found: at its URL, or where it is hosted, once it is.
pub(crate) type Workloads = BTreeMap<BackendId, Option<Located>>;

/// Every workload of every group that a virtual server presents.
pub(crate) fn workloads(desired: &Desired, hosted: &Hosted) -> Workloads {
    let groups = desired.virtual_servers.values().filter_map(|server| desired.groups.get(&server.group));
    let workloads = groups.flat_map(|group| {
        group.workloads.iter().map(|(name, address)| {
            let id = BackendId { group: group.name.clone(), name: name.clone() };
            let located = match address {
                Address::Url(url) => Some(Located { url: url.clone(), life: 0 }),
                Address::Command(_) => hosted.get(&id).cloned(),
            };
            (id, located)
        })
    });
    workloads.collect()
}
