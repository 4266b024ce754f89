//! What every request can reach.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use vmcp_mcp::Exchange;
use vmcp_oauth::{Tokens, Verifier};
use vmcp_runtime::{Drain, Guard};

use crate::backend::{BackendSessions, Told};
use crate::inventories::PersonalInventories;
use crate::mailboxes::Mailboxes;
use crate::metrics::Counters;
use crate::questions::Questions;
use crate::session::Sessions;
use crate::shared::SharedCalls;
use crate::snapshot::Snapshot;
use crate::streams::Streams;

/// Shared by all lanes but for the connections to backends.
#[derive(Debug, Clone)]
pub(crate) struct Plane {
    /// The whole that is served; replaced in one step.
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    /// What the control plane says of backends.
    pub(crate) told: Arc<ArcSwap<Told>>,
    /// Wakes streams when the snapshot has been replaced.
    pub(crate) changed: watch::Sender<u64>,
    /// Connections to backends, kept where the requests are that use them.
    pub(crate) exchange: Exchange,
    /// Whose token is good.
    pub(crate) verifier: Arc<Verifier>,
    /// Tokens for backends.
    pub(crate) tokens: Tokens,
    /// What backends offer single callers.
    pub(crate) personal_inventories: PersonalInventories,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) backend_sessions: BackendSessions,
    /// What backends say to clients by themselves.
    pub(crate) mailboxes: Mailboxes,
    /// Clients over HTTP with SSE.
    pub(crate) streams: Streams,
    /// What backends ask of clients.
    pub(crate) questions: Questions,
    /// What is under way in backend sessions that clients share.
    pub(crate) shared_calls: SharedCalls,
    pub(crate) counters: Arc<Counters>,
    pub(crate) drain: Drain,
    pub(crate) guard: Guard,
    /// What clients speak: `http` or `https`.
    pub(crate) scheme: &'static str,
}
