//! A backend that misbehaves, `bad`, beside one that does not, `good`, and how long a caller of the first may wait.

use std::time::Duration;

use vmcp_testkit::{RawBackend, Recorded, Served, mcp_reply};

use crate::program;

pub(super) const FIRST_BYTE: Duration = Duration::from_millis(600);
pub(super) const IDLE: Duration = Duration::from_millis(900);
pub(super) const AT_ONCE: Duration = Duration::from_millis(500);
/// For what is large, in a build that is not fast.
pub(super) const LARGE: Duration = Duration::from_secs(20);
/// What the caller may wait beyond a bound.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// Both behind one virtual server. `bad` is what stands in its workload besides the name.
pub(super) async fn serve(bad: &str, is_modern: bool) -> (Served, RawBackend) {
    let good = RawBackend::start(move |recorded: &Recorded| {
        mcp_reply(recorded, is_modern, r#"{"name":"well","inputSchema":{"type":"object"}}"#)
            .unwrap_or_else(|| recorded.result(r#"{"content":[],"resultType":"complete"}"#))
    })
    .await;
    let manifest = format!(
        "name: all\ngroup: g\nincoming_auth: {{type: anonymous}}\noperational:\n  timeouts: {{default: {{first_byte: {}ms, idle: {}ms}}}}\n---\nkind: group\nname: g\nworkloads:\n  - {{name: bad, {bad}}}\n  - {{name: good, url: '{}'}}\n",
        FIRST_BYTE.as_millis(),
        IDLE.as_millis(),
        good.url()
    );
    let served = Served::start(program(), &manifest).await;
    served.until_healthy("bad", Duration::from_secs(10)).await;
    served.until_healthy("good", Duration::from_secs(10)).await;
    (served, good)
}

/// What a call of `good` may take beside one of `bad` that may take this long: both share the machine with what is large.
pub(super) fn unnoticed(within: Duration) -> Duration {
    if within == LARGE { Duration::from_secs(3) } else { AT_ONCE }
}
