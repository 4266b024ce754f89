//! Around `exchange`: whether a backend is called at all, where, for how long, in which session, and what its answer shows of it.

mod breaker;
mod budget;
mod called;
mod live;
mod opened;
mod sessions;
mod slots;
mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tokio::time::{Instant, timeout};
use vmcp_mcp::{Answered, Call, Duplex, Exchange, Failure, Peer};

use crate::refusal::{Reason, Refusal};

use breaker::Admission;
pub(crate) use called::{Backend, Legacy};
pub(crate) use live::Live;
use live::{Picked, now_ms, random};
pub(crate) use opened::Opened;
pub(crate) use sessions::{BackendSessions, Caller};
use slots::Slot;
pub(crate) use told::Told;

/// A call that may be made. It holds its place until it is dropped, and whoever finds out how the backend fares says so here.
#[derive(Debug)]
pub(crate) struct Admitted {
    backend: Arc<Backend>,
    admission: Admission,
    picked: Picked,
    is_judged: AtomicBool,
    _slot: Option<Slot>,
    /// When all of it must have ended.
    pub(crate) deadline: Instant,
}

/// Whether a backend is called now. If it fails, is busy, or has too many calls already, the caller hears when to come back.
pub(crate) async fn admit(backend: &Arc<Backend>) -> Result<Admitted, Refusal> {
    if backend.headers.is_none() {
        return Err(Refusal::backend(Reason::Unavailable, &backend.id));
    }
    let (live, now_ms) = (&backend.live, now_ms());
    if let Some(busy_ms) = live.busy_ms(now_ms) {
        return Err(Refusal::come_back(Reason::Busy, &backend.id, busy_ms));
    }
    let admission = match backend.breaker.is_enabled {
        true => live
            .breaker
            .admit(now_ms)
            .map_err(|ms| Refusal::come_back(Reason::Unavailable, &backend.id, ms))?,
        false => Admission::Usual,
    };
    let picked = live.pick(None);
    live.begins(picked.place);
    live.budget.called();
    let (backend, is_judged) = (backend.clone(), AtomicBool::new(false));
    let deadline = Instant::now() + backend.timeouts.total;
    // From here on, whatever happens, it is let go of.
    let mut admitted = Admitted { backend, admission, picked, is_judged, _slot: None, deadline };
    match admitted.backend.live.slots.take().await {
        Ok(slot) => admitted._slot = Some(slot),
        Err(slots::Full) => {
            let queue_ms =
                u64::try_from(vmcp_core::limits::BACKEND_QUEUE_TIME.as_millis()).unwrap_or_default();
            return Err(Refusal::come_back(Reason::Busy, &admitted.backend.id, queue_ms));
        }
    }
    Ok(admitted)
}

impl Admitted {
    /// Whom it is about.
    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Where it is called, and how; and what it is shown besides.
    pub(crate) fn peer_shown(&self, shown: Option<&(HeaderName, HeaderValue)>) -> Peer {
        let mut peer = self.peer();
        if let Some((name, value)) = shown {
            peer.headers.insert(name, value.clone());
        }
        peer
    }

    /// Where it is called, and how.
    pub(crate) fn peer(&self) -> Peer {
        Peer {
            url: self.url().clone(),
            carrier: self.backend.carrier,
            headers: self.backend.headers.clone().unwrap_or_default(),
        }
    }

    fn url(&self) -> &Uri {
        self.backend.live.url(self.picked.place)
    }

    /// Goes where a session was begun.
    pub(crate) fn go_to(&mut self, url: &Uri) {
        if let Some(place) = self.backend.live.place_of(url).filter(|place| *place != self.picked.place) {
            self.backend.live.judge(self.picked, None);
            self.move_to(Picked { place, admission: Admission::Usual });
        }
    }

    /// Goes to another address, since this one could not be connected to and so has executed nothing. Not, if there is none, or if so
    /// much has been sent again already.
    pub(crate) fn go_elsewhere(&mut self) -> bool {
        let live = &self.backend.live;
        let may_go = live.len() > 1 && !self.left().is_zero() && live.budget.take(now_ms());
        if may_go {
            live.judge(self.picked, Some(false));
            self.move_to(live.pick(Some(self.picked.place)));
        }
        may_go
    }

    fn move_to(&mut self, picked: Picked) {
        let live = &self.backend.live;
        live.ends(self.picked.place);
        live.begins(picked.place);
        self.picked = picked;
    }

    /// The call, until its answer begins, or is there if it is one body. Each address is tried at most once.
    pub(crate) async fn call(
        &mut self,
        exchange: &Exchange,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answered, Refusal> {
        let mut others = self.backend.live.len() - 1;
        if others == 0 {
            let called = self.call_here(exchange, headers, body).await;
            return called.map_err(|failure| self.refuse(Reason::from(&failure)));
        }
        loop {
            let failure = match self.call_here(exchange, headers.clone(), body.clone()).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => failure,
            };
            let may_go = others > 0 && matches!(failure, Failure::Unreachable(_));
            if !may_go || !self.go_elsewhere() {
                return Err(self.refuse(Reason::from(&failure)));
            }
            others -= 1;
        }
    }

    /// The call at this address, whatever comes of it.
    pub(crate) async fn call_here(
        &self,
        exchange: &Exchange,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answered, Failure> {
        // What MCP needs goes before what the manifest says.
        for (name, value) in self.backend.headers.iter().flatten() {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        let called = self.send(exchange, Call { url: self.url().clone(), headers, body }).await;
        if let Err(failure) = &called {
            tracing::debug!(backend = %self.backend.id, error = failure as &dyn std::error::Error, "call failed");
        }
        called
    }

    /// The call in a session that is a stream of its own.
    pub(crate) async fn call_in(
        &self,
        duplex: &Duplex,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answered, Failure> {
        let sent = timeout(self.patience(), duplex.send(headers, body)).await;
        sent.unwrap_or(Err(Failure::TimedOut))
    }

    /// How long an answer may take to begin.
    pub(crate) fn patience(&self) -> Duration {
        self.backend.timeouts.first_byte.min(self.left())
    }

    async fn send(&self, exchange: &Exchange, call: Call) -> Result<Answered, Failure> {
        let begun = timeout(self.patience(), exchange.begin(call));
        let begun = begun.await.unwrap_or(Err(Failure::TimedOut))?;
        let answer = timeout(self.backend.timeouts.idle.min(self.left()), begun.answer());
        answer.await.unwrap_or(Err(Failure::TimedOut))
    }

    /// What is left of the time for all of it.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The backend has answered as it should.
    pub(crate) fn succeeded(&self) {
        if !self.is_judged.swap(true, Ordering::Relaxed) {
            if self.backend.live.breaker.succeeded(self.admission) {
                tracing::info!(backend = %self.backend.id, "backend is back; calls go through again");
            }
            self.backend.live.judge(self.picked, Some(true));
        }
    }

    /// The backend says something on the way to its answer. Whoever waits to see whether it is back need not wait for the end.
    pub(crate) fn is_alive(&self) {
        if self.admission == Admission::Trial || self.picked.admission == Admission::Trial {
            self.succeeded();
        }
    }

    /// The caller's answer where the backend did not do as it should, and what that shows of it.
    pub(crate) fn refuse(&self, reason: Reason) -> Refusal {
        match reason.verdict() {
            Some(true) => self.succeeded(),
            Some(false) => self.failed(),
            None => {}
        }
        Refusal::backend(reason, &self.backend.id)
    }

    /// The backend wants to be left alone. That is no failure.
    pub(crate) fn busy(&self, time: Duration) -> Refusal {
        let busy_ms = self.backend.live.is_busy(time, now_ms());
        Refusal::come_back(Reason::Busy, &self.backend.id, busy_ms)
    }

    /// It counts even if it had begun to answer well.
    fn failed(&self) {
        // A trial that had begun to answer well is one no more.
        let was_judged = self.is_judged.swap(true, Ordering::Relaxed);
        let usual = |admission| if was_judged { Admission::Usual } else { admission };
        let live = &self.backend.live;
        let picked = Picked { admission: usual(self.picked.admission), ..self.picked };
        live.judge(picked, Some(false));
        let admission = usual(self.admission);
        if let Some(open_ms) = live.breaker.failed(admission, &self.backend.breaker, now_ms(), random()) {
            tracing::warn!(backend = %self.backend.id, open_ms, "backend fails; it is not called for a while");
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let live = &self.backend.live;
        live.ends(self.picked.place);
        if !*self.is_judged.get_mut() {
            live.breaker.abandoned(self.admission);
            live.judge(self.picked, None);
        }
    }
}

/// The same as [`Admitted::call`], going on when nobody waits any more.
pub(crate) async fn call_to_the_end(
    mut admitted: Admitted,
    exchange: &Exchange,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(Admitted, Answered), Refusal> {
    let (exchange, backend) = (exchange.clone(), admitted.backend.clone());
    let calling = tokio::spawn(async move {
        let answered = admitted.call(&exchange, headers, body).await?;
        Ok((admitted, answered))
    });
    calling.await.unwrap_or_else(|_| Err(Refusal::backend(Reason::Unavailable, &backend.id)))
}
