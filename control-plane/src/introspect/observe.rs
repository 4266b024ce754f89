//! One task per backend: meets it, asks for its lists, listens to it, and sees whether it is there; soon again while it is not.
//! What was last observed stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};
use vmcp_core::backend::BackendId;
use vmcp_core::desired::Inventories;
use vmcp_core::drift::Drift;
use vmcp_core::inventory::Inventory;
use vmcp_core::limits;
use vmcp_core::operational::HealthChecks;
use vmcp_introspect::{Asked, Contact, Probed, is_refusal};
use vmcp_mcp::{Exchange, Failure};
use vmcp_oauth::Tokens;
use vmcp_runtime::jittered;

use crate::introspect::credential::Service;
use crate::introspect::ear::{Ear, Heard};
use crate::introspect::known::{Observation, Observations};
use crate::workloads::Located;

/// A backend that is observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Where it is.
    pub(crate) located: Located,
    /// How often, and how long.
    pub(crate) checks: HealthChecks,
    /// What it is shown.
    pub(crate) service: Service,
}

/// The tasks, by backend.
#[derive(Debug)]
pub(crate) struct Observers {
    exchange: Exchange,
    tokens: Tokens,
    observations: watch::Sender<Observations>,
    running: BTreeMap<BackendId, (Watched, AbortHandle)>,
    has_begun: bool,
}

impl Observers {
    /// Begins with what was known before.
    pub(crate) fn new(exchange: Exchange, known: Observations) -> Self {
        let (observations, tokens) = (watch::Sender::new(known), Tokens::default());
        Self { exchange, tokens, observations, running: BTreeMap::new(), has_begun: false }
    }

    /// What is known, as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Observations> {
        self.observations.subscribe()
    }

    /// Makes the tasks those of `wanted`: starts what is new or has moved, ends what is gone. What was known of it stays, within
    /// a bound, in case somebody wants it again.
    pub(crate) fn follow(&mut self, wanted: &BTreeMap<BackendId, Watched>) {
        // What was known when the process began is of those that were wanted then.
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let before: BTreeSet<BackendId> = self.running.keys().cloned().collect();
        let mut gone = Vec::new();
        self.running.retain(|id, (watched, task)| {
            let stays = wanted.get(id) == Some(watched);
            if !stays {
                task.abort();
                gone.extend((!wanted.contains_key(id)).then(|| id.clone()));
            }
            stays
        });
        if !gone.is_empty() {
            self.observations.send_modify(|all| forget(all, &gone, wanted));
        }
        for (id, watched) in wanted {
            if !self.running.contains_key(id) {
                let is_back = !is_first && !before.contains(id);
                self.observations
                    .send_if_modified(|all| is_back && forget_elsewhere(all, id, &watched.located));
                let task = Task {
                    exchange: self.exchange.clone(),
                    tokens: self.tokens.clone(),
                    id: id.clone(),
                    watched: watched.clone(),
                    observations: self.observations.clone(),
                };
                let task = tokio::spawn(task.for_ever()).abort_handle();
                self.running.insert(id.clone(), (watched.clone(), task));
            }
        }
    }
}

/// A backend that somebody wants again, and at another address, may be another server.
fn forget_elsewhere(all: &mut Observations, id: &BackendId, located: &Located) -> bool {
    let is_elsewhere = all.get(id).is_some_and(|known| known.url.as_ref() != located.url());
    if is_elsewhere {
        all.remove(id);
    }
    is_elsewhere
}

/// What nobody wants any more is no longer confirmed; beyond the bound it is not known at all.
fn forget(all: &mut Observations, gone: &[BackendId], wanted: &BTreeMap<BackendId, Watched>) {
    for id in gone {
        match all.get_mut(id) {
            Some(known) if known.inventory.is_some() => {
                *known = Observation {
                    inventory: known.inventory.take(),
                    url: known.url.take(),
                    is_stale: true,
                    ..Observation::default()
                };
            }
            _ => drop(all.remove(id)),
        }
    }
    let unwanted: Vec<BackendId> = all.keys().filter(|id| !wanted.contains_key(*id)).cloned().collect();
    for id in unwanted.iter().skip(limits::REMEMBERED_BACKENDS) {
        all.remove(id);
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, task)| task.abort());
    }
}

struct Task {
    exchange: Exchange,
    tokens: Tokens,
    id: BackendId,
    watched: Watched,
    observations: watch::Sender<Observations>,
}

/// Why a backend is met anew.
enum Left {
    /// It does not answer.
    Failed(Failure),
    /// It has forgotten us, or is not what it was, or may not be.
    Again,
}

/// What made a wait end.
enum Woken {
    Heard(Heard),
    Probe,
    Refresh,
}

impl Task {
    /// Whoever comes back is met again within about a fifth of the time for which it was away, and one that comes and goes is not
    /// met more often for it.
    async fn for_ever(self) {
        if self.watched.located.endpoints.inventory == Inventories::PerPrincipal {
            return self.look_in().await;
        }
        let (mut pause, mut has_answered, started) = (limits::RETRY_FIRST, false, Instant::now());
        let mut was_refused = false;
        loop {
            let (began, mut is_closed) = (Instant::now(), false);
            // One that has just come up may be slow once.
            let patience = if has_answered { self.watched.checks.timeout } else { limits::PROBE_TIME };
            let shown = self.watched.service.credential(&self.tokens, was_refused);
            match Contact::open(&self.exchange, &self.watched.located.endpoints, shown, patience).await {
                Ok(contact) => {
                    let left = self.stay(&contact, &mut pause).await;
                    has_answered = true;
                    match left {
                        Left::Failed(failure) => {
                            was_refused |= self.is_refused(&failure).await;
                            self.failed(&failure);
                        }
                        Left::Again => {}
                    }
                    // Nobody waits for a backend that does not answer.
                    tokio::spawn(async move { contact.end_session().await });
                }
                Err(failure) => {
                    is_closed = matches!(failure, Failure::Unreachable(_));
                    // It is asked again at once, with what else there is to show.
                    let is_news = self.is_refused(&failure).await && !was_refused;
                    was_refused |= is_news;
                    self.failed(&failure);
                    if is_news {
                        continue;
                    }
                }
            }
            let is_coming_up = !has_answered && started.elapsed() < limits::COMING_UP_TIME;
            if is_coming_up || began.elapsed() > limits::STEADY_TIME {
                pause = if is_closed { limits::RETRY_CLOSED } else { limits::RETRY_FIRST };
            }
            self.rest(&mut pause).await;
        }
    }

    /// What it offers it tells callers alone, so it is only seen whether it is there; one that asks for a caller is.
    async fn look_in(&self) {
        let Watched { located, checks, service } = &self.watched;
        let mut pause = limits::RETRY_FIRST;
        loop {
            let shown = service.credential(&self.tokens, true);
            match Contact::open(&self.exchange, &located.endpoints, shown, checks.timeout).await {
                Ok(contact) => {
                    let (abilities, eras) = (contact.abilities(), contact.eras());
                    self.listed(Inventory { abilities, eras, ..Inventory::default() });
                    contact.end_session().await;
                }
                Err(failure) if self.is_refused(&failure).await => {
                    let known =
                        self.observations.borrow().get(&self.id).and_then(|known| known.inventory.clone());
                    // What was seen of it while everybody was offered the same is nobody's now.
                    let (abilities, eras) =
                        known.map(|known| (known.abilities, known.eras.clone())).unwrap_or_default();
                    self.listed(Inventory { abilities, eras, ..Inventory::default() });
                }
                Err(failure) => {
                    self.failed(&failure);
                    self.rest(&mut pause).await;
                    continue;
                }
            }
            pause = limits::RETRY_FIRST;
            sleep(jittered(checks.interval, checks.interval * 5 / 4)).await;
        }
    }

    /// Whether the backend refuses what it is shown; then it is shown something else the next time, if there is.
    async fn is_refused(&self, failure: &Failure) -> bool {
        let is_refused = is_refusal(failure);
        if is_refused {
            self.watched.service.renew(&self.tokens).await;
        }
        is_refused
    }

    fn failed(&self, failure: &Failure) {
        let Watched { located, checks, .. } = &self.watched;
        self.update(|known| known.failed(failure, located, checks.interval, Instant::now()));
    }

    /// Whoever has chosen a backend wants to hear that it says something else now (a tool that is redefined after it was approved).
    fn listed(&self, inventory: Inventory) {
        let mut both = None;
        self.update(|known| {
            let now = known.listed(inventory, &self.watched.located);
            both = known.inventory.clone().zip(now.inventory.clone());
            now
        });
        // What has not changed stays the same value.
        let changed = both.filter(|(before, now)| !Arc::ptr_eq(before, now));
        let drift = changed.and_then(|(before, now)| Drift::between(&before, &now));
        match drift {
            Some(drift) if drift.redefined.is_empty() => {
                tracing::info!(backend = %self.id, %drift, "a backend offers other items");
            }
            Some(drift) => {
                tracing::warn!(backend = %self.id, %drift, "a backend describes its items otherwise")
            }
            None => {}
        }
    }

    async fn rest(&self, pause: &mut Duration) {
        sleep(jittered(*pause, *pause * 5 / 4)).await;
        let longest = limits::RETRY_LONGEST.min(self.watched.checks.interval.max(limits::RETRY_FIRST));
        *pause = (*pause * 6 / 5).min(longest);
    }

    /// For as long as it answers and is what it was.
    async fn stay(&self, contact: &Contact, pause: &mut Duration) -> Left {
        let checks = self.watched.checks;
        let mut probes = interval_at(Instant::now() + checks.interval, checks.interval);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Before its lists are asked for, so that no change falls between; but nobody waits for it.
        let mut ear = Ear::new(contact);
        if let Ok(Heard::Lost) = timeout(limits::LISTEN_TIME, ear.hear()).await {
            return Left::Again;
        }
        let met_at = Instant::now();
        let known_for = if contact.is_unsure { limits::REFRESH_TIME } else { limits::DEAF_TIME };
        loop {
            let Asked { inventory, fresh } = match contact.ask().await {
                Ok(asked) => asked,
                Err(failure) => return Left::Failed(failure),
            };
            let asked_at = Instant::now();
            let is_whole = inventory.unread.is_empty();
            self.listed(inventory);
            let refresh_at = asked_at + refresh(is_whole, fresh, pause);
            loop {
                let woken = tokio::select! {
                    heard = ear.hear() => Woken::Heard(heard),
                    _ = probes.tick() => Woken::Probe,
                    () = sleep_until(refresh_at) => Woken::Refresh,
                };
                match woken {
                    Woken::Heard(Heard::Lost) => return Left::Again,
                    Woken::Refresh if met_at.elapsed() > known_for => return Left::Again,
                    Woken::Heard(Heard::Opened | Heard::Changed) | Woken::Refresh => break,
                    Woken::Heard(Heard::Silent) | Woken::Probe => {}
                }
                match contact.probe(checks.timeout).await {
                    Ok(Probed { is_same: false, .. }) => return Left::Again,
                    Ok(Probed { took, .. }) => self.update(|known| known.answered(took > checks.timeout / 2)),
                    Err(failure) if contact.is_forgotten(&failure) => return Left::Again,
                    Err(failure) => return Left::Failed(failure),
                }
            }
            // What comes together is one change, and no backend is asked more than once a second.
            sleep(limits::COALESCE_TIME).await;
            sleep_until(asked_at + limits::RETRY_FIRST).await;
            ear.drain().await;
        }
    }

    /// What has not changed stays the same value, by which those who read it see that it has not.
    fn update(&self, change: impl FnOnce(&Observation) -> Observation) {
        self.observations.send_if_modified(|all| {
            let before = all.get(&self.id).cloned().unwrap_or_default();
            let now = change(&before);
            let has_changed = now != before || !all.contains_key(&self.id);
            if has_changed {
                all.insert(self.id.clone(), now);
            }
            has_changed
        });
    }
}

/// When lists are asked for again without a word of the backend.
fn refresh(is_whole: bool, fresh: Option<Duration>, pause: &mut Duration) -> Duration {
    if is_whole {
        let fresh = fresh.map_or(Duration::MAX, |fresh| fresh.max(limits::SHORTEST_FRESH_TIME));
        // Between half of the time and all of it: many backends are not asked at once, and none at once again.
        return jittered(limits::REFRESH_TIME / 2, limits::REFRESH_TIME).min(fresh);
    }
    let refresh = jittered(*pause, *pause * 5 / 4);
    *pause = (*pause * 6 / 5).min(limits::RETRY_LONGEST);
    refresh
}
