//! `validate`: how much there is, or with `--connect` what would be served and why.

mod ask;
mod data;
mod page;

use std::process::ExitCode;

use vmcp_core::desired::{Desired, VirtualServer};
use vmcp_core::diagnostic::Severity;
use vmcp_core::owners::{Guarded, Owners};
use vmcp_core::resolve::{Offered, Resolver};

use crate::settings::Output;
use ask::Asked;

/// How much a good manifest describes.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(crate) fn count(desired: &Desired, output: Output) -> anyhow::Result<ExitCode> {
    let count = data::Count::of(desired);
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&count)?),
        Output::Table => println!(
            "good: virtual servers {}, groups {}, workloads {}",
            count.virtual_servers, count.groups, count.workloads
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// The catalog of every virtual server as its backends make it now. The answer is no if one of them does not answer, or if a
/// name is withheld until the operator settles it.
pub(crate) async fn connect(desired: &Desired, output: Output) -> anyhow::Result<ExitCode> {
    let asked = ask::all(desired).await?;
    let resolvers: Vec<Resolver> =
        desired.virtual_servers.values().map(|server| resolve(server, desired, &asked)).collect();
    match output {
        Output::Json => data::print(&resolvers, &asked)?,
        Output::Table => page::print(&resolvers, &asked),
    }
    let is_settled = |resolver: &Resolver| {
        resolver.diagnostics().iter().all(|diagnostic| diagnostic.severity != Severity::Error)
    };
    let is_good = asked.values().all(Result::is_ok) && resolvers.iter().all(is_settled);
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
