//! Somebody shows token after token under keys that nobody has: what those notice who have real ones.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use vmcp_mcp::method;
use vmcp_testkit::Issuer;

use crate::asking::{Asking, load};
use crate::boundaries;
use crate::driver::{Load, open_loop};
use crate::isolation::{CONNECTIONS, Noticed, ROUND_SECONDS, ROUNDS, WARM_UP, p99_us};
use crate::targets;

/// Tokens a second of whoever floods.
const FLOOD: u64 = 1_000;
/// Calls a second of the others.
const RATE: u64 = 200;
/// Tokens under as many key ids: more than are remembered.
const TOKENS: usize = 16_000;
/// Connections of whoever floods.
const FLOODING: usize = 4;

const CALL: Asking = Asking { name: "tools/call", method: method::TOOLS_CALL, is_modern: true };

/// With and without the flood, in turn.
pub(crate) async fn measure(vmcpctl: &Path, seconds: u64) -> anyhow::Result<Noticed> {
    let issuer = Issuer::start().await;
    let backend = targets::backend(1)?;
    let guarded = targets::guarded(vmcpctl, &[backend.address], &issuer.url(), "")?;
    let call = load(guarded.address, CALL, &["b0_tool_0".to_owned()]);
    let honest = boundaries::with(&call, &issuer.token("ada", "vmcp", &json!({"exp": 4_000_000_000_u64})))?;
    let flood = flood(&call, &issuer)?;
    let seconds = seconds.max(ROUND_SECONDS);
    let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
    open_loop(&honest, CONNECTIONS, RATE, WARM_UP).await?;
    for _ in 0..ROUNDS {
        quiet.push(p99_us(&honest, RATE, seconds).await?);
        let (noticed, _) = tokio::try_join!(
            p99_us(&honest, RATE, seconds),
            open_loop(&flood, FLOODING, FLOOD, Duration::from_secs(seconds))
        )?;
        flooded.push(noticed);
    }
    Ok(Noticed::of(quiet, flooded))
}

/// Every token under a key of its own, and none of them is one.
fn flood(call: &Load, issuer: &Issuer) -> anyhow::Result<Load> {
    let mut requests = Vec::new();
    for key in 0..TOKENS {
        let token = issuer.token_under(Some(&format!("key-{key}")), "at+jwt", "eve", "vmcp", &json!({}));
        let load = boundaries::with(call, &token)?;
        requests.extend(load.requests.iter().cloned().map(|mut request| {
            request.expects = StatusCode::UNAUTHORIZED;
            request
        }));
    }
    Ok(Load { requests: Arc::new(requests), ..call.clone() })
}
