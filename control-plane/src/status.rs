//! How things are, as an operator reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::Uri;
use serde::{Serialize, Serializer};
use vmcp_core::aggregation::ConflictResolution;
use vmcp_core::backend::BackendId;
use vmcp_core::boundary::Incoming;
use vmcp_core::catalog::Share;
use vmcp_core::desired::Desired;
use vmcp_core::diagnostic::{Diagnostic, Severity};
use vmcp_core::health::Health;
use vmcp_core::inventory::Inventory;
use vmcp_core::item::Kind;
use vmcp_core::name::Name;
use vmcp_core::sentence::{nearest, shown};

use crate::accept::Accepted;
use crate::health::{Fares, HealthOf};
use crate::introspect::{Observation, Observations};
use crate::issuers::{self, Fetched};
use crate::workloads::{Groups, Located, Workloads};

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Status {
    /// The accepted desired state; 0 before the first.
    pub generation: u64,
    /// The published state; 0 before the first.
    pub revision: u64,
    /// By name.
    pub virtual_servers: Vec<VirtualServerStatus>,
    /// By group and name.
    pub backends: Vec<BackendStatus>,
    /// What there is to say about catalogs.
    pub diagnostics: Vec<DiagnosticStatus>,
    /// Why nothing new is published.
    pub error: Option<String>,
    /// How far the last generation has come.
    #[serde(flatten)]
    pub progress: Progress,
}

/// How far the last generation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct Progress {
    /// The last one of which every backend has been asked, whatever came of that.
    pub settled_generation: u64,
    /// The revision that was published then.
    pub settled_revision: u64,
}

/// A virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VirtualServerStatus {
    /// Its name.
    pub name: String,
    /// The group that it presents.
    pub group: String,
    /// Whether it is served at `/mcp` too.
    pub default: bool,
    /// What clients see of it.
    pub counts: Counts,
}

/// A backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackendStatus {
    /// The workload.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Where it is called; absent while a stdio workload has not come up yet.
    pub url: Option<String>,
    /// `modern`, `legacy`.
    pub eras: Vec<&'static str>,
    /// How it fares.
    #[serde(serialize_with = "as_word")]
    pub health: Health,
    /// What it offers is what it offered before a restart, or before it was taken out; it has not confirmed that yet.
    pub stale: bool,
    /// What it offers.
    pub counts: Option<Counts>,
    /// Why it last did not answer, or is not well otherwise.
    pub last_error: Option<String>,
    /// What the provider that found it says of it, such as `running`.
    pub workload_status: Option<String>,
    /// What people have written on it, where a provider has found it.
    pub labels: BTreeMap<String, String>,
}

/// How many items there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Counts {
    pub tools: usize,
    pub resources: usize,
    pub resource_templates: usize,
    pub prompts: usize,
}

/// Something to say about a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiagnosticStatus {
    /// `error` for a name that is withheld until the operator settles it, `warning` or `note`.
    pub severity: &'static str,
    /// Where.
    pub virtual_server: String,
    /// Whose items.
    pub backends: Vec<String>,
    /// What, and why.
    pub message: String,
    /// What to do, or to write.
    pub help: Option<String>,
    /// The line of the manifest that it follows from: `vmcp.yaml:12`.
    pub line: Option<String>,
}

impl Status {
    /// What providers say.
    pub(crate) fn add_found(&mut self, found: &Groups) {
        for backend in &mut self.backends {
            let group = found.iter().find(|(group, _)| group.as_str() == backend.group);
            let workloads = group.and_then(|(_, found)| found.workloads.as_ref());
            let workload =
                workloads.and_then(|all| all.iter().find(|(name, _)| name.as_str() == backend.name));
            let Some((_, workload)) = workload else { continue };
            backend.workload_status = Some(workload.status.clone());
            backend.labels.clone_from(&workload.labels);
        }
        for (group, found) in found {
            for server in self.virtual_servers.iter().filter(|server| server.group == group.as_str()) {
                self.diagnostics.extend(found.faults.iter().map(|fault| DiagnosticStatus {
                    severity: Severity::Warning.as_str(),
                    virtual_server: server.name.clone(),
                    backends: Vec::new(),
                    message: format!("group `{group}`: {}", shown(fault)),
                    help: None,
                    line: None,
                }));
            }
        }
    }

    /// Issuers whose keys cannot be had: nobody comes in by them, or by those keys alone that are known.
    pub(crate) fn add_issuers(&mut self, desired: &Desired, fetched: &Fetched) {
        for server in desired.virtual_servers.values() {
            let Incoming::Oidc(issuers) = &server.incoming else { continue };
            for issuer in issuers.iter().filter(|issuer| issuer.introspection_url.is_none()) {
                let Some(known) = fetched.get(&issuers::id(issuer)) else { continue };
                let Some(error) = &known.error else { continue };
                let help = match known.keys {
                    Some(_) => "callers come in by the keys that were fetched before",
                    None => {
                        "no caller whose tokens it signs comes in before they can be; check `issuer` and `jwks_url`, and whether it can be reached from here"
                    }
                };
                self.diagnostics.push(DiagnosticStatus {
                    severity: Severity::Warning.as_str(),
                    virtual_server: server.name.to_string(),
                    backends: Vec::new(),
                    message: format!(
                        "the keys of the issuer `{}` cannot be had: {}",
                        shown(&issuer.issuer),
                        shown(error)
                    ),
                    help: Some(help.to_owned()),
                    line: None,
                });
            }
        }
    }

    /// Workloads that a virtual server names and that its provider has not found: probably misspelt, and nothing else would say so.
    pub(crate) fn add_unknown_names(&mut self, desired: &Desired, found: &Groups) {
        for server in desired.virtual_servers.values() {
            let Some(group) = desired.groups.get(&server.group) else { continue };
            let Some(workloads) = found.get(&group.name).and_then(|found| found.workloads.as_ref()) else {
                continue;
            };
            let in_order = match &server.aggregation.conflict_resolution {
                ConflictResolution::Priority(order) => order.as_slice(),
                ConflictResolution::Prefix | ConflictResolution::Manual => &[],
            };
            let named = server.operational.per_workload.keys().chain(server.aggregation.tools.keys());
            let named: BTreeSet<&Name> = named.chain(in_order).collect();
            for name in named {
                if workloads.contains_key(name) || group.workloads.contains_key(name) {
                    continue;
                }
                let near = nearest(name.as_str(), workloads.keys().map(Name::as_str));
                self.diagnostics.push(DiagnosticStatus {
                    severity: Severity::Note.as_str(),
                    virtual_server: server.name.to_string(),
                    backends: Vec::new(),
                    message: format!("the group `{}` has no workload `{name}` now", group.name),
                    help: near.map(|near| format!("did you mean `{near}`?")),
                    line: None,
                });
            }
        }
    }

    /// Counts what clients see.
    pub(crate) fn count<'s>(&mut self, shares: impl Iterator<Item = (&'s Name, &'s Arc<Share>)>) {
        for (server, share) in shares {
            let known = self.virtual_servers.iter_mut().find(|known| known.name == server.as_str());
            let Some(VirtualServerStatus { counts, .. }) = known else { continue };
            for item in share.visible() {
                match item.kind {
                    Kind::Tool => counts.tools += 1,
                    Kind::Resource => counts.resources += 1,
                    Kind::Template => counts.resource_templates += 1,
                    Kind::Prompt => counts.prompts += 1,
                }
            }
        }
    }
}

impl Counts {
    /// How many items an inventory has.
    pub fn of(inventory: &Inventory) -> Self {
        let [tools, resources, resource_templates, prompts] = inventory.counts();
        Self { tools, resources, resource_templates, prompts }
    }
}

impl From<&Diagnostic> for DiagnosticStatus {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            severity: diagnostic.severity.as_str(),
            virtual_server: diagnostic.virtual_server.to_string(),
            backends: diagnostic.backends.iter().map(ToString::to_string).collect(),
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
            line: diagnostic.line.as_ref().map(ToString::to_string),
        }
    }
}

pub(crate) fn describe(
    accepted: &Accepted,
    revision: u64,
    workloads: &Workloads,
    known: &Observations,
    health: &HealthOf,
    diagnostics: &[Diagnostic],
) -> Status {
    let virtual_servers = accepted.desired.virtual_servers.values().map(|server| VirtualServerStatus {
        name: server.name.to_string(),
        group: server.group.to_string(),
        default: server.is_default,
        counts: Counts::default(),
    });
    let backends = workloads.iter().map(|(id, located)| {
        let fares = health.get(id).cloned().unwrap_or_default();
        describe_backend(id, located.as_ref().and_then(Located::url), fares, known.get(id))
    });
    let diagnostics = diagnostics.iter().map(DiagnosticStatus::from);
    Status {
        generation: accepted.generation,
        revision,
        virtual_servers: virtual_servers.collect(),
        backends: backends.collect(),
        diagnostics: diagnostics.collect(),
        ..Status::default()
    }
}

/// People put keys into queries.
fn without_query(url: &Uri) -> String {
    let text = url.to_string();
    text.split('?').next().unwrap_or_default().to_owned()
}

fn as_word<S: Serializer>(health: &Health, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(health.as_str())
}

fn describe_backend(
    id: &BackendId,
    url: Option<&Uri>,
    Fares { health, reason }: Fares,
    known: Option<&Observation>,
) -> BackendStatus {
    let inventory = known.and_then(|observation| observation.inventory.as_ref());
    let last_error = known.and_then(|observation| observation.last_error.clone()).or(reason);
    let eras = inventory.map(|inventory| {
        let (modern, legacy) = (inventory.eras.modern, inventory.eras.legacy.is_some());
        [(modern, "modern"), (legacy, "legacy")]
            .into_iter()
            .filter(|(has, _)| *has)
            .map(|(_, era)| era)
            .collect()
    });
    let stale = known.is_some_and(|observation| observation.is_stale);
    let counts = inventory.map(|inventory| Counts::of(inventory));
    BackendStatus {
        name: id.name.to_string(),
        group: id.group.to_string(),
        url: url.map(without_query),
        eras: eras.unwrap_or_default(),
        health,
        stale,
        counts,
        last_error,
        workload_status: None,
        labels: BTreeMap::new(),
    }
}
