//! The only reader of everything that changes: compares whole states, compiles, stores, publishes. It reacts to levels, so the
//! way after a start is the usual way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use vmcp_core::backend::BackendId;
use vmcp_core::desired::Endpoints;
use vmcp_core::diagnostic::Diagnostic;
use vmcp_core::health::Health;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_core::owners::Owners;
use vmcp_mcp::Exchange;
use vmcp_revision::protocol::Observe;
use vmcp_revision::{Part, PartName, Published, Publisher, codec};
use vmcp_runtime::Drain;

use crate::accept::{Accepted, blocking};
use crate::compile::{Backends, Catalogs, Observed};
use crate::health::{Healths, checks};
use crate::introspect::{Observations, Observers, Watched, service, set_origins};
use crate::issuers::{self, Fetched, Issuers};
use crate::status::{self, Progress, Status};
use crate::store::{Changes, Store};
use crate::workloads::{
    FoundWorkloads, Groups, Hosted, Located, Providers, ToolHiveFolders, Workloads, workloads,
};

/// Everything that is read.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) accepted: watch::Receiver<Accepted>,
    pub(crate) hosted: watch::Receiver<Hosted>,
    pub(crate) folders: ToolHiveFolders,
    pub(crate) exchange: Exchange,
    /// What was known before this process.
    pub(crate) known: Observations,
    /// What providers had found before this process.
    pub(crate) workloads: BTreeMap<Name, FoundWorkloads>,
    pub(crate) owners: BTreeMap<Name, Owners>,
    /// The generation of the last revision before this process; 0 if there was none.
    pub(crate) published_generation: u64,
}

/// Where it tells.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) store: Store,
    pub(crate) publisher: Publisher,
    pub(crate) status: watch::Sender<Arc<Status>>,
    /// What is known of backends, for those who want to know what a change would come to.
    pub(crate) backends: watch::Sender<Arc<Backends>>,
}

struct Reconciler {
    outputs: Outputs,
    catalogs: Catalogs,
    /// As they are in the store.
    stored: Observations,
    stored_found: BTreeMap<Name, FoundWorkloads>,
    /// What is to be stored with the next revision.
    unstored: Changes,
    progress: Progress,
    healths: Healths,
    store_error: Option<String>,
}

/// Runs until `drain` says to stop.
pub(crate) async fn run(mut inputs: Inputs, outputs: Outputs, drain: Drain) {
    let mut observers = Observers::new(inputs.exchange.clone(), inputs.known.clone());
    let mut observations = observers.subscribe();
    let mut providers = Providers::new(inputs.folders.clone(), inputs.workloads.clone());
    let mut groups = providers.subscribe();
    let mut issuers = Issuers::new();
    let mut keys = issuers.subscribe();
    let mut reconciler = Reconciler {
        outputs,
        catalogs: Catalogs::new(std::mem::take(&mut inputs.owners)),
        stored: std::mem::take(&mut inputs.known),
        stored_found: std::mem::take(&mut inputs.workloads),
        unstored: Changes::default(),
        progress: Progress::default(),
        healths: Healths::new(),
        store_error: None,
    };
    let mut avoided = reconciler.outputs.publisher.fleet().avoided();
    let mut settling = Settling::new(inputs.published_generation);
    loop {
        let mut wake_at = None;
        let accepted = inputs.accepted.borrow_and_update().clone();
        if accepted.generation > 0 {
            providers.follow(&accepted.desired);
            issuers.follow(&accepted.desired);
            let found = groups.borrow_and_update().clone();
            let workloads = workloads(&accepted.desired, &inputs.hosted.borrow_and_update(), &found);
            let called = workloads.iter().filter_map(|(id, located)| {
                let (located, checks) = (located.clone()?, checks(&accepted.desired, &id.group));
                Some((id.clone(), Watched { located, checks, service: service(&accepted.desired, id) }))
            });
            let called: BTreeMap<BackendId, Watched> = called.collect();
            let endpoints =
                called.iter().map(|(id, watched)| (id.clone(), watched.located.endpoints.clone()));
            let endpoints: BTreeMap<BackendId, Endpoints> = endpoints.collect();
            set_origins(&inputs.exchange, &accepted.desired, &endpoints);
            observers.follow(&called);
            // Certificates can be replaced.
            let has_files = endpoints.values().any(Endpoints::has_files);
            let files_at = has_files.then(|| Instant::now() + limits::FILES_TIME);
            let known = observations.borrow_and_update().clone();
            wake_at = settling.until(accepted.generation, &workloads, &found, &known);
            let is_published = wake_at.is_none();
            let keys = keys.borrow_and_update().clone();
            let world = World {
                accepted: &accepted,
                workloads: &workloads,
                found: &found,
                known: &known,
                keys: &keys,
            };
            let again = reconciler.reconcile(&world, is_published).await;
            wake_at = [wake_at, again, files_at].into_iter().flatten().min();
        }
        tokio::select! {
            () = drain.stopped() => return,
            changed = inputs.accepted.changed() => if changed.is_err() { return },
            Ok(()) = inputs.hosted.changed() => {}
            Ok(()) = observations.changed() => {}
            Ok(()) = groups.changed() => {}
            Ok(()) = avoided.changed() => {}
            Ok(()) = keys.changed() => {}
            () = tokio::time::sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
        }
        tokio::time::sleep(limits::COALESCE_TIME).await;
    }
}

/// Everything as it is now.
struct World<'w> {
    accepted: &'w Accepted,
    workloads: &'w Workloads,
    found: &'w Groups,
    known: &'w Observations,
    keys: &'w Fetched,
}

impl Reconciler {
    /// Brings what is published to what is wanted and known. Returns when to look again if nothing else happens.
    async fn reconcile(&mut self, world: &World<'_>, is_published: bool) -> Option<Instant> {
        let World { accepted, workloads, known, .. } = *world;
        let backends = backends(workloads, known);
        self.outputs.backends.send_replace(Arc::new(all_backends(accepted, workloads, known)));
        let mut compiled = self.catalogs.compile(&accepted.desired, &backends);
        self.unstored.owners.extend(compiled.owners.drain(..));
        let mut outcome = Ok(());
        if is_published {
            outcome = self.publish(world, compiled.parts).await;
            if outcome.is_ok() {
                self.note_progress(world);
            }
        }
        self.tell(world, &compiled.diagnostics, outcome)
    }

    /// Stores, then publishes, if there is anything new.
    async fn publish(&mut self, world: &World<'_>, parts: Vec<Part>) -> Result<(), String> {
        let accepted = world.accepted;
        let current = self.outputs.publisher.current();
        let parts: BTreeMap<PartName, Part> =
            parts.into_iter().map(|part| (part.name.clone(), part)).collect();
        let is_new =
            |part: &&Part| current.parts.get(&part.name).is_none_or(|before| before.digest != part.digest);
        let has_changed = current.revision == 0
            || current.generation != accepted.generation
            || current.parts.len() != parts.len()
            || parts.values().any(|part| is_new(&part));
        // What we cannot read ourselves is a fault of ours, and no replica is to meet it.
        for part in parts.values().filter(is_new) {
            codec::decode(part)
                .map_err(|error| format!("part `{}` would be rejected: {error}", part.name))?;
        }
        self.gather(world);
        if !has_changed && self.unstored.is_empty() {
            return Ok(());
        }
        let (store, changes) = (self.outputs.store.clone(), std::mem::take(&mut self.unstored));
        let changes = Arc::new(changes);
        let (taken, generation) = (changes.clone(), accepted.generation);
        let stored = if has_changed {
            blocking(move || store.commit(&taken, generation).map(Some)).await
        } else {
            blocking(move || store.remember(&taken).map(|()| None)).await
        };
        match stored {
            Ok(Some(revision)) => {
                let count = parts.len();
                self.outputs.publisher.publish(Published::new(revision, accepted.generation, parts));
                tracing::info!(
                    revision,
                    generation = accepted.generation,
                    parts = count,
                    "revision published"
                );
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                // They are stored with the next try.
                self.unstored = Arc::try_unwrap(changes).unwrap_or_default();
                Err(error.to_string())
            }
        }
    }

    /// What is known and not stored.
    fn gather(&mut self, world: &World<'_>) {
        let known = world.known;
        let groups = self.stored_found.keys().chain(world.found.keys());
        for group in groups.cloned().collect::<BTreeSet<_>>() {
            let now = world.found.get(&group).and_then(|found| found.workloads.clone());
            if self.stored_found.get(&group) != now.as_ref() {
                match &now {
                    Some(workloads) => drop(self.stored_found.insert(group.clone(), workloads.clone())),
                    None => drop(self.stored_found.remove(&group)),
                }
                self.unstored.workloads.insert(group, now);
            }
        }
        let mut changed: BTreeMap<BackendId, Option<_>> = self.unstored.observations.drain(..).collect();
        for (id, now) in known.iter().filter(|(_, now)| now.inventory.is_some()) {
            if !self.stored.get(id).is_some_and(|before| before.is_same_record(now)) {
                changed.insert(id.clone(), Some(now.clone()));
            }
        }
        let gone =
            self.stored.iter().filter(|(id, before)| before.inventory.is_some() && !known.contains_key(*id));
        changed.extend(gone.map(|(id, _)| (id.clone(), None)));
        self.stored.clone_from(known);
        self.unstored.observations = changed.into_iter().collect();
    }

    /// Whether everything that the generation has changed has been asked.
    fn note_progress(&mut self, world: &World<'_>) {
        let World { accepted: Accepted { generation, .. }, workloads, found, known, .. } = *world;
        let is_asked = |(id, located): (&BackendId, &Option<Located>)| {
            located.is_none() || known.get(id).is_some_and(|known| known.asked == *located)
        };
        let are_found = found.values().all(|found| found.is_asked);
        if self.progress.settled_generation < *generation && are_found && workloads.iter().all(is_asked) {
            self.progress.settled_generation = *generation;
            self.progress.settled_revision = self.outputs.publisher.current().revision;
        }
    }

    fn tell(
        &mut self,
        world: &World<'_>,
        diagnostics: &[Diagnostic],
        outcome: Result<(), String>,
    ) -> Option<Instant> {
        let World { accepted, workloads, found, known, keys } = *world;
        if let Err(error) = &outcome
            && self.store_error.as_ref() != Some(error)
        {
            tracing::error!(
                error,
                "nothing new is published until this works again; what is published stays"
            );
        }
        self.store_error = outcome.err();
        let avoided = self.outputs.publisher.fleet().avoided().borrow().clone();
        let (health, look_at) = self.healths.turn(&accepted.desired, workloads, known, &avoided);
        let unwell = health.iter().filter(|(_, fares)| fares.health != Health::Healthy);
        let unwell = unwell.take(limits::UNWELL_BACKENDS).map(|(id, fares)| (id.clone(), fares.health));
        let mut room = limits::KEYS_BYTES;
        let issuers = keys;
        let keys = issuers::keys_of(&accepted.desired, issuers).into_iter().take_while(|keys| {
            let left = room.checked_sub(keys.document.len());
            room = left.unwrap_or_default();
            left.is_some()
        });
        let observe = Observe { backends: unwell.collect(), keys: keys.collect() };
        self.outputs.publisher.observe(observe);
        let revision = self.outputs.publisher.current().revision;
        let mut status = status::describe(accepted, revision, workloads, known, &health, diagnostics);
        status.count(self.catalogs.shares());
        status.add_found(found);
        status.add_unknown_names(&accepted.desired, found);
        status.add_issuers(&accepted.desired, issuers);
        (status.progress, status.error) = (self.progress, self.store_error.clone());
        self.outputs.status.send_replace(Arc::new(status));
        let retry_at = self.store_error.as_ref().map(|_| Instant::now() + STORE_RETRY_TIME);
        [look_at, retry_at].into_iter().flatten().min()
    }
}

/// When a store that could not be written is tried again.
const STORE_RETRY_TIME: Duration = Duration::from_secs(1);

/// Waits a little, at the first revision and with each new generation, for backends of which nothing is known.
struct Settling {
    generation: u64,
    deadline: Option<Instant>,
    /// The generation that was published before this process.
    published: u64,
}

impl Settling {
    fn new(published: u64) -> Self {
        Self { generation: 0, deadline: None, published }
    }

    /// Until when nothing is published; `None` if there is nothing to wait for.
    fn until(
        &mut self,
        generation: u64,
        workloads: &Workloads,
        found: &Groups,
        known: &Observations,
    ) -> Option<Instant> {
        if self.generation != generation {
            // After a restart what was served is served again at once.
            let is_resumed = generation == self.published;
            self.generation = generation;
            self.deadline = (!is_resumed).then(|| Instant::now() + limits::SETTLE_TIME);
        }
        let is_known = |(id, located): (&BackendId, &Option<Located>)| {
            known.get(id).is_some_and(|known| {
                let url = located.as_ref().and_then(Located::url);
                known.asked == *located || (known.inventory.is_some() && known.url.as_ref() == url)
            })
        };
        let are_found = found.values().all(|found| found.is_asked || found.workloads.is_some());
        if (are_found && workloads.iter().all(is_known))
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
        {
            self.deadline = None;
        }
        self.deadline
    }
}

/// What is known of every backend, wanted or not; of groups that a provider finds, of those that are in them.
fn all_backends(accepted: &Accepted, workloads: &Workloads, known: &Observations) -> Backends {
    let is_found =
        |group: &Name| accepted.desired.groups.get(group).is_some_and(|group| group.toolhive.is_some());
    let there = known.iter().filter(|(id, _)| !is_found(&id.group) || workloads.contains_key(*id));
    let backends = there.filter_map(|(id, known)| {
        let (url, inventory) = (known.url.clone()?, known.inventory.clone()?);
        Some((id.clone(), Some(Observed { endpoints: Endpoints::at(url), inventory })))
    });
    backends.collect()
}

/// What is known of each backend. One that cannot be called at all is as if it had never answered.
fn backends(workloads: &Workloads, known: &Observations) -> Backends {
    let backends = workloads.iter().map(|(id, located)| {
        let inventory = known.get(id).and_then(|known| known.inventory.clone());
        let seen = located.as_ref().zip(inventory);
        let observed = |(located, inventory): (&Located, _)| Observed {
            endpoints: located.endpoints.clone(),
            inventory,
        };
        (id.clone(), seen.map(observed))
    });
    backends.collect()
}
