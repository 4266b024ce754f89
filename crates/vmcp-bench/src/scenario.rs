//! What is compared: calls and lists, straight, and through nginx and us before 1, 5 and 50 backends.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use vmcp_mcp::method;

use crate::asking::{Asking, load};
use crate::boundaries;
use crate::catalog;
use crate::driver::{Load, Measured, closed_loop, open_loop};
use crate::flood;
use crate::isolation;
use crate::process::Watched;
use crate::report::{Report, Row};
use crate::targets;
use crate::{Part, Run};

/// Tools in the list that is compared.
const LISTED: usize = 50;
/// How often each target is measured, in turn with the others.
const TURNS: u32 = 4;
/// Connections open, caches fill.
const WARM_UP: Duration = Duration::from_millis(300);
/// How many backends the proxies stand before.
const BACKENDS: [usize; 3] = [1, 5, 50];

const ASKED: [Asking; 3] = [
    Asking { name: "tools/call", method: method::TOOLS_CALL, is_modern: true },
    Asking { name: "tools/call, legacy", method: method::TOOLS_CALL, is_modern: false },
    Asking { name: "tools/list of 50", method: method::TOOLS_LIST, is_modern: true },
];

/// Runs everything and writes the report.
pub(crate) async fn run(run: &Run) -> anyhow::Result<()> {
    let vmcpctl = match &run.vmcpctl {
        Some(path) => path.clone(),
        None => targets::own_vmcpctl()?,
    };
    let mut report = Report::new(run.seconds, run.connections, run.rate);
    if run.measures(Part::Catalogs) {
        for resolved in catalog::all()? {
            say(&format!(
                "catalog, {}: {:.0} ms, after a change {:.2} ms, {:.0} MiB",
                resolved.case, resolved.whole_ms, resolved.change_ms, resolved.peak_mib
            ));
            report.push_catalog(resolved);
        }
    }
    if run.measures(Part::Requests) {
        direct(run, &mut report).await?;
        for count in BACKENDS {
            proxied(run, &vmcpctl, count, &mut report).await?;
        }
    }
    if run.measures(Part::Isolation) {
        let isolation = isolation::measure(&vmcpctl, run.seconds).await?;
        say(&format!("one of twenty hangs: p99 of the others × {:.2}", isolation.ratio()));
        report.isolation = Some(isolation);
    }
    if run.measures(Part::Boundaries) {
        let boundaries = boundaries::measure(&vmcpctl, run.seconds, run.connections).await?;
        say(&format!(
            "boundaries: {:.1} µs CPU more a call, {:.1} µs a decision ({:.1} with conditions), lists {:.2} ms warm and {:.1} ms cold",
            boundaries.more_us(),
            boundaries.decision_us,
            boundaries.conditions_us,
            boundaries.warm_ms,
            boundaries.cold_ms
        ));
        report.boundaries = Some(boundaries);
    }
    if run.measures(Part::Flood) {
        let flood = flood::measure(&vmcpctl, run.seconds).await?;
        say(&format!("a flood of tokens: p99 of the others × {:.2}", flood.ratio()));
        report.flood = Some(flood);
    }
    report.write(&run.out)?;
    if run.enforce && !report.holds() {
        bail!("a target is missed; see {}", run.out.join("report.md").display());
    }
    Ok(())
}

async fn direct(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let backend = targets::backend(LISTED)?;
    for asking in ASKED {
        let load = load(backend.address, asking, &["tool_0".to_owned()]);
        measure(run, report, asking, 1, &[Target { name: "direct", load, watched: None }]).await?;
    }
    Ok(())
}

/// nginx and ours before the same backends, by turns, so that what the machine does besides falls on both. Every backend answers calls
/// alike, so nginx may take them in turn; it passes on a list of 50 tools from one of them, while ours has as many from all together.
async fn proxied(run: &Run, vmcpctl: &Path, count: usize, report: &mut Report) -> anyhow::Result<()> {
    let backends =
        (0..count).map(|_| targets::backend(LISTED / count)).collect::<anyhow::Result<Vec<_>>>()?;
    let lister = targets::backend(LISTED)?;
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    let vmcp = targets::vmcp(vmcpctl, &addresses, "")?;
    let tools: Vec<String> = (0..count).map(|n| format!("b{n}_tool_0")).collect();
    for asking in ASKED {
        let behind_nginx =
            if asking.method == method::TOOLS_LIST { &[lister.address][..] } else { &addresses };
        let nginx = targets::nginx(behind_nginx)?;
        if nginx.is_none() {
            say("nginx is not installed: its rows are left out");
        }
        let mut targets = Vec::new();
        if let Some(nginx) = &nginx {
            let load = load(nginx.address, asking, &["tool_0".to_owned()]);
            targets.push(Target { name: "nginx", load, watched: Some(nginx.watched()?) });
        }
        let load = load(vmcp.address, asking, &tools);
        targets.push(Target { name: "vmcp", load, watched: Some(vmcp.watched()?) });
        measure(run, report, asking, count, &targets).await?;
    }
    Ok(())
}

/// Whom a load is put on.
struct Target {
    name: &'static str,
    load: Load,
    watched: Option<Watched>,
}

/// A row for each target, out of several turns.
async fn measure(
    run: &Run,
    report: &mut Report,
    asking: Asking,
    backends: usize,
    targets: &[Target],
) -> anyhow::Result<()> {
    let mut taken: Vec<Option<Turn>> = targets.iter().map(|_| None).collect();
    for _ in 0..TURNS {
        for (target, taken) in targets.iter().zip(&mut taken) {
            let what = || format!("{} {}", asking.name, target.name);
            let turn = turn(run, target).await.with_context(what)?;
            match taken {
                Some(taken) => taken.add(&turn)?,
                None => *taken = Some(turn),
            }
        }
    }
    for (target, turn) in targets.iter().zip(taken.into_iter().flatten()) {
        let resident_kib = target.watched.as_ref().map(Watched::resident_kib).transpose()?;
        let Turn { closed, open, cpu } = turn;
        let row = Row::new(asking.name, (target.name, backends), &closed, &open, cpu, resident_kib);
        say(&row.line());
        report.push(row);
    }
    Ok(())
}

/// What was measured in a turn.
struct Turn {
    closed: Measured,
    open: Measured,
    /// During the closed loop.
    cpu: Option<Duration>,
}

impl Turn {
    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.closed.add(&other.closed)?;
        self.open.add(&other.open)?;
        self.cpu = self.cpu.zip(other.cpu).map(|(one, other)| one + other);
        Ok(())
    }
}

async fn turn(run: &Run, Target { load, watched, .. }: &Target) -> anyhow::Result<Turn> {
    let time = Duration::from_secs(run.seconds).div_f64(f64::from(TURNS)).max(Duration::from_secs(1));
    closed_loop(load, run.connections, WARM_UP).await?;
    let before = watched.as_ref().map(Watched::cpu).transpose()?;
    let closed = closed_loop(load, run.connections, time).await?;
    let after = watched.as_ref().map(Watched::cpu).transpose()?;
    let open = open_loop(load, run.connections, run.rate, time).await?;
    let cpu = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    Ok(Turn { closed, open, cpu })
}

#[expect(clippy::print_stderr, reason = "progress for whoever waits")]
fn say(text: &str) {
    eprintln!("{text}");
}
