//! Stdio workloads: each command of a group that is presented is started, and made known when it is up.

use std::collections::BTreeMap;

use tokio::sync::watch;
use vmcp_control_plane::Hosted;
use vmcp_core::backend::BackendId;
use vmcp_core::desired::{Address, Desired};
use vmcp_runtime::Drain;
use vmcp_stdio::{ChildStatus, StdioHost};

/// The children, by backend, each with its state as it changes.
pub(super) type Children = BTreeMap<BackendId, watch::Receiver<ChildStatus>>;

/// What runs on this machine.
#[derive(Debug)]
pub(super) struct Hosting {
    hosted: watch::Receiver<Hosted>,
    children: Children,
}

impl Hosting {
    /// Starts every command.
    pub(super) fn start(host: &StdioHost, desired: &Desired, drain: &Drain) -> std::io::Result<Self> {
        let (tell, hosted) = watch::channel(Hosted::new());
        let mut children = Children::new();
        let groups = desired.virtual_servers.values().filter_map(|server| desired.groups.get(&server.group));
        for group in groups {
            for (name, address) in &group.workloads {
                let id = BackendId { group: group.name.clone(), name: name.clone() };
                let Address::Command(command) = address else { continue };
                if children.contains_key(&id) {
                    continue;
                }
                let workload = host.host(command.clone())?;
                children.insert(id.clone(), workload.status.clone());
                let (tell, stop) = (tell.clone(), drain.clone());
                drain.spawn(async move {
                    tokio::select! {
                        () = workload.is_up() => tell.send_modify(|hosted| drop(hosted.insert(id, workload.url))),
                        () = stop.stopped() => {}
                    }
                });
            }
        }
        Ok(Self { hosted, children })
    }

    /// Where they are called, once they are up.
    pub(super) fn hosted(&self) -> watch::Receiver<Hosted> {
        self.hosted.clone()
    }

    /// How they are.
    pub(super) fn children(&self) -> Children {
        self.children.clone()
    }
}
