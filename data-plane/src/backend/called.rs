//! A backend with all that a call to it needs: what it speaks, what it is called with, how long it may take.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderName};
use vmcp_core::backend::BackendId;
use vmcp_core::desired::{Found, Sessions, Transport};
use vmcp_core::inventory::Abilities;
use vmcp_core::name::Name;
use vmcp_core::operational::{Breaker, Timeouts};
use vmcp_mcp::{Carrier, ProtocolVersion, check_roots};
use vmcp_oauth::hash;
use vmcp_revision::codec::ServedServer;
use vmcp_runtime::{secret_file, secret_variable};

use crate::backend::Live;
use crate::outgoing::Shown;

/// A place to send calls to.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) id: BackendId,
    pub(crate) modern: bool,
    pub(crate) legacy: Option<Legacy>,
    pub(crate) abilities: Abilities,
    /// Who has a session with it, if it is legacy and keeps them.
    pub(crate) sessions: Sessions,
    /// What carries messages to it.
    pub(crate) carrier: Carrier,
    /// What every request to it carries. `None`: that, or what its TLS is held to, cannot be found, so it is not called.
    pub(crate) headers: Option<HeaderMap>,
    /// What it is shown besides, call by call.
    pub(crate) shown: Shown,
    /// Headers of clients that are passed on to it.
    pub(crate) passthrough: Arc<[HeaderName]>,
    /// Certificates (PEM) that its TLS is held to besides the usual ones.
    pub(crate) roots: Option<Vec<u8>>,
    /// It is called with what stands in files, or something that it is called with could not be found.
    pub(crate) has_references: bool,
    /// Tells what it is called with and shown, and by which virtual server, from all else.
    pub(crate) mark: [u8; 32],
    /// How long a call may take.
    pub(crate) timeouts: Timeouts,
    /// When it is left alone.
    pub(crate) breaker: Breaker,
    /// What this replica knows of it by its own calls.
    pub(crate) live: Arc<Live>,
}

/// How legacy requests reach it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Legacy {
    pub(crate) version: ProtocolVersion,
    pub(crate) has_sessions: bool,
}

impl Backend {
    /// Whether it is not called now, since calls to it fail.
    pub(crate) fn is_avoided(&self) -> bool {
        self.breaker.is_enabled && self.live.is_avoided()
    }

    /// Whether clients share a session with it.
    pub(crate) fn shares_sessions(&self) -> bool {
        self.sessions == Sessions::Shared && self.legacy.is_some_and(|legacy| legacy.has_sessions)
    }

    /// Whether clients of this era can hear from it which resources have changed.
    pub(crate) fn tells_of_resources(&self, is_modern: bool) -> bool {
        let can_be_asked = match is_modern {
            true => self.modern,
            // In a session of many nobody could hear it alone.
            false => self.legacy.is_some() && !self.shares_sessions(),
        };
        self.abilities.subscribes && can_be_asked
    }

    pub(crate) fn new(
        backend: &vmcp_core::backend::Backend,
        served: &ServedServer,
        abilities: Abilities,
        live: Arc<Live>,
    ) -> Self {
        let legacy = backend.eras.legacy.as_ref().and_then(|legacy| {
            let version = ProtocolVersion::parse(&legacy.version)?;
            Some(Legacy { version, has_sessions: legacy.has_sessions })
        });
        let (id, modern, sessions) = (backend.id.clone(), backend.eras.modern, backend.endpoints.sessions);
        let shares = sessions == Sessions::Shared && legacy.is_some_and(|legacy| legacy.has_sessions);
        // In a session of many nobody can say how much is logged.
        let abilities = match shares && !modern {
            true => Abilities { logs: false, ..abilities },
            false => abilities,
        };
        let (timeouts, breaker) = (served.operational.timeouts(&id.name), served.operational.breaker);
        let carrier = match backend.endpoints.transport {
            Transport::StreamableHttp => Carrier::StreamableHttp,
            Transport::Sse => Carrier::Sse,
        };
        let headers = backend.endpoints.header_map(|found| match found {
            Found::Variable(name) => secret_variable(name),
            Found::File(path) => secret_file(path).map(Into::into),
        });
        let roots = backend.endpoints.ca_bundle.as_deref().map(secret_file).transpose();
        let roots = roots.and_then(|roots| {
            let roots = roots.map(String::into_bytes);
            roots.as_deref().map(check_roots).transpose().map(|_| roots)
        });
        for error in [headers.as_ref().err(), roots.as_ref().err()].into_iter().flatten() {
            tracing::error!(backend = %id, %error, "what a backend is called with cannot be found, so it is not called");
        }
        let (shown, is_read_again) = Shown::prepare(served.outgoing.of(&id.name), &served.incoming, &id);
        let has_references =
            is_read_again || backend.endpoints.has_files() || headers.is_err() || roots.is_err();
        let (headers, roots) = match (headers, roots) {
            (Ok(headers), Ok(roots)) => (Some(headers), roots),
            _ => (None, None),
        };
        let mark = mark(&served.name, headers.as_ref(), roots.as_deref(), &shown);
        let passthrough = served.passthrough_headers.as_slice().into();
        Self {
            id,
            modern,
            legacy,
            abilities,
            sessions,
            carrier,
            headers,
            shown,
            passthrough,
            roots,
            has_references,
            mark,
            timeouts,
            breaker,
            live,
        }
    }
}

fn mark(server: &Name, headers: Option<&HeaderMap>, roots: Option<&[u8]>, shown: &Shown) -> [u8; 32] {
    let is_called = [u8::from(headers.is_some())];
    let headers = headers.into_iter().flatten();
    let headers = headers.map(|(name, value)| hash(&[name.as_str().as_bytes(), value.as_bytes()]));
    let headers: Vec<[u8; 32]> = headers.collect();
    let roots = roots.unwrap_or_default();
    hash(&[server.as_str().as_bytes(), &is_called, headers.as_flattened(), roots, &shown.mark()])
}
