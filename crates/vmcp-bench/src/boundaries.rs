//! What both boundaries cost: callers with tokens, policies and records, beside everybody and nothing; a decision among many policies;
//! long lists for single callers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde::Serialize;
use serde_json::json;
use vmcp_authz::{Act, Claims, Described, Hints, Policies};
use vmcp_core::boundary::Authorization;
use vmcp_mcp::method;
use vmcp_seal::{KEY_BYTES, KeyRing, NONCE_BYTES};
use vmcp_testkit::Issuer;

use crate::asking::{Asking, load};
use crate::driver::{Load, closed_loop, once, pages};
use crate::process::Watched;
use crate::targets;

/// CPU that a call may cost more with tokens, 100 policies and records in a file, in microseconds.
pub(crate) const CALL_US: f64 = 25.0;
/// CPU of a decision among 1,000 policies of which 20 fit, in microseconds.
pub(crate) const DECISION_US: f64 = 20.0;
/// What a client was handed is opened, in microseconds.
pub(crate) const HANDLE_US: f64 = 20.0;
/// The first page of 10,000 tools for a caller that is known, in milliseconds.
pub(crate) const WARM_MS: f64 = 1.0;
/// The same for one that is not.
pub(crate) const COLD_MS: f64 = 100.0;

const POLICIES: usize = 100;
/// By turns, so that what the machine does besides falls on both.
const TURNS: u32 = 6;
const WARM_UP: Duration = Duration::from_millis(500);
/// Backends, and tools of each, of the long list.
const LONG: (usize, usize) = (10, 1_000);

const CALL: Asking = Asking { name: "tools/call", method: method::TOOLS_CALL, is_modern: true };
const LIST: Asking = Asking { name: "tools/list", method: method::TOOLS_LIST, is_modern: true };

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Boundaries {
    /// CPU of a call, in microseconds, where nothing is asked of anybody.
    pub(crate) open_us: f64,
    /// The same with tokens, policies and records.
    pub(crate) guarded_us: f64,
    /// A decision by policies that speak of groups.
    pub(crate) decision_us: f64,
    /// The same where each of those that fit has a condition.
    pub(crate) conditions_us: f64,
    /// A session id, cursor or task that a client shows is opened.
    pub(crate) handle_us: f64,
    pub(crate) warm_ms: f64,
    pub(crate) cold_ms: f64,
}

impl Boundaries {
    pub(crate) fn more_us(&self) -> f64 {
        self.guarded_us - self.open_us
    }

    pub(crate) fn holds(&self) -> bool {
        self.more_us() <= CALL_US
            && self.decision_us <= DECISION_US
            && self.conditions_us <= DECISION_US
            && self.handle_us <= HANDLE_US
            && self.warm_ms <= WARM_MS
            && self.cold_ms <= COLD_MS
    }
}

pub(crate) async fn measure(vmcpctl: &Path, seconds: u64, connections: usize) -> anyhow::Result<Boundaries> {
    let issuer = Issuer::start().await;
    let (open_us, guarded_us) = calls(vmcpctl, &issuer, seconds, connections).await?;
    let (warm_ms, cold_ms) = lists(vmcpctl, &issuer).await?;
    let (decision_us, conditions_us) = (decision(&[])?, decision(&CONDITIONS)?);
    let handle_us = handle()?;
    Ok(Boundaries { open_us, guarded_us, decision_us, conditions_us, handle_us, warm_ms, cold_ms })
}

/// One backend behind each of two, which are asked by turns.
async fn calls(
    vmcpctl: &Path,
    issuer: &Issuer,
    seconds: u64,
    connections: usize,
) -> anyhow::Result<(f64, f64)> {
    let backend = targets::backend(1)?;
    let folder = tempfile::TempDir::new()?;
    let file = folder.path().join("audit.log");
    let open = targets::vmcp(vmcpctl, &[backend.address], "")?;
    // Those that speak of other tools are left out beforehand; some fit every call.
    let policies: Vec<String> = (0..POLICIES)
        .map(|n| match n % 10 {
            0 => format!(
                "permit(principal in THVGroup::\"team-{n}\", action == Action::\"call_tool\", resource);"
            ),
            _ => format!(
                "permit(principal, action == Action::\"call_tool\", resource == Tool::\"b0_other_{n}\");"
            ),
        })
        .collect();
    let more = format!("{}audit: {{log_file: '{}'}}\n", authz(&policies), file.display());
    let guarded = targets::guarded(vmcpctl, &[backend.address], &issuer.url(), &more)?;
    let token =
        issuer.token("ada", "vmcp", &json!({"groups": ["team-0", "team-50"], "exp": 4_000_000_000_u64}));
    let tools = ["b0_tool_0".to_owned()];
    let sides = [
        (load(open.address, CALL, &tools), open.watched()?),
        (with(&load(guarded.address, CALL, &tools), &token)?, guarded.watched()?),
    ];
    let time = Duration::from_secs(seconds).div_f64(f64::from(TURNS)).max(Duration::from_secs(1));
    let (mut cpu, mut requests) = ([Duration::ZERO; 2], [0; 2]);
    for _ in 0..TURNS {
        for (side, (load, watched)) in sides.iter().enumerate() {
            closed_loop(load, connections, WARM_UP).await?;
            let before = watched.cpu()?;
            let measured = closed_loop(load, connections, time).await?;
            cpu[side] += Watched::cpu(watched)?.saturating_sub(before);
            requests[side] += measured.requests;
        }
    }
    // Those that were put aside, too.
    let mut recorded = 0;
    for file in fs_err::read_dir(folder.path())? {
        recorded += file?.metadata()?.len();
    }
    ensure!(recorded > requests[1] * 400, "{recorded} bytes of records of {} calls", requests[1]);
    let each = |side: usize| cpu[side].as_secs_f64() * 1e6 / requests[side] as f64;
    Ok((each(0), each(1)))
}

/// A page of a long list, in milliseconds: the slowest for callers that are known, and the first for each for the first time. The middle of
/// many.
async fn lists(vmcpctl: &Path, issuer: &Issuer) -> anyhow::Result<(f64, f64)> {
    let backends = (0..LONG.0).map(|_| targets::backend(LONG.1)).collect::<anyhow::Result<Vec<_>>>()?;
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    let mut policies: Vec<String> = (0..POLICIES - 1)
        .map(|n| {
            format!("forbid(principal in THVGroup::\"team-{n}\", action, resource == Tool::\"b0_tool_{n}\");")
        })
        .collect();
    policies.push("permit(principal, action == Action::\"call_tool\", resource) when { resource.original_name != \"tool_7\" };".to_owned());
    let served = targets::guarded(vmcpctl, &addresses, &issuer.url(), &authz(&policies))?;
    let whole = load(served.address, LIST, &[]);
    let (mut cold, mut warm, mut slowest) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..20 {
        let token = issuer.token(&format!("caller-{number}"), "vmcp", &json!({}));
        let load = with(&whole, &token)?;
        cold.push(timed(&load).await?);
        // As a client asks that stays.
        let again = closed_loop(&load, 1, Duration::from_millis(150)).await?;
        warm.push(again.latency.value_at_quantile(0.5) as f64 / 1e6);
        let pages = pages(&load).await?;
        ensure!(pages.len() >= LONG.0 * LONG.1 / 1_000, "{} pages", pages.len());
        slowest.push(pages.into_iter().max().unwrap_or_default().as_secs_f64() * 1e3);
    }
    // Whichever page it is.
    Ok((middle(warm).max(middle(slowest)), middle(cold)))
}

async fn timed(load: &Load) -> anyhow::Result<f64> {
    let began = Instant::now();
    once(load).await?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// Of claims, names and sets, by turns.
const CONDITIONS: [&str; 3] = [
    " when { principal has claim_role && principal.claim_role == \"dev\" }",
    " when { resource.original_name like \"to*\" }",
    " when { context has claim_role && [\"ops\", \"dev\"].contains(context.claim_role) }",
];

/// A decision that nobody remembers, in microseconds: 1,000 policies, 20 of which fit the action, the item and the caller.
fn decision(conditions: &[&str]) -> anyhow::Result<f64> {
    let condition = |n: usize| conditions.get(n / 50 % CONDITIONS.len()).copied().unwrap_or_default();
    let policies: Vec<String> = (0..1_000)
        .map(|n| match n % 50 {
            0 => format!(
                "permit(principal in THVGroup::\"team-{n}\", action == Action::\"call_tool\", resource){};",
                condition(n)
            ),
            _ => format!(
                "permit(principal, action == Action::\"call_tool\", resource == Tool::\"other_{n}\");"
            ),
        })
        .collect();
    let authorization = Authorization { policies, ..Authorization::default() };
    let policies =
        Policies::compile("bench", &authorization).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let groups: Vec<String> = (0..20).map(|n| format!("team-{}", n * 50)).collect();
    let claims = json!({ "groups": groups, "role": "dev" });
    let claims = claims.as_object().cloned().unwrap_or_default();
    let subject = policies.subject(Claims { subject: "ada", issuer: "https://issuer", all: &claims });
    let described = Described {
        act: Act::CallTool,
        exposed_name: "b_tool",
        original_name: "tool",
        backend: "b",
        hints: Hints::default(),
    };
    let guard = policies.guard(described, None);
    let mut rounds = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        for _ in 0..500 {
            ensure!(policies.decide(&subject, &guard, &[]).is_allowed, "it is permitted");
        }
        rounds.push(began.elapsed().as_secs_f64() * 1e6 / 500.0);
    }
    Ok(middle(rounds))
}

/// What a client was handed is opened, with the last of eight keys that all have one id, in microseconds.
fn handle() -> anyhow::Result<f64> {
    let keys: Vec<(u8, [u8; KEY_BYTES])> = (0..8).map(|key| (1, [key; KEY_BYTES])).collect();
    let (ring, last) = (KeyRing::new(&keys)?, KeyRing::new(&keys[7..])?);
    let sealed = last.seal(b"session of somebody", [7; NONCE_BYTES], &[1; 120]);
    let began = Instant::now();
    for _ in 0..10_000 {
        ring.open(b"session of somebody", &sealed)?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / 10_000.0)
}

fn authz(policies: &[String]) -> String {
    let list: Vec<String> = policies.iter().map(|policy| format!("    - '{policy}'\n")).collect();
    format!("  authz:\n    type: cedar\n    policies:\n{}", list.concat())
}

/// The same in the name of whoever has this token.
pub(crate) fn with(load: &Load, token: &str) -> anyhow::Result<Load> {
    let mut requests = load.requests.as_ref().clone();
    for request in &mut requests {
        request.headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
    }
    Ok(Load { requests: Arc::new(requests), ..load.clone() })
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
