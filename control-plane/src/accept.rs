//! The only writer of desired state: joins what is applied with what is there, reads it whole, stores it under the next
//! generation, and tells.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use vmcp_core::desired::{Desired, VirtualServer};
use vmcp_core::name::Name;
use vmcp_manifest::{DocumentKind, Fault, Hosting, Source, Written, documents, read_for};
use vmcp_runtime::unix_ms;

use crate::store::{Generation, Store, StoreFault};

/// A desired state and its number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accepted {
    /// 0 before the first.
    pub(crate) generation: u64,
    pub(crate) desired: Arc<Desired>,
    /// As they were written, by what they describe.
    pub(crate) documents: Arc<Documents>,
}

/// Documents by what they describe.
pub type Documents = BTreeMap<(DocumentKind, Name), Written>;

/// A file as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What it is called.
    pub file: String,
    /// What stands in it.
    pub text: String,
}

/// What an operator wants to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These documents are to be there; with `prune`, no others.
    Apply {
        /// The files.
        manifests: Vec<Manifest>,
        /// Whether what is not in them goes.
        prune: bool,
    },
    /// This document is not to be there.
    Delete(DocumentKind, Name),
    /// Everything is to be as it was.
    Rollback(u64),
}

/// What is to be as it is now, or else nothing is changed.
pub type Expected = Option<u64>;

/// A document that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentChange {
    /// What it describes.
    pub kind: DocumentKind,
    /// Its name.
    pub name: Name,
    /// Absent if it is new.
    pub before: Option<Written>,
    /// Absent if it goes.
    pub after: Option<Written>,
}

/// A change that can be made.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The generation that it was made for.
    pub generation: u64,
    /// What is different.
    pub changes: Vec<DocumentChange>,
    pub(crate) desired: Desired,
    documents: Documents,
}

/// What a change has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The generation in force.
    pub generation: u64,
    /// What is different; nothing if the generation is the one that was there.
    pub changes: Vec<DocumentChange>,
}

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What the documents say is wrong.
    #[error("{}", in_lines(.0))]
    Faults(Vec<PlacedFault>),
    /// Somebody has changed something in between.
    #[error("the generation is {current}, not {expected}: something else was applied in between")]
    Conflict {
        /// As it is.
        current: u64,
        /// As it was to be.
        expected: u64,
    },
    /// There is no such document, or generation.
    #[error("{0}")]
    NotFound(String),
    /// A group that is to go is presented.
    #[error(
        "group `{group}` is presented by virtual server `{by}`: delete that first, or point it elsewhere"
    )]
    InUse {
        /// Which.
        group: Name,
        /// By whom.
        by: Name,
    },
    /// Nothing is to be applied.
    #[error("the manifests hold no document, so there is nothing to apply")]
    Empty,
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// A fault with the name of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedFault {
    /// The file.
    pub file: String,
    /// It is in a document that was applied before.
    pub is_stored: bool,
    /// Where and what.
    pub fault: Fault,
}

/// The end that writes.
#[derive(Debug, Clone)]
pub struct Acceptor {
    store: Store,
    hosting: Hosting,
    accepted: watch::Sender<Accepted>,
    /// One change at a time.
    turn: Arc<Mutex<()>>,
}

impl Acceptor {
    /// Goes on with what was stored.
    ///
    /// # Errors
    /// This version does not read what was stored.
    pub(crate) fn new(
        store: Store,
        hosting: Hosting,
        generation: u64,
        stored: Vec<Written>,
    ) -> Result<Self, Refused> {
        let documents = by_name(stored);
        let desired = read_whole(hosting, &[], &documents).map_err(Refused::Faults)?;
        let accepted = Accepted { generation, desired: Arc::new(desired), documents: Arc::new(documents) };
        Ok(Self { store, hosting, accepted: watch::Sender::new(accepted), turn: Arc::default() })
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Accepted> {
        self.accepted.subscribe()
    }

    /// What would change.
    ///
    /// # Errors
    /// [`Refused`]: nothing can be changed so.
    pub async fn plan(&self, change: &Change, expected: Expected) -> Result<Planned, Refused> {
        let current = self.accepted.borrow().clone();
        if let Some(expected) = expected.filter(|expected| *expected != current.generation) {
            return Err(Refused::Conflict { current: current.generation, expected });
        }
        let (desired, documents) = match change {
            Change::Apply { manifests, prune } => {
                let given: Vec<Written> =
                    manifests.iter().flat_map(|manifest| documents(manifest.source())).collect();
                if given.is_empty() && manifests.iter().all(Manifest::is_blank) {
                    // With `--prune` it would take everything out.
                    return Err(Refused::Empty);
                }
                let mut kept = if *prune { Documents::new() } else { Documents::clone(&current.documents) };
                kept.retain(|key, _| {
                    !given.iter().any(|document| (document.kind, &document.name) == (key.0, &key.1))
                });
                read_whole(self.hosting, manifests, &kept).map_err(Refused::Faults)?;
                kept.extend(by_name(given));
                // What the next start will read, not what was sent.
                (read_whole(self.hosting, &[], &kept).map_err(Refused::Faults)?, kept)
            }
            Change::Delete(kind, name) => {
                let mut kept = Documents::clone(&current.documents);
                if kept.remove(&(*kind, name.clone())).is_none() {
                    return Err(Refused::NotFound(format!("there is no {kind} `{name}`")));
                }
                let uses = |server: &&VirtualServer| *kind == DocumentKind::Group && server.group == *name;
                if let Some(user) = current.desired.virtual_servers.values().find(uses) {
                    return Err(Refused::InUse { group: name.clone(), by: user.name.clone() });
                }
                (read_whole(self.hosting, &[], &kept).map_err(Refused::Faults)?, kept)
            }
            Change::Rollback(number) => {
                let (store, number) = (self.store.clone(), *number);
                let found = blocking(move || store.generation(number)).await?;
                let not_found =
                    || Refused::NotFound(format!("there is no generation {number} in the history"));
                let documents = by_name(found.ok_or_else(not_found)?.1);
                (read_whole(self.hosting, &[], &documents).map_err(Refused::Faults)?, documents)
            }
        };
        let changes = compare(&current.documents, &documents);
        Ok(Planned { generation: current.generation, changes, desired, documents })
    }

    /// Makes a change, in an operator's name if there is one. What is as it was gets no new generation. Once begun it is carried through,
    /// whoever waits for it or not: what is stored is in force.
    ///
    /// # Errors
    /// [`Refused`]: nothing has changed.
    pub async fn accept(
        &self,
        change: Change,
        expected: Expected,
        by: Option<String>,
    ) -> Result<Outcome, Refused> {
        let acceptor = self.clone();
        let carried_through =
            tokio::spawn(async move { acceptor.carry_through(&change, expected, by.as_deref()).await });
        carried_through.await.unwrap_or_else(|error| Err(StoreFault::Transaction(error.to_string()).into()))
    }

    async fn carry_through(
        &self,
        change: &Change,
        expected: Expected,
        by: Option<&str>,
    ) -> Result<Outcome, Refused> {
        let _turn = self.turn.lock().await;
        let planned = self.plan(change, expected).await?;
        if planned.changes.is_empty() {
            return Ok(Outcome { generation: planned.generation, changes: Vec::new() });
        }
        let Planned { generation, changes, desired, documents } = planned;
        let record = Generation {
            number: generation + 1,
            accepted_ms: unix_ms(),
            cause: match by {
                Some(by) => format!("{} by {by}", change.cause()),
                None => change.cause(),
            },
            changes: changes.iter().map(DocumentChange::summary).collect(),
        };
        let (store, written) = (self.store.clone(), documents.values().cloned().collect::<Vec<_>>());
        blocking(move || store.accept(&record, &written)).await?;
        let generation = generation + 1;
        let (desired, documents) = (Arc::new(desired), Arc::new(documents));
        self.accepted.send_replace(Accepted { generation, desired, documents });
        tracing::info!(generation, changes = changes.len(), operator = by, "desired state accepted");
        Ok(Outcome { generation, changes })
    }

    /// The newest of what was accepted, the newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn history(&self, limit: usize) -> Result<Vec<Generation>, StoreFault> {
        let store = self.store.clone();
        blocking(move || store.history(limit)).await
    }

    /// What they want.
    pub(crate) fn desired(&self) -> Arc<Desired> {
        self.accepted.borrow().desired.clone()
    }

    /// The documents in force, as they were written, and their generation.
    pub fn documents(&self) -> (u64, Arc<Documents>) {
        let accepted = self.accepted.borrow();
        (accepted.generation, accepted.documents.clone())
    }
}

/// People put keys into manifests.
impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.file, self.text.len())
    }
}

impl Manifest {
    /// Nothing but comments and separators.
    fn is_blank(&self) -> bool {
        let is_empty =
            |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "---";
        self.text.lines().all(is_empty)
    }

    fn source(&self) -> Source<'_> {
        Source { name: &self.file, text: &self.text }
    }
}

impl Change {
    fn cause(&self) -> String {
        match self {
            Self::Apply { .. } => "apply".to_owned(),
            Self::Delete(..) => "delete".to_owned(),
            Self::Rollback(number) => format!("rollback to {number}"),
        }
    }
}

impl DocumentChange {
    /// In one line: `+ group everyday`.
    pub fn summary(&self) -> String {
        let sign = match (&self.before, &self.after) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        format!("{sign} {} {}", self.kind, self.name)
    }
}

/// The faults, one a line.
fn in_lines(faults: &[PlacedFault]) -> String {
    let lines = faults.iter().take(10).map(|PlacedFault { file, fault, .. }| {
        format!("{file}:{}:{}: {} {}", fault.place.line, fault.place.column, fault.path, fault.message)
    });
    let more = faults.len().saturating_sub(10);
    let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
    lines.collect::<Vec<_>>().join("\n") + &more
}

/// What the files and the stored documents want together.
fn read_whole(
    hosting: Hosting,
    manifests: &[Manifest],
    stored: &Documents,
) -> Result<Desired, Vec<PlacedFault>> {
    let texts: Vec<String> = stored.values().map(Written::in_place).collect();
    let stored = stored.values().zip(&texts).map(|(document, text)| Source { name: &document.file, text });
    let sources: Vec<Source<'_>> = manifests.iter().map(Manifest::source).chain(stored).collect();
    read_for(hosting, &sources).map_err(|faults| {
        let placed = faults.into_iter().map(|fault| {
            let file = sources.get(fault.place.source as usize).map(|source| source.name.to_owned());
            let is_stored = fault.place.source as usize >= manifests.len();
            PlacedFault { file: file.unwrap_or_default(), is_stored, fault }
        });
        placed.collect()
    })
}

fn by_name(documents: Vec<Written>) -> Documents {
    documents.into_iter().map(|document| ((document.kind, document.name.clone()), document)).collect()
}

/// What is in one and not in the other. Where a document stands does not matter, only what it says.
fn compare(before: &Documents, after: &Documents) -> Vec<DocumentChange> {
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changes = keys.into_iter().filter_map(|key| {
        let (before, after) = (before.get(key).cloned(), after.get(key).cloned());
        let is_same =
            before.as_ref().map(|document| &document.text) == after.as_ref().map(|document| &document.text);
        (!is_same).then(|| DocumentChange { kind: key.0, name: key.1.clone(), before, after })
    });
    changes.collect()
}

/// Work that waits for the disk, away from what must not wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreFault> + Send + 'static,
) -> Result<T, StoreFault> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(StoreFault::Record(error.to_string())))
}
