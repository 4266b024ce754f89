//! Asks every backend that a virtual server presents, once, all at the same time; those that are programs are started for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio::task::JoinSet;
use vmcp_control_plane::{Service, service, set_origins};
use vmcp_core::backend::BackendId;
use vmcp_core::desired::{Address, Desired, Endpoints};
use vmcp_core::inventory::Inventory;
use vmcp_core::limits;
use vmcp_mcp::{Bounds, Exchange};
use vmcp_runtime::{Drain, stop_signal};
use vmcp_stdio::StdioHost;

use crate::settings::{self, DIM};

/// What each backend offers, or why it does not say.
pub(super) type Asked = BTreeMap<BackendId, Result<Arc<Inventory>, String>>;

/// Nobody wonders before this.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn all(desired: &Desired) -> anyhow::Result<Asked> {
    let children = Drain::new();
    let host = Arc::new(StdioHost::start(settings::environment(), children.clone()).await?);
    let exchange = Exchange::new(Bounds::default());
    let groups = desired.groups.values().flat_map(|group| {
        group.workloads.iter().filter_map(|(name, address)| match address {
            Address::Remote(endpoints) => {
                Some((BackendId { group: group.name.clone(), name: name.clone() }, endpoints.clone()))
            }
            Address::Command(_) => None,
        })
    });
    set_origins(&exchange, desired, &groups.collect());
    let mut asking = JoinSet::new();
    let mut waiting = BTreeSet::new();
    for server in desired.virtual_servers.values() {
        let Some(group) = desired.groups.get(&server.group) else { continue };
        for (name, address) in &group.workloads {
            let id = BackendId { group: group.name.clone(), name: name.clone() };
            if waiting.insert(id.clone()) {
                let (host, exchange, address) = (host.clone(), exchange.clone(), address.clone());
                let service = service(desired, &id);
                asking.spawn(async move { (id.clone(), one(&host, &exchange, &address, &service).await) });
            }
        }
    }
    let mut asked = Asked::new();
    let mut progress = Progress { is_shown: std::io::stderr().is_terminal(), lines: 0 };
    // Children are in process groups of their own, so that a Ctrl-C for us does not reach them.
    let mut stop = std::pin::pin!(stop_signal());
    loop {
        tokio::select! {
            answered = asking.join_next() => match answered {
                Some(Ok((id, answer))) => {
                    waiting.remove(&id);
                    asked.insert(id, answer);
                }
                Some(Err(error)) => return Err(error.into()),
                None => break,
            },
            () = tokio::time::sleep(PATIENCE) => progress.show(&waiting),
            () = &mut stop => {
                progress.clear();
                asking.shutdown().await;
                children.finish(limits::DRAIN_TIME).await;
                bail!("stopped before every backend had answered");
            }
        }
    }
    progress.clear();
    children.finish(limits::DRAIN_TIME).await;
    Ok(asked)
}

async fn one(
    host: &StdioHost,
    exchange: &Exchange,
    address: &Address,
    shown: &Service,
) -> Result<Arc<Inventory>, String> {
    let endpoints = match address {
        Address::Remote(endpoints) => endpoints.clone(),
        Address::Command(command) => {
            let mut workload = host.host(command.clone()).map_err(|error| error.to_string())?;
            workload.first_answer().await?;
            Endpoints::at(workload.url)
        }
    };
    match vmcp_control_plane::inventory(exchange, &endpoints, shown).await {
        Ok(inventory) => Ok(Arc::new(inventory)),
        Err(failure) => Err(failure.in_full()),
    }
}

/// Who is still being waited for, on one line of a terminal.
struct Progress {
    is_shown: bool,
    lines: usize,
}

impl Progress {
    fn show(&mut self, waiting: &BTreeSet<BackendId>) {
        if !self.is_shown {
            return;
        }
        self.clear();
        let names: Vec<&str> = waiting.iter().map(|id| id.name.as_str()).collect();
        let text: String = format!("asking {} …", names.join(", ")).chars().take(79).collect();
        anstream::eprintln!("{DIM}{text}{DIM:#}");
        self.lines = 1;
    }

    fn clear(&mut self) {
        if self.lines > 0 {
            anstream::eprint!("\x1b[1A\x1b[J");
            self.lines = 0;
        }
    }
}
