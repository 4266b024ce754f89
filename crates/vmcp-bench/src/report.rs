//! The numbers as Markdown and JSON, with the targets that they are held to.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::boundaries::{self, Boundaries};
use crate::catalog::{CHANGE_MS, PEAK_MIB, Resolved, WHOLE_MS};
use crate::driver::Measured;
use crate::isolation::{LIMIT, Noticed};

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seconds: u64,
    connections: usize,
    open_loop_rate: u64,
    processors: usize,
    catalogs: Vec<Resolved>,
    rows: Vec<Row>,
    /// One of twenty backends stops answering.
    pub(crate) isolation: Option<Noticed>,
    pub(crate) boundaries: Option<Boundaries>,
    /// Tokens under keys that nobody has.
    pub(crate) flood: Option<Noticed>,
}

/// One target under one load.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    asked: &'static str,
    target: &'static str,
    backends: usize,
    closed_loop_per_second: f64,
    closed_loop: Latency,
    open_loop: Latency,
    /// Of the proxy, in microseconds.
    cpu_per_request_us: Option<f64>,
    resident_kib: Option<u64>,
}

/// In microseconds.
#[derive(Debug, Serialize)]
struct Latency {
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
}

/// How much more CPU than nginx ours may take.
const TARGETS: [(&str, f64); 3] =
    [("tools/call", 2.0), ("tools/call, legacy", 2.0), ("tools/list of 50", 1.5)];

impl Row {
    pub(crate) fn new(
        asked: &'static str,
        (target, backends): (&'static str, usize),
        closed: &Measured,
        open: &Measured,
        cpu: Option<Duration>,
        resident_kib: Option<u64>,
    ) -> Self {
        Self {
            asked,
            target,
            backends,
            closed_loop_per_second: closed.requests as f64 / closed.elapsed.as_secs_f64(),
            closed_loop: Latency::of(&closed.latency),
            open_loop: Latency::of(&open.latency),
            cpu_per_request_us: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / closed.requests as f64),
            resident_kib,
        }
    }

    fn label(&self) -> String {
        let noun = if self.backends == 1 { "backend" } else { "backends" };
        format!("{}, {} {noun}", self.target, self.backends)
    }

    /// For progress.
    pub(crate) fn line(&self) -> String {
        let cpu = self.cpu_per_request_us.map(|cpu| format!(", {cpu:.1} µs CPU each")).unwrap_or_default();
        format!("{}: {}: {:.0}/s{cpu}", self.asked, self.label(), self.closed_loop_per_second)
    }
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self { p50_us: at(0.5), p90_us: at(0.9), p99_us: at(0.99), p999_us: at(0.999) }
    }
}

impl Report {
    pub(crate) fn new(seconds: u64, connections: usize, open_loop_rate: u64) -> Self {
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        Self {
            seconds,
            connections,
            open_loop_rate,
            processors,
            catalogs: Vec::new(),
            rows: Vec::new(),
            isolation: None,
            boundaries: None,
            flood: None,
        }
    }

    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn push_catalog(&mut self, resolved: Resolved) {
        self.catalogs.push(resolved);
    }

    /// Whether every target holds; without nginx there is nothing to hold ours to, so none does.
    pub(crate) fn holds(&self) -> bool {
        let ratios = self.ratios();
        let are_resolved = !self.catalogs.is_empty() && self.catalogs.iter().all(Resolved::holds);
        let is_unnoticed = |noticed: &Option<Noticed>| noticed.is_some_and(|noticed| noticed.holds());
        are_resolved
            && is_unnoticed(&self.isolation)
            && is_unnoticed(&self.flood)
            && self.boundaries.is_some_and(|boundaries| boundaries.holds())
            && !ratios.is_empty()
            && ratios.iter().all(|(_, ratio, limit)| ratio <= limit)
    }

    /// `report.md` and `report.json`.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        fs_err::create_dir_all(folder)?;
        fs_err::write(folder.join("report.json"), serde_json::to_vec_pretty(self)?)?;
        fs_err::write(folder.join("report.md"), self.markdown()?)?;
        Ok(())
    }

    /// Our rows, how much CPU they take for each unit that nginx takes, and how much they may.
    fn ratios(&self) -> Vec<(&Row, f64, f64)> {
        let of_nginx = |ours: &Row| {
            self.rows
                .iter()
                .find(|row| row.target == "nginx" && row.asked == ours.asked && row.backends == ours.backends)
        };
        let ours = self.rows.iter().filter(|row| row.target == "vmcp");
        ours.filter_map(|row| {
            let nginx = of_nginx(row)?.cpu_per_request_us?;
            let (_, limit) = TARGETS.iter().find(|(asked, _)| *asked == row.asked)?;
            Some((row, row.cpu_per_request_us? / nginx, *limit))
        })
        .collect()
    }

    fn markdown(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(text, "# What a request costs\n")?;
        writeln!(
            text,
            "Client, proxy and backend are processes of their own on {} processors; {} kept connections, {} s a row in four turns. The closed \
             loop asks again when it is answered; the open loop asks {} times a second and counts from when it should have.\n",
            self.processors, self.connections, self.seconds, self.open_loop_rate
        )?;
        writeln!(
            text,
            "| asked | target | requests/s | p50 µs | p99 µs | open loop p50 µs | p99 µs | p99.9 µs | CPU µs/request | memory MiB |"
        )?;
        writeln!(text, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for row in &self.rows {
            let cpu = row.cpu_per_request_us.map(|cpu| format!("{cpu:.1}")).unwrap_or_default();
            let memory =
                row.resident_kib.map(|kib| format!("{:.1}", kib as f64 / 1024.0)).unwrap_or_default();
            writeln!(
                text,
                "| {} | {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {cpu} | {memory} |",
                row.asked,
                row.label(),
                row.closed_loop_per_second,
                row.closed_loop.p50_us,
                row.closed_loop.p99_us,
                row.open_loop.p50_us,
                row.open_loop.p99_us,
                row.open_loop.p999_us,
            )?;
        }
        writeln!(text, "\n## Targets\n")?;
        writeln!(text, "| asked | target | CPU of nginx × | at most | |\n|---|---|---:|---:|---|")?;
        for (row, ratio, limit) in self.ratios() {
            let verdict = if ratio <= limit { "holds" } else { "missed" };
            writeln!(text, "| {} | {} | {ratio:.2} | {limit:.1} | {verdict} |", row.asked, row.label())?;
        }
        self.noticed_markdown(&mut text)?;
        self.boundaries_markdown(&mut text)?;
        writeln!(text, "\n## Catalogs of 1,000 backends × 100 tools\n")?;
        writeln!(
            text,
            "| names | whole, ms | one backend changed, ms | slowest, ms | peak MiB | |\n|---|---:|---:|---:|---:|---|"
        )?;
        for Resolved { case, whole_ms, change_ms, slowest_change_ms, peak_mib } in &self.catalogs {
            writeln!(
                text,
                "| {case} | {whole_ms:.0} | {change_ms:.2} | {slowest_change_ms:.2} | {peak_mib:.0} | |"
            )?;
        }
        let holds = if self.catalogs.iter().all(Resolved::holds) { "holds" } else { "missed" };
        writeln!(text, "| at most | {WHOLE_MS:.0} | | {CHANGE_MS:.0} | {PEAK_MIB:.0} | {holds} |")?;
        Ok(text)
    }

    fn noticed_markdown(&self, text: &mut String) -> std::fmt::Result {
        let all = [
            ("one of twenty backends stops answering", self.isolation),
            ("1,000 tokens a second under keys that nobody has", self.flood),
        ];
        if all.iter().all(|(_, noticed)| noticed.is_none()) {
            return Ok(());
        }
        writeln!(text, "\n## What those notice who have nothing to do with it\n")?;
        writeln!(text, "| while | p99 of calls without, µs | meanwhile, µs | × | at most | |")?;
        writeln!(text, "|---|---:|---:|---:|---:|---|")?;
        for (what, noticed) in all {
            let Some(noticed) = noticed else { continue };
            let verdict = if noticed.holds() { "holds" } else { "missed" };
            let Noticed { quiet_p99_us, meanwhile_p99_us } = noticed;
            let ratio = noticed.ratio();
            writeln!(
                text,
                "| {what} | {quiet_p99_us:.0} | {meanwhile_p99_us:.0} | {ratio:.2} | {LIMIT:.2} | {verdict} |"
            )?;
        }
        Ok(())
    }

    fn boundaries_markdown(&self, text: &mut String) -> std::fmt::Result {
        if let Some(boundaries) = &self.boundaries {
            writeln!(text, "\n## Both boundaries\n\n| | measured | at most | |\n|---|---:|---:|---|")?;
            for (what, measured, limit) in [
                (
                    "a call with tokens, 100 policies and records, CPU µs more",
                    boundaries.more_us(),
                    boundaries::CALL_US,
                ),
                (
                    "a decision among 1,000 policies of which 20 fit, µs",
                    boundaries.decision_us,
                    boundaries::DECISION_US,
                ),
                (
                    "the same where each of the 20 has a condition, µs",
                    boundaries.conditions_us,
                    boundaries::DECISION_US,
                ),
                ("a session id, cursor or task is opened, µs", boundaries.handle_us, boundaries::HANDLE_US),
                (
                    "the slowest page of a list of 10,000 tools for a known caller, ms",
                    boundaries.warm_ms,
                    boundaries::WARM_MS,
                ),
                ("the first page for a new caller, ms", boundaries.cold_ms, boundaries::COLD_MS),
            ] {
                let verdict = if measured <= limit { "holds" } else { "missed" };
                writeln!(text, "| {what} | {measured:.2} | {limit:.0} | {verdict} |")?;
            }
            let Boundaries { open_us, guarded_us, .. } = boundaries;
            writeln!(
                text,
                "\nA call takes {open_us:.1} µs of CPU without, and {guarded_us:.1} µs with them, by turns."
            )?;
        }
        Ok(())
    }
}
