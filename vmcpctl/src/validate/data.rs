//! What programs read: the catalog, the report and the diagnostics, whole.

use serde::Serialize;
use vmcp_control_plane::{Counts, DiagnosticStatus};
use vmcp_core::desired::Desired;
use vmcp_core::inventory::Inventory;
use vmcp_core::item::Kind;
use vmcp_core::report::{Entry, Naming, Outcome, Withheld};
use vmcp_core::resolve::Resolver;
use vmcp_core::written::Line;

use crate::terminal::print_line;
use crate::validate::ask::Asked;
use crate::validate::diagnostics;

/// How much a manifest describes.
#[derive(Debug, Serialize)]
pub(super) struct Count {
    pub(super) virtual_servers: usize,
    pub(super) groups: usize,
    pub(super) workloads: usize,
}

impl Count {
    pub(super) fn of(desired: &Desired) -> Self {
        let workloads = desired.groups.values().map(|group| group.workloads.len()).sum();
        Self { virtual_servers: desired.virtual_servers.len(), groups: desired.groups.len(), workloads }
    }
}

#[derive(Debug, Serialize)]
struct Whole {
    virtual_servers: Vec<Catalog>,
    backends: Vec<Backend>,
    diagnostics: Vec<DiagnosticStatus>,
}

/// What clients see of one virtual server, and what became of every item.
#[derive(Debug, Serialize)]
struct Catalog {
    name: String,
    group: String,
    tools: Vec<Item>,
    resources: Vec<Item>,
    resource_templates: Vec<Item>,
    prompts: Vec<Item>,
    report: Vec<Account>,
}

#[derive(Debug, Serialize)]
struct Item {
    exposed_name: String,
    original_name: String,
    backend: String,
}

#[derive(Debug, Serialize)]
struct Backend {
    name: String,
    group: String,
    counts: Option<Counts>,
    last_error: Option<String>,
}

/// One item of the report.
#[derive(Debug, Serialize)]
struct Account {
    backend: String,
    kind: &'static str,
    original_name: String,
    wanted_name: String,
    claimed_name: String,
    exposed_name: Option<String>,
    naming: Vec<&'static str>,
    /// `exposed`, `hidden` or `withheld`.
    outcome: &'static str,
    /// Why it is not exposed.
    reason: Option<&'static str>,
    /// The backend that has the name, or that is waited for.
    by: Option<String>,
    /// The lines of the manifest that had a hand in it.
    lines: Vec<String>,
}

pub(super) fn print(resolvers: &[Resolver], asked: &Asked) -> anyhow::Result<()> {
    let backends = asked.iter().map(|(id, answer)| Backend {
        name: id.name.to_string(),
        group: id.group.to_string(),
        counts: answer.as_deref().ok().map(|inventory: &Inventory| Counts::of(inventory)),
        last_error: answer.as_ref().err().cloned(),
    });
    let diagnostics = resolvers.iter().flat_map(diagnostics);
    let whole = Whole {
        virtual_servers: resolvers.iter().map(Catalog::of).collect(),
        backends: backends.collect(),
        diagnostics: diagnostics.map(|diagnostic| DiagnosticStatus::from(&diagnostic)).collect(),
    };
    print_line(&serde_json::to_string_pretty(&whole)?)?;
    Ok(())
}

impl Catalog {
    fn of(resolver: &Resolver) -> Self {
        let items = |kind: Kind| {
            let items = resolver.shares().flat_map(move |share| {
                let items = share.visible().filter(move |item| item.kind == kind);
                items.map(|item| Item {
                    exposed_name: item.exposed_name.clone(),
                    original_name: item.original_name.clone(),
                    backend: share.backend.to_string(),
                })
            });
            items.collect()
        };
        Self {
            name: resolver.server().name.to_string(),
            group: resolver.server().group.to_string(),
            tools: items(Kind::Tool),
            resources: items(Kind::Resource),
            resource_templates: items(Kind::Template),
            prompts: items(Kind::Prompt),
            report: resolver.report().map(Account::from).collect(),
        }
    }
}

impl From<Entry> for Account {
    fn from(entry: Entry) -> Self {
        let mut lines: Vec<&Line> = entry.naming.iter().filter_map(line_of).collect();
        let (outcome, reason, by) = match &entry.outcome {
            Outcome::Exposed => ("exposed", None, None),
            Outcome::Hidden(hidden) => {
                lines.push(hidden.line());
                ("hidden", Some(hidden.key()), None)
            }
            Outcome::Withheld(withheld) => {
                let (reason, by) = match withheld {
                    Withheld::ListedTwice => ("listed_twice", None),
                    Withheld::Lost { to } => ("lost", Some(to)),
                    Withheld::Contested => ("contested", None),
                    Withheld::Guarded { owner } => ("guarded", Some(&owner.backend)),
                    Withheld::Awaiting { backend } => ("awaiting", Some(backend)),
                };
                ("withheld", Some(reason), by.map(ToString::to_string))
            }
        };
        let naming = entry.naming.iter().map(|naming| match naming {
            Naming::Override(_) => "override",
            Naming::Prefix => "prefix",
            Naming::Fallback => "fallback",
            Naming::Shortened => "shortened",
        });
        Self {
            backend: entry.backend.to_string(),
            kind: match entry.kind {
                Kind::Tool => "tool",
                Kind::Resource => "resource",
                Kind::Template => "resource_template",
                Kind::Prompt => "prompt",
            },
            naming: naming.collect(),
            lines: lines.into_iter().map(ToString::to_string).collect(),
            original_name: entry.original_name,
            wanted_name: entry.wanted_name,
            claimed_name: entry.claimed_name,
            exposed_name: entry.exposed_name,
            outcome,
            reason,
            by,
        }
    }
}

fn line_of(naming: &Naming) -> Option<&Line> {
    match naming {
        Naming::Override(line) => Some(line),
        Naming::Prefix | Naming::Fallback | Naming::Shortened => None,
    }
}
