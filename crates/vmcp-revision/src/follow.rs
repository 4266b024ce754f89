//! The end that follows: keeps a stream to one of its control planes, for ever, and hands over revisions.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use vmcp_core::limits;
use vmcp_runtime::{Drain, jittered, unix_ms};

use crate::link::{Link, Source};
use crate::part::PartName;
use crate::protocol::{Arrived, Following};
use crate::protocol::{FromReplica, HeldBack, Observe, Report, ToReplica};
use crate::published::Published;

/// What a data plane gets to see of the stream.
#[derive(Debug)]
pub struct Follower {
    revisions: mpsc::Receiver<Arc<Published>>,
    verdicts: mpsc::Sender<Verdict>,
    connection: watch::Receiver<Connection>,
    observed: watch::Receiver<Observe>,
}

/// What became of a revision.
#[derive(Debug)]
pub struct Verdict {
    /// Which.
    pub published: Arc<Published>,
    /// What could not be used, and why.
    pub rejected: Vec<(PartName, String)>,
    /// Virtual servers that stay at an earlier revision.
    pub held_back: Vec<HeldBack>,
    /// Why it could not be kept on disk.
    pub spill_error: Option<String>,
}

/// Whether there is a control plane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// The one that is followed.
    pub to: Option<String>,
    /// When one was last heard, in milliseconds since 1970; 0 if never.
    pub heard_ms: u64,
    /// Why the last stream has ended, or could not be opened.
    pub last_error: Option<String>,
}

/// How a stream has ended.
enum End {
    Broken(String),
    Drained,
    Stopped,
}

impl Follower {
    /// Follows one of `sources` until `drain` says to stop. `reports` is what the control plane is told, and how often; which backends are
    /// avoided it is told at once. `heard_ms` is when what `following` serves was last known to be new.
    pub fn start(
        following: Following,
        sources: Vec<Source>,
        reports: impl FnMut() -> (Report, Duration) + Send + 'static,
        heard_ms: u64,
        drain: &Drain,
    ) -> Self {
        let (hand_over, revisions) = mpsc::channel(1);
        let (verdicts, take_verdicts) = mpsc::channel(1);
        let (tell, connection) = watch::channel(Connection { heard_ms, ..Connection::default() });
        let (observe, observed) = watch::channel(Observe::default());
        let run = Run {
            following,
            sources,
            reports: Box::new(reports),
            hand_over,
            verdicts: take_verdicts,
            is_pending: false,
            tell,
            observe,
            drain: drain.clone(),
        };
        drain.spawn(run.for_ever());
        Self { revisions, verdicts, connection, observed }
    }

    /// Waits for a revision that is to be served; `None` when the process stops. Each must be answered.
    pub async fn next(&mut self) -> Option<Arc<Published>> {
        self.revisions.recv().await
    }

    /// Says what became of a revision.
    pub async fn answer(&self, verdict: Verdict) {
        // If nobody follows any more, nobody waits for it.
        let _ = self.verdicts.send(verdict).await;
    }

    /// Whether there is a control plane, as it changes.
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    /// What is observed beside revisions, as it changes.
    pub fn observed(&self) -> watch::Receiver<Observe> {
        self.observed.clone()
    }
}

struct Run {
    following: Following,
    sources: Vec<Source>,
    reports: Box<dyn FnMut() -> (Report, Duration) + Send>,
    hand_over: mpsc::Sender<Arc<Published>>,
    verdicts: mpsc::Receiver<Verdict>,
    /// A revision was handed over, and its verdict is not in.
    is_pending: bool,
    tell: watch::Sender<Connection>,
    observe: watch::Sender<Observe>,
    drain: Drain,
}

impl Run {
    async fn for_ever(mut self) {
        let mut pause = limits::RECONNECT_FIRST;
        // Which one is asked first differs, so that a fleet spreads over the members.
        let mut next = self.sources.len() * usize::from(jittered_byte()) / 256;
        let mut failed = 0;
        loop {
            let source = self.sources[next % self.sources.len()].clone();
            let opened_at = Instant::now();
            let end = match source.open(&self.drain).await {
                Ok(link) => self.follow(link, &source).await,
                Err(error) => End::Broken(format!("{source}: {error}")),
            };
            if opened_at.elapsed() > limits::SILENCE_TIME {
                pause = limits::RECONNECT_FIRST;
                failed = 0;
            }
            next += 1;
            failed += 1;
            match end {
                End::Stopped => return,
                End::Drained => tracing::info!(%source, "the control plane stops; looking for another"),
                End::Broken(why) => {
                    match self.following.revision() {
                        0 => tracing::warn!(why, "no control plane, and nothing to serve yet"),
                        _ => tracing::warn!(why, "no control plane; what was last published is served on"),
                    }
                    self.tell.send_modify(|connection| connection.last_error = Some(why));
                }
            }
            // Every member is asked once before there is a pause, unless one was followed, and all of its replicas have lost it.
            let was_connected = self.tell.borrow().to.is_some();
            self.tell.send_modify(|connection| connection.to = None);
            if !was_connected && failed % self.sources.len() != 0 {
                continue;
            }
            tokio::select! {
                () = self.drain.stopped() => return,
                () = tokio::time::sleep(jittered(Duration::ZERO, pause)) => {}
            }
            pause = (pause * 2).min(limits::RECONNECT_LONGEST);
        }
    }

    async fn follow(&mut self, link: Link, source: &Source) -> End {
        // What is being applied when a stream ends is the baseline of the next.
        if self.is_pending && self.take_verdict().await.is_none() {
            return End::Stopped;
        }
        let Link { outbound, mut inbound } = link;
        let heard_ms = self.tell.borrow().heard_ms;
        let stale_ms = if heard_ms == 0 { 0 } else { unix_ms().saturating_sub(heard_ms) };
        let hello = self.following.connected(stale_ms);
        if outbound.send(hello).await.is_err() {
            return End::Broken(format!("{source}: closed at once"));
        }
        let mut reports = tokio::time::interval(limits::AVOIDED_TIME);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut reported, mut reported_at) = (Report::default(), None);
        let drain = self.drain.clone();
        let mut heard_at = Instant::now();
        let end = loop {
            let silent_at = heard_at + limits::SILENCE_TIME;
            let answer = tokio::select! {
                () = drain.stopped() => break End::Stopped,
                message = inbound.next() => {
                    heard_at = Instant::now();
                    match self.take(message, source).await {
                        Ok(answer) => answer,
                        Err(end) => break end,
                    }
                }
                Some(ack) = self.take_verdict(), if self.is_pending => Some(ack),
                _ = reports.tick() => {
                    let (report, every) = (self.reports)();
                    let is_due = reported_at.is_none_or(|at: Instant| at.elapsed() >= every);
                    let is_new = (is_due && report != reported) || report.avoided != reported.avoided;
                    is_new.then(|| {
                        (reported, reported_at) = (report.clone(), Some(Instant::now()));
                        FromReplica::Report(report)
                    })
                }
                () = tokio::time::sleep_until(silent_at) => break End::Broken(format!("{source}: silent")),
            };
            if let Some(answer) = answer
                && outbound.send(answer).await.is_err()
            {
                break End::Broken(format!("{source}: the stream has ended"));
            }
        };
        self.following.disconnected();
        end
    }

    /// Takes a message and returns what it asks for: an answer, or the end.
    async fn take(
        &mut self,
        message: Option<Result<ToReplica, String>>,
        source: &Source,
    ) -> Result<Option<FromReplica>, End> {
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(End::Broken(format!("{source}: {error}"))),
            None => return Err(End::Broken(format!("{source}: the stream has ended"))),
        };
        self.heard(source);
        let arrived = self.following.receive(message).map_err(|violation| {
            tracing::error!(%source, %violation, "what the control plane sends is not taken");
            End::Broken(format!("{source}: {violation}"))
        })?;
        match arrived {
            Arrived::Nothing => Ok(None),
            Arrived::Ping => Ok(Some(FromReplica::Pong)),
            Arrived::Drain => Err(End::Drained),
            Arrived::Observe(observe) => {
                self.observe.send_replace(observe);
                Ok(None)
            }
            Arrived::Revision(revision) => {
                self.is_pending = true;
                self.hand_over.send(revision).await.map_err(|_| End::Stopped)?;
                Ok(None)
            }
        }
    }

    async fn take_verdict(&mut self) -> Option<FromReplica> {
        let verdict = self.verdicts.recv().await?;
        self.is_pending = false;
        let Verdict { published, rejected, held_back, spill_error } = verdict;
        Some(FromReplica::Ack(self.following.applied(&published, rejected, held_back, spill_error)))
    }

    fn heard(&self, source: &Source) {
        self.tell.send_if_modified(|connection| {
            connection.heard_ms = unix_ms();
            let is_new = connection.to.is_none();
            if is_new {
                connection.to = Some(source.to_string());
                connection.last_error = None;
            }
            is_new
        });
    }
}

fn jittered_byte() -> u8 {
    u8::try_from(jittered(Duration::ZERO, Duration::from_millis(255)).as_millis()).unwrap_or_default()
}
