//! `validate`: how much there is, or with `--connect` what would be served and why.

mod ask;
mod data;
mod page;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use vmcp_control_plane::{find_toolhive_group, odd, toolhive_folders};
use vmcp_core::backend::BackendId;
use vmcp_core::catalog::{Exposed, Share};
use vmcp_core::desired::{Address, Desired, Inventories, VirtualServer};
use vmcp_core::diagnostic::{Diagnostic, Severity};
use vmcp_core::inventory::Inventory;
use vmcp_core::item::Kind;
use vmcp_core::name::Name;
use vmcp_core::owners::{Guarded, Owners};
use vmcp_core::resolve::{Offered, Resolver};

use crate::settings::{DIM, Output, RED, YELLOW};
use crate::terminal::{legible, print_line};
use ask::Asked;

/// How much a good manifest describes.
pub(crate) fn count(desired: &Desired, output: Output) -> anyhow::Result<ExitCode> {
    let count = data::Count::of(desired);
    warn_of_nothing(desired);
    for server in desired.virtual_servers.values() {
        odd(server, std::iter::empty()).iter().for_each(page::say);
    }
    for group in desired.groups.values().filter(|group| group.toolhive.is_some()) {
        anstream::eprintln!(
            "{DIM}note{DIM:#}: the workloads of `{}` are those of a ToolHive group, found when it is served; `--connect` looks now",
            group.name
        );
    }
    let text = match output {
        Output::Json => serde_json::to_string_pretty(&count)?,
        Output::Table => format!(
            "good: virtual servers {}, groups {}, workloads {}",
            count.virtual_servers, count.groups, count.workloads
        ),
    };
    print_line(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Groups alone are a good part of a manifest, and serve nobody.
fn warn_of_nothing(desired: &Desired) {
    if desired.virtual_servers.is_empty() {
        anstream::eprintln!(
            "{YELLOW}warning{YELLOW:#}: no virtual server is described, so nothing would be served"
        );
    }
}

/// The catalog of every virtual server as its backends make it now. The answer is no if one of them does not answer to the end, or
/// if a name is withheld until the operator settles it.
pub(crate) async fn connect(desired: &Desired, output: Output) -> anyhow::Result<ExitCode> {
    let (desired, are_found) = found(desired).await;
    let desired = &desired;
    let asked = ask::all(desired).await?;
    let resolvers: Vec<Resolver> =
        desired.virtual_servers.values().map(|server| resolve(server, desired, &asked)).collect();
    warn_of_nothing(desired);
    match output {
        Output::Json => data::print(&resolvers, &asked)?,
        Output::Table => page::print(&resolvers, &asked)?,
    }
    let is_settled = |resolver: &Resolver| {
        resolver.diagnostics().iter().all(|diagnostic| diagnostic.severity != Severity::Error)
    };
    let is_whole = |answer: &Result<Arc<Inventory>, String>| {
        answer.as_ref().is_ok_and(|inventory| inventory.unread.is_empty())
    };
    let is_good = are_found && asked.values().all(is_whole) && resolvers.iter().all(is_settled);
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// An item as policies need to know it.
pub(crate) struct FoundItem {
    pub(crate) backend: Name,
    pub(crate) original_name: String,
    pub(crate) hints: Vec<(String, bool)>,
}

/// Looks an item of a virtual server up, as its backends offer it now.
pub(crate) async fn find(
    desired: &Desired,
    server: &Name,
    kind: Kind,
    exposed_name: &str,
) -> anyhow::Result<FoundItem> {
    let (desired, _) = found(desired).await;
    let asked = ask::all(&desired).await?;
    let server = desired
        .virtual_servers
        .get(server)
        .ok_or_else(|| anyhow!("there is no virtual server `{server}`"))?;
    let resolver = resolve(server, &desired, &asked);
    let mut items = resolver.shares().flat_map(|share| share.visible().map(move |item| (share, item)));
    let found = items.find(|(_, item)| item.kind == kind && item.exposed_name == exposed_name);
    found.map(found_item).ok_or_else(|| {
        let of = |id: &&BackendId| id.group == server.group;
        let silent = asked.iter().filter(|(id, said)| of(id) && said.is_err()).map(|(id, _)| &id.name);
        let group = desired.groups.get(&server.group);
        let personal = group.into_iter().flat_map(|group| &group.workloads);
        let personal = personal.filter(|(_, address)| is_per_principal(address)).map(|(name, _)| name);
        let unknown: Vec<String> = silent.chain(personal).map(|name| format!("`{name}`")).collect();
        let item = legible(exposed_name);
        match unknown.is_empty() {
            true => anyhow!("no backend offers `{item}`"),
            false => anyhow!(
                "no backend offers `{item}`, as far as they say what they offer; {} {} not: if it is there, say so with `--backend`",
                unknown.join(", "),
                if unknown.len() == 1 { "does" } else { "do" },
            ),
        }
    })
}

/// It tells callers alone what it offers.
fn is_per_principal(address: &Address) -> bool {
    matches!(address, Address::Remote(endpoints) if endpoints.inventory == Inventories::PerPrincipal)
}

fn found_item((share, item): (&Arc<Share>, &Exposed)) -> FoundItem {
    let definition: serde_json::Value = serde_json::from_slice(&item.definition).unwrap_or_default();
    let annotations = definition["annotations"].as_object();
    let hints = annotations.into_iter().flatten();
    FoundItem {
        backend: share.backend.clone(),
        original_name: item.original_name.clone(),
        hints: hints.filter_map(|(name, value)| Some((name.clone(), value.as_bool()?))).collect(),
    }
}

/// With the workloads that ToolHive has now; and whether it says.
async fn found(desired: &Desired) -> (Desired, bool) {
    let (mut desired, mut are_found) = (desired.clone(), true);
    for group in desired.groups.values_mut() {
        let Some(toolhive) = &group.toolhive else { continue };
        let (workloads, faults) = match find_toolhive_group(toolhive, toolhive_folders()).await {
            Ok(found) => found,
            Err(why) => {
                are_found = false;
                anstream::eprintln!("{RED}error{RED:#}: group `{}`: {}", group.name, legible(&why));
                continue;
            }
        };
        for fault in faults {
            anstream::eprintln!("{YELLOW}warning{YELLOW:#}: group `{}`: {}", group.name, legible(&fault));
        }
        for (name, endpoints) in workloads {
            group.workloads.entry(name).or_insert(Address::Remote(endpoints));
        }
    }
    (desired, are_found)
}

/// What there is to know about a virtual server: of its names, and of its boundaries.
fn diagnostics(resolver: &Resolver) -> Vec<Diagnostic> {
    let mut all = resolver.diagnostics();
    all.extend(odd(resolver.server(), resolver.shares()));
    all
}

fn resolve(server: &VirtualServer, desired: &Desired, asked: &Asked) -> Resolver {
    let of_group = asked.iter().filter(|(id, _)| id.group == server.group);
    let mut offered: Offered =
        of_group.map(|(id, answer)| (id.name.clone(), answer.as_ref().ok().cloned())).collect();
    let group = desired.groups.get(&server.group);
    for name in group.iter().flat_map(|group| group.workloads.keys()) {
        offered.entry(name.clone()).or_insert(None);
    }
    let mut resolver = Resolver::new(server.clone(), Owners::new(), &Guarded::new());
    resolver.update(&offered);
    resolver
}
