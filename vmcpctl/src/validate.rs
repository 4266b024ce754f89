//! `validate`: how much there is, or with `--connect` what would be served and why.

mod ask;
mod data;
mod page;

use std::process::ExitCode;
use std::sync::Arc;

use vmcp_core::desired::{Desired, VirtualServer};
use vmcp_core::diagnostic::Severity;
use vmcp_core::inventory::Inventory;
use vmcp_core::owners::{Guarded, Owners};
use vmcp_core::resolve::{Offered, Resolver};

use crate::settings::{Output, YELLOW};
use crate::terminal::print_line;
use ask::Asked;

/// How much a good manifest describes.
pub(crate) fn count(desired: &Desired, output: Output) -> anyhow::Result<ExitCode> {
    let count = data::Count::of(desired);
    warn_of_nothing(desired);
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
    let is_good = asked.values().all(is_whole) && resolvers.iter().all(is_settled);
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(1) })
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
