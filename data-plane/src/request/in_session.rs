//! A call to a legacy backend: in the session that belongs to the caller, if the backend keeps sessions.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use vmcp_core::desired::Sessions;
use vmcp_core::limits;
use vmcp_mcp::{Answer, Answered, Failure, header};

use crate::asked::Asked;
use crate::backend::{Admitted, Backend, Caller, Legacy, Opened};
use crate::hear::hear;
use crate::plane::Plane;
use crate::principal::{Identity, Scope};
use crate::refusal::{Reason, Refusal};
use crate::relay;
use crate::request::credential::Credential;
use crate::request::receive;
use crate::shared::SharedCall;
use crate::snapshot::Server;
use crate::sticky::Carried;

/// A call that is about to go out.
pub(super) struct Calling<'c> {
    pub(super) plane: &'c Arc<Plane>,
    pub(super) server: &'c Server,
    pub(super) legacy: Legacy,
    pub(super) identity: &'c Identity,
    pub(super) credential: &'c Credential,
    pub(super) asked: &'c Asked<'c>,
    /// The call as the backend knows it, if clients share the session.
    pub(super) shared: Option<&'c SharedCall>,
    /// The client's.
    pub(super) headers: &'c HeaderMap,
}

/// What the examples of the TypeScript SDK, and the many servers that began as one of them, say in place of 404.
fn says_no_session(body: &[u8]) -> bool {
    const SAID: &[u8] = b"No valid session ID provided";
    body.windows(SAID.len()).any(|part| part == SAID)
}

impl Calling<'_> {
    /// The answer, and the session in which it was given. A session that the backend has forgotten (404) is begun again, and the call
    /// sent once more, since it was refused before it was executed.
    pub(super) async fn call(
        self,
        admitted: &mut Admitted,
        passed: HeaderMap,
        body: Bytes,
    ) -> Result<(Answered, Option<Arc<Opened>>), Refusal> {
        let plane = self.plane;
        if !self.legacy.has_sessions {
            let mut headers = passed;
            headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static(self.legacy.version.as_str()));
            self.credential.write_headers(&mut headers);
            return Ok((admitted.call(&plane.exchange, headers, body).await?, None));
        }
        let (client, backend) = (self.asked.client.session(), admitted.backend().clone());
        let caller = Caller { identity: self.identity, session: client.as_ref() };
        let mut is_second = false;
        loop {
            let opening = plane.backend_sessions.opened(
                &plane.exchange,
                caller,
                &backend,
                admitted.peer_shown(self.credential.header()),
                admitted.patience(),
                // What has just been refused is not gone on with.
                || self.carried(&backend).filter(|_| !is_second),
            );
            let opened = match opening.await {
                Ok((opened, is_new)) => {
                    if let Some(client) = client.filter(|_| is_new && !backend.shares_sessions())
                        && let Some(begins) = hear(plane, client, &opened)
                    {
                        // What the call makes the backend say by itself is not to be missed.
                        let _ = tokio::time::timeout(limits::HEAR_TIME, begins).await;
                    }
                    opened
                }
                Err(failed) => {
                    admitted.go_to(&failed.url);
                    if failed.is_unreachable && !is_second && admitted.go_elsewhere() {
                        is_second = true;
                        continue;
                    }
                    // What one opening shows counts once, however many waited for it.
                    return Err(match failed.is_first() {
                        true => admitted.refuse(failed.reason),
                        false => Refusal::backend(failed.reason, &backend.id),
                    });
                }
            };
            admitted.go_to(opened.url());
            if let Some(shared) = self.shared {
                shared.goes_out(&opened);
            }
            let session = opened.session();
            let mut headers = passed.clone();
            session.write_headers(&mut headers);
            self.credential.write_headers(&mut headers);
            let called = match &session.duplex {
                Some(duplex) => admitted.call_in(duplex, headers, body.clone()).await,
                None => admitted.call_here(&plane.exchange, headers, body.clone()).await,
            };
            if !is_second && self.may_begin_again(&called, &opened, admitted) {
                plane.backend_sessions.forget(caller, &backend, &opened).await;
                is_second = true;
                continue;
            }
            let answered = called.map_err(|failure| admitted.refuse(Reason::from(&failure)))?;
            return Ok((answered, Some(opened)));
        }
    }

    /// The session with this backend that the client carries.
    fn carried(&self, backend: &Backend) -> Option<Carried> {
        if backend.sessions != Sessions::Sticky {
            return None;
        }
        let scope = Scope { server: &self.server.name, principal: self.asked.principal };
        let all = receive::carried(self.headers, scope, &self.plane.sessions);
        all.into_iter().find(|carried| carried.at(backend).is_some())
    }

    /// Whether a call was refused before it was executed, and a new session may be better off: the backend has forgotten this one, or
    /// cannot be reached where it is held, and the call has gone over to another address, which does not know it.
    fn may_begin_again(
        &self,
        called: &Result<Answered, Failure>,
        opened: &Opened,
        admitted: &mut Admitted,
    ) -> bool {
        match called {
            Ok(Answered { answer: Answer::Refused { status, body, .. }, .. }) => {
                let session = opened.session();
                let is_session = session.id.is_some() || session.duplex.is_some();
                let id = self.shared.map_or(self.asked.request.id.raw(), |shared| &shared.id);
                let is_forgotten = *status == StatusCode::NOT_FOUND && !relay::is_response_to(id, body);
                is_session && (is_forgotten || (*status == StatusCode::BAD_REQUEST && says_no_session(body)))
            }
            Err(Failure::Unreachable(_)) => admitted.go_elsewhere(),
            Ok(_) | Err(_) => false,
        }
    }
}
