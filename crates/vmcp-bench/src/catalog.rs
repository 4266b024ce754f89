//! What it takes to resolve the catalog of a large group: a thousand backends with a hundred tools each, at once and after a
//! change of one of them. Every case is a process of its own, so that its memory is its own.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use vmcp_core::aggregation::{Aggregation, ConflictResolution};
use vmcp_core::desired::VirtualServer;
use vmcp_core::inventory::Inventory;
use vmcp_core::item::{Item, Kind};
use vmcp_core::name::Name;
use vmcp_core::owners::{Guarded, Owners};
use vmcp_core::resolve::{Offered, Resolver};

const BACKENDS: usize = 1_000;
const TOOLS: usize = 100;
/// Changes of one backend that are timed.
const CHANGES: usize = 50;

/// A group to resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// Every name gets its prefix
    Prefix,
    /// Every backend offers the same names, which the first in the order has
    Priority,
    /// No backend is in the order, and all offer the same names, so each gets its prefix
    Fallback,
    /// Every tenth name is another backend's, too
    Manual,
}

/// What it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Resolved {
    pub(crate) case: String,
    pub(crate) whole_ms: f64,
    /// The middle one of the changes.
    pub(crate) change_ms: f64,
    /// The slowest.
    pub(crate) slowest_change_ms: f64,
    /// Of the whole process, the inventories included.
    pub(crate) peak_mib: f64,
}

/// What it may take.
pub(crate) const WHOLE_MS: f64 = 1_000.0;
pub(crate) const CHANGE_MS: f64 = 20.0;
pub(crate) const PEAK_MIB: f64 = 500.0;

impl Resolved {
    pub(crate) fn holds(&self) -> bool {
        self.whole_ms <= WHOLE_MS && self.slowest_change_ms <= CHANGE_MS && self.peak_mib <= PEAK_MIB
    }
}

/// Every case in a process of its own.
pub(crate) fn all() -> anyhow::Result<Vec<Resolved>> {
    let program = std::env::current_exe()?;
    let cases = Case::value_variants().iter().map(|case| {
        let name = case.to_possible_value().context("every case has a name")?.get_name().to_owned();
        let output = Command::new(&program).args(["catalog", &name]).output()?;
        if !output.status.success() {
            bail!("`catalog {name}` failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    });
    cases.collect()
}

/// One case, in this process, as JSON on standard output.
#[expect(clippy::print_stdout, reason = "the run reads it there")]
pub(crate) fn one(case: Case) -> anyhow::Result<()> {
    let mut offered: Offered = (0..BACKENDS)
        .map(|backend| Ok((name(backend)?, Some(inventory(case, backend, 0)?))))
        .collect::<anyhow::Result<_>>()?;
    let mut resolver = Resolver::new(server(case)?, Owners::new(), &Guarded::new());
    let whole = timed(&mut resolver, &offered);
    let mut changes = Vec::with_capacity(CHANGES);
    for change in 1..=CHANGES {
        let backend = (change * 7919) % BACKENDS;
        offered.insert(name(backend)?, Some(inventory(case, backend, change)?));
        changes.push(timed(&mut resolver, &offered));
    }
    changes.sort();
    let named: usize = resolver.shares().map(|share| share.items.len()).sum();
    if named == 0 {
        bail!("nothing was resolved");
    }
    let milliseconds = |time: &Duration| time.as_secs_f64() * 1e3;
    let resolved = Resolved {
        case: format!("{case:?}").to_lowercase(),
        whole_ms: milliseconds(&whole),
        change_ms: changes.get(CHANGES / 2).map(milliseconds).unwrap_or_default(),
        slowest_change_ms: changes.last().map(milliseconds).unwrap_or_default(),
        peak_mib: peak_kib()? as f64 / 1024.0,
    };
    println!("{}", serde_json::to_string(&resolved)?);
    Ok(())
}

/// What a control plane does when something has changed: the catalog, and what there is to say about it.
fn timed(resolver: &mut Resolver, offered: &Offered) -> Duration {
    let start = Instant::now();
    resolver.update(offered);
    std::hint::black_box(resolver.diagnostics());
    start.elapsed()
}

fn server(case: Case) -> anyhow::Result<VirtualServer> {
    let conflict_resolution = match case {
        Case::Prefix => ConflictResolution::Prefix,
        Case::Manual => ConflictResolution::Manual,
        Case::Fallback => ConflictResolution::Priority(vec!["nobody".parse()?]),
        Case::Priority => {
            ConflictResolution::Priority((0..BACKENDS).map(name).collect::<anyhow::Result<_>>()?)
        }
    };
    let aggregation = Aggregation { conflict_resolution, ..Aggregation::default() };
    Ok(VirtualServer { aggregation, ..VirtualServer::new("all".parse()?, "g".parse()?) })
}

fn name(backend: usize) -> anyhow::Result<Name> {
    Ok(format!("backend-{backend:04}").parse()?)
}

/// A hundred tools of about 700 bytes each; every change describes them otherwise and replaces one.
fn inventory(case: Case, backend: usize, change: usize) -> anyhow::Result<Arc<Inventory>> {
    let items = (0..TOOLS).map(|tool| {
        let tool = if change > 0 && tool == TOOLS / 2 { TOOLS + change } else { tool };
        let name = match case {
            Case::Prefix => format!("create_or_update_{tool}"),
            Case::Priority | Case::Fallback => format!("tool_{tool}"),
            Case::Manual if tool % 10 == 0 => format!("tool_{tool}_of_{}", backend / 2),
            Case::Manual => format!("tool_{tool}_of_{backend}_alone"),
        };
        let description = "what this tool does, in as many words as people use. ".repeat(6);
        let definition = format!(
            r#"{{"name":"{name}","title":"Tool {tool}","description":"{description}{change}","inputSchema":{{"type":"object","properties":{{"owner":{{"type":"string","description":"whose it is"}},"repository":{{"type":"string"}},"number":{{"type":"integer","minimum":1}}}},"required":["owner","repository"]}},"annotations":{{"readOnlyHint":false}}}}"#
        );
        Ok(Item::read(Kind::Tool, &definition)?)
    });
    let items = items.collect::<anyhow::Result<_>>()?;
    Ok(Arc::new(Inventory { items, ..Inventory::default() }))
}

/// The most memory that this process has had.
fn peak_kib() -> anyhow::Result<u64> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
