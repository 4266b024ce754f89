//! Stdio workloads: each command of a group that is presented is started, and made known whenever it has come up.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use vmcp_control_plane::{Hosted, Located};
use vmcp_core::backend::BackendId;
use vmcp_core::desired::{Address, Desired, Endpoints};
use vmcp_runtime::Drain;
use vmcp_stdio::{StdioHost, Workload};

/// The children, by backend.
pub(super) type Children = Arc<BTreeMap<BackendId, Workload>>;

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
        let mut children = BTreeMap::new();
        let groups = desired.virtual_servers.values().filter_map(|server| desired.groups.get(&server.group));
        for group in groups {
            for (name, address) in &group.workloads {
                let id = BackendId { group: group.name.clone(), name: name.clone() };
                let Address::Command(command) = address else { continue };
                if children.contains_key(&id) {
                    continue;
                }
                let workload = host.host(command.clone())?;
                children.insert(id.clone(), workload.clone());
                let (tell, stop) = (tell.clone(), drain.clone());
                drain.spawn(async move {
                    tokio::select! {
                        () = make_known(id, workload, tell) => {}
                        () = stop.stopped() => {}
                    }
                });
            }
        }
        Ok(Self { hosted, children: Arc::new(children) })
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

/// Each of its lives, when it answers.
async fn make_known(id: BackendId, mut workload: Workload, tell: watch::Sender<Hosted>) {
    let mut life = 0;
    loop {
        life = workload.next_life(life).await;
        let located = Located { endpoints: Endpoints::at(workload.url.clone()), life, status: None };
        tell.send_modify(|hosted| drop(hosted.insert(id.clone(), located)));
    }
}
