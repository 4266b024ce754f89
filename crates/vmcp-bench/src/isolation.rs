//! One of twenty backends stops answering: what callers of the others notice of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;
use vmcp_mcp::method;

use crate::asking::{Asking, load};
use crate::driver::{self, Load, open_loop};
use crate::targets;

/// How many backends there are.
const BACKENDS: usize = 20;
/// Calls a second to each.
const RATE: u64 = 10;
/// Connections of those callers.
pub(crate) const CONNECTIONS: usize = 16;
/// With and without the one that hangs, in turn.
pub(crate) const ROUNDS: usize = 8;
/// What is not measured: connections are opened, and pools filled.
pub(crate) const WARM_UP: Duration = Duration::from_secs(2);
/// Shorter than this, one hiccup of the machine is the 99th percentile: 190 calls a second have two such calls.
pub(crate) const ROUND_SECONDS: u64 = 8;
/// How much the others' 99th percentile may grow.
pub(crate) const LIMIT: f64 = 1.10;

const CALL: Asking = Asking { name: "tools/call", method: method::TOOLS_CALL, is_modern: true };

/// What those waited who have nothing to do with it, in microseconds: the middle of the rounds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Noticed {
    /// While nothing happens.
    pub(crate) quiet_p99_us: f64,
    /// While something does.
    pub(crate) meanwhile_p99_us: f64,
}

impl Noticed {
    /// Of as many rounds of the one as of the other.
    pub(crate) fn of(quiet: Vec<f64>, meanwhile: Vec<f64>) -> Self {
        Self { quiet_p99_us: median(quiet), meanwhile_p99_us: median(meanwhile) }
    }

    pub(crate) fn ratio(&self) -> f64 {
        self.meanwhile_p99_us / self.quiet_p99_us
    }

    pub(crate) fn holds(&self) -> bool {
        self.ratio() <= LIMIT
    }
}

/// Ten calls a second to each of twenty, while the first answers and while it is stopped, in turn.
pub(crate) async fn measure(vmcpctl: &Path, seconds: u64) -> anyhow::Result<Noticed> {
    let backends = (0..BACKENDS).map(|_| targets::backend(1)).collect::<anyhow::Result<Vec<_>>>()?;
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    let operational =
        "operational: {timeouts: {default: 1s}, failure_handling: {circuit_breaker: {timeout: 2s}}}\n";
    let vmcp = targets::vmcp(vmcpctl, &addresses, operational)?;
    let tools: Vec<String> = (1..BACKENDS).map(|n| format!("b{n}_tool_0")).collect();
    let (others, first) =
        (load(vmcp.address, CALL, &tools), load(vmcp.address, CALL, &["b0_tool_0".to_owned()]));
    let stop = Arc::<AtomicBool>::default();
    let to_first = tokio::spawn(call_whatever_happens(first.clone(), stop.clone()));
    let rate = RATE * (BACKENDS as u64 - 1);
    let (mut quiet, mut hanging) = (Vec::new(), Vec::new());
    open_loop(&others, CONNECTIONS, rate, WARM_UP).await?;
    let seconds = seconds.max(ROUND_SECONDS);
    for _ in 0..ROUNDS {
        quiet.push(p99_us(&others, rate, seconds).await?);
        backends[0].pause()?;
        hanging.push(p99_us(&others, rate, seconds).await?);
        backends[0].go_on()?;
        answers_again(&first).await?;
    }
    stop.store(true, Ordering::Relaxed);
    to_first.await?;
    Ok(Noticed::of(quiet, hanging))
}

pub(crate) async fn p99_us(load: &Load, rate: u64, seconds: u64) -> anyhow::Result<f64> {
    let measured = open_loop(load, CONNECTIONS, rate, Duration::from_secs(seconds)).await?;
    Ok(measured.latency.value_at_quantile(0.99) as f64 / 1e3)
}

/// Of the rounds: what the machine did in one of them falls on neither side.
fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    (rounds[(rounds.len() - 1) / 2] + rounds[rounds.len() / 2]) / 2.0
}

/// Ten a second, whether the last one was answered or not.
async fn call_whatever_happens(load: Load, stop: Arc<AtomicBool>) {
    let mut turns = tokio::time::interval(Duration::from_millis(1_000 / RATE));
    while !stop.load(Ordering::Relaxed) {
        turns.tick().await;
        let load = load.clone();
        tokio::spawn(async move { drop(driver::once(&load).await) });
    }
}

async fn answers_again(load: &Load) -> anyhow::Result<()> {
    let began = Instant::now();
    while driver::once(load).await.is_err() {
        ensure!(
            began.elapsed() < Duration::from_secs(10),
            "the backend that was stopped is not called again"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
