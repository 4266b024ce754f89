//! The workloads of groups, written out and found, and where each is called.

mod found;
mod providers;
mod toolhive;

use std::collections::BTreeMap;

use http::Uri;
use vmcp_core::backend::BackendId;
use vmcp_core::desired::{Address, Desired, Endpoints};

pub(crate) use found::{Found, FoundWorkload, FoundWorkloads, Groups};
pub(crate) use providers::Providers;
pub use toolhive::{ToolHiveFolders, find_toolhive_group, look_for_toolhive_group};

/// Where a backend is called, and in which of its lives: a child that has been started again may offer something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Where, and how.
    pub endpoints: Endpoints,
    /// Counts the starts of a hosted child; 0 for what is not ours to start.
    pub life: u64,
    /// What the provider that found it says of it, such as `running`. When that changes it is asked at once.
    pub status: Option<String>,
}

/// Where stdio workloads have been hosted, by backend: those that have been up at least once.
pub type Hosted = BTreeMap<BackendId, Located>;

/// Where each workload of the desired state is found: at its URL, or where it is hosted, once it is.
pub(crate) type Workloads = BTreeMap<BackendId, Option<Located>>;

impl Located {
    /// A server whose life is nobody's business here.
    pub(crate) fn at(endpoints: Endpoints) -> Self {
        Self { endpoints, life: 0, status: None }
    }

    /// What tells one server from another.
    pub(crate) fn url(&self) -> Option<&Uri> {
        self.endpoints.urls.first()
    }
}

/// Every workload of every group that a virtual server presents. One that is written out hides one of its name that is found.
pub(crate) fn workloads(desired: &Desired, hosted: &Hosted, found: &Groups) -> Workloads {
    let mut workloads = Workloads::new();
    for server in desired.virtual_servers.values() {
        let Some(group) = desired.groups.get(&server.group) else { continue };
        let id = |name: &vmcp_core::name::Name| BackendId { group: group.name.clone(), name: name.clone() };
        if group.toolhive.is_some()
            && let Some(there) = found.get(&group.name).and_then(|found| found.workloads.as_ref())
        {
            workloads.extend(there.iter().map(|(name, workload)| (id(name), Some(workload.located()))));
        }
        for (name, address) in &group.workloads {
            let located = match address {
                Address::Remote(endpoints) => Some(Located::at(endpoints.clone())),
                Address::Command(_) => hosted.get(&id(name)).cloned(),
            };
            workloads.insert(id(name), located);
        }
    }
    workloads
}
