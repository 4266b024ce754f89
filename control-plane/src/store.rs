//! What outlives the process, in one file: desired state with its history, what was last observed of backends, who owns names,
//! and the number of the last revision. Every record is sealed; every change is one transaction, on disk when it returns.

mod changes;
mod records;
mod sealed;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use vmcp_core::backend::BackendId;
use vmcp_core::limits;
use vmcp_core::name::Name;
use vmcp_core::owners::Owners;
use vmcp_manifest::Written;

use crate::introspect::Observations;
use crate::workloads::FoundWorkloads;
pub(crate) use changes::Changes;
use changes::write_changes;
pub use records::Generation;
use sealed::Sealed;

type Table = TableDefinition<'static, &'static str, &'static [u8]>;
const META: Table = TableDefinition::new("meta");
/// Texts of documents, by their hash.
const DOCUMENTS: Table = TableDefinition::new("documents");
const GENERATIONS: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("generations");
/// By `group/name`.
const OBSERVATIONS: Table = TableDefinition::new("observations");
/// What providers have found, by group.
const FOUND: Table = TableDefinition::new("found");
/// By `virtual server/backend`.
const OWNERS: Table = TableDefinition::new("owners");

const FORMAT: u64 = 1;

/// The store. One process has it open.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    sealed: Sealed,
    _lock: Option<File>,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StoreFault {
    #[error("could not use the data directory")]
    Io(#[from] io::Error),
    #[error("could not use {file}: {why}", file = .0.display(), why = .1)]
    Database(PathBuf, String),
    #[error("another control plane uses {0}")]
    InUse(PathBuf),
    #[error("the store could not be written or read: {0}")]
    Transaction(String),
    #[error("{0} was sealed with another key: put back the file `key` that stood beside it")]
    OtherKey(PathBuf),
    #[error("{} is not a key of 32 bytes", .0.display())]
    Key(PathBuf),
    #[error("{} is gone, and without it nothing of the store can be read: put it back", .0.display())]
    NoKey(PathBuf),
    #[error("the store is of format {0}, and this version reads {FORMAT}")]
    Format(u64),
    #[error("a record of the store cannot be read: {0}")]
    Record(String),
    #[error("there is no randomness")]
    NoRandomness,
}

/// Everything, as it is needed at start.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) generation: u64,
    pub(crate) documents: Vec<Written>,
    pub(crate) observations: Observations,
    /// What providers had found, by group.
    pub(crate) workloads: BTreeMap<Name, FoundWorkloads>,
    pub(crate) owners: BTreeMap<Name, Owners>,
    /// The generation of the last revision; 0 if there has been none.
    pub(crate) published_generation: u64,
}

type Outcome<T> = Result<T, StoreFault>;

impl Store {
    /// Opens the store in a folder, or makes one.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn open(folder: &Path) -> Outcome<Self> {
        // A folder that is somebody else's keeps its mode.
        if !folder.exists() {
            fs_err::create_dir_all(folder)?;
            fs_err::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        }
        // Before anything else: of two that start at once, one makes the key and the file.
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("lock"))?;
        if lock.file().try_lock().is_err() {
            return Err(StoreFault::InUse(folder.to_path_buf()));
        }
        let (file, beside) = (folder.join("control-plane.redb"), folder.join("control-plane.new"));
        let is_new = !file.exists();
        let sealed = Sealed::with_key_of(&folder.join("key"), is_new)?;
        // One that was never finished holds nothing.
        let path = if is_new { &beside } else { &file };
        if is_new && beside.exists() {
            fs_err::remove_file(&beside)?;
        }
        let database =
            Database::create(path).map_err(|error| StoreFault::Database(file.clone(), error.to_string()))?;
        fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let store = Self::prepare(database, sealed, &file, Some(lock))?;
        if is_new {
            fs_err::rename(&beside, &file)?;
            fs_err::File::open(folder)?.sync_all()?;
        }
        Ok(store)
    }

    /// A store that ends with the process.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn in_memory() -> Outcome<Self> {
        let backend = redb::backends::InMemoryBackend::new();
        let file = PathBuf::from("memory");
        let database = Database::builder()
            .create_with_backend(backend)
            .map_err(|error| StoreFault::Database(file.clone(), error.to_string()))?;
        Self::prepare(database, Sealed::with_new_key()?, &file, None)
    }

    fn prepare(database: Database, sealed: Sealed, file: &Path, lock: Option<File>) -> Outcome<Self> {
        let store = Self { inner: Arc::new(Inner { database, sealed, _lock: lock }) };
        store.write(|transaction, sealed| {
            let mut meta = transaction.open_table(META).map_err(fault)?;
            for table in [DOCUMENTS, OBSERVATIONS, FOUND, OWNERS] {
                transaction.open_table(table).map_err(fault)?;
            }
            transaction.open_table(GENERATIONS).map_err(fault)?;
            let format = meta.get("format").map_err(fault)?.map(|value| value.value().to_vec());
            match format {
                None => {
                    meta.insert("format", FORMAT.to_le_bytes().as_slice()).map_err(fault)?;
                    meta.insert("key", sealed.seal("meta", "key", b"vmcp")?.as_slice()).map_err(fault)?;
                }
                Some(format) => {
                    let format = number(&format);
                    if format != FORMAT {
                        return Err(StoreFault::Format(format));
                    }
                    let check = meta.get("key").map_err(fault)?.map(|value| value.value().to_vec());
                    if check.and_then(|check| sealed.open("meta", "key", &check)).is_none() {
                        return Err(StoreFault::OtherKey(file.to_path_buf()));
                    }
                }
            }
            Ok(())
        })?;
        Ok(store)
    }

    /// Everything that a start needs.
    pub(crate) fn load(&self) -> Outcome<Stored> {
        let read = self.inner.database.begin_read().map_err(fault)?;
        let sealed = &self.inner.sealed;
        let mut stored = Stored::default();
        let meta = read.open_table(META).map_err(fault)?;
        stored.published_generation =
            meta.get("published").map_err(fault)?.map_or(0, |value| number(value.value()));
        let last = read
            .open_table(GENERATIONS)
            .map_err(fault)?
            .last()
            .map_err(fault)?
            .map(|(number, _)| number.value());
        if let Some(number) = last {
            stored.generation = number;
            stored.documents = self.generation(number)?.map(|(_, documents)| documents).unwrap_or_default();
        }
        for entry in read.open_table(OBSERVATIONS).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = entry.map_err(fault)?;
            let clear = opened(sealed, "observations", key.value(), value.value())?;
            match records::read_observation(&clear) {
                Ok(observation) => {
                    drop(stored.observations.insert(records::read_id(key.value())?, observation))
                }
                // It can be asked again.
                Err(error) => {
                    tracing::error!(backend = key.value(), %error, "what was known of a backend is lost")
                }
            }
        }
        for entry in read.open_table(FOUND).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = entry.map_err(fault)?;
            let clear = opened(sealed, "found", key.value(), value.value())?;
            let group = key.value().parse().map_err(|error| StoreFault::Record(format!("{error}")))?;
            stored.workloads.insert(group, records::read_found(&clear)?);
        }
        for entry in read.open_table(OWNERS).map_err(fault)?.iter().map_err(fault)? {
            let (key, value) = entry.map_err(fault)?;
            let clear = opened(sealed, "owners", key.value(), value.value())?;
            let BackendId { group: server, name: backend } = records::read_id(key.value())?;
            stored.owners.entry(server).or_default().extend(records::read_owners(&backend, &clear)?);
        }
        Ok(stored)
    }

    /// Takes a desired state under the next number.
    pub(crate) fn accept(&self, generation: &Generation, documents: &[Written]) -> Outcome<()> {
        self.write(|transaction, sealed| {
            let mut texts = transaction.open_table(DOCUMENTS).map_err(fault)?;
            for document in documents {
                let hash = sealed.fingerprint(document.text.as_bytes());
                if texts.get(hash.as_str()).map_err(fault)?.is_none() {
                    let text = sealed.seal("documents", &hash, document.text.as_bytes())?;
                    texts.insert(hash.as_str(), text.as_slice()).map_err(fault)?;
                }
            }
            let mut generations = transaction.open_table(GENERATIONS).map_err(fault)?;
            if generations.get(generation.number).map_err(fault)?.is_some() {
                return Err(StoreFault::Record(format!("generation {} is there already", generation.number)));
            }
            let record = records::write_generation(generation, documents, sealed)?;
            let record = sealed.seal("generations", &generation.number.to_string(), &record)?;
            generations.insert(generation.number, record.as_slice()).map_err(fault)?;
            let oldest = generation.number.saturating_sub(limits::HISTORY);
            let forgotten = generations.extract_if(|number, _| number <= oldest).map_err(fault)?.count();
            if forgotten > 0 {
                forget_texts(&generations, &mut texts, sealed)?;
            }
            Ok(())
        })
    }

    /// The accepted states, the newest first.
    pub(crate) fn history(&self, limit: usize) -> Outcome<Vec<Generation>> {
        let read = self.inner.database.begin_read().map_err(fault)?;
        let generations = read.open_table(GENERATIONS).map_err(fault)?;
        let mut history = Vec::new();
        for entry in generations.iter().map_err(fault)?.rev().take(limit) {
            let (number, record) = entry.map_err(fault)?;
            history.push(self.read_generation(number.value(), record.value())?.0);
        }
        Ok(history)
    }

    /// One accepted state, with its documents.
    pub(crate) fn generation(&self, number: u64) -> Outcome<Option<(Generation, Vec<Written>)>> {
        let read = self.inner.database.begin_read().map_err(fault)?;
        let generations = read.open_table(GENERATIONS).map_err(fault)?;
        let Some(record) = generations.get(number).map_err(fault)? else { return Ok(None) };
        let (generation, mut documents) = self.read_generation(number, record.value())?;
        let texts = read.open_table(DOCUMENTS).map_err(fault)?;
        for (document, hash) in &mut documents {
            let text = texts.get(hash.as_str()).map_err(fault)?;
            let text = text
                .ok_or_else(|| StoreFault::Record(format!("a document of generation {number} is missing")))?;
            let clear = opened(&self.inner.sealed, "documents", hash, text.value())?;
            document.text =
                String::from_utf8(clear).map_err(|error| StoreFault::Record(error.to_string()))?;
        }
        Ok(Some((generation, documents.into_iter().map(|(document, _)| document).collect())))
    }

    /// Stores what a revision was made from and takes its number, in one step: after a crash, the number is not used again, and what
    /// was known is known.
    pub(crate) fn commit(&self, changes: &Changes, generation: u64) -> Outcome<u64> {
        self.write(|transaction, sealed| {
            write_changes(transaction, sealed, changes)?;
            let mut meta = transaction.open_table(META).map_err(fault)?;
            let last = meta.get("revision").map_err(fault)?.map_or(0, |value| number(value.value()));
            meta.insert("revision", (last + 1).to_le_bytes().as_slice()).map_err(fault)?;
            meta.insert("published", generation.to_le_bytes().as_slice()).map_err(fault)?;
            Ok(last + 1)
        })
    }

    /// Stores what changes no revision.
    pub(crate) fn remember(&self, changes: &Changes) -> Outcome<()> {
        self.write(|transaction, sealed| write_changes(transaction, sealed, changes))
    }

    /// Makes the next revision come behind this one: for a store that is an older copy, or new, under replicas that are not.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn continue_after(&self, revision: u64) -> Outcome<()> {
        self.write(|transaction, _| {
            let mut meta = transaction.open_table(META).map_err(fault)?;
            let last = meta.get("revision").map_err(fault)?.map_or(0, |value| number(value.value()));
            meta.insert("revision", last.max(revision).to_le_bytes().as_slice()).map_err(fault)?;
            Ok(())
        })
    }

    fn read_generation(&self, number: u64, record: &[u8]) -> Outcome<(Generation, Vec<(Written, String)>)> {
        let clear = opened(&self.inner.sealed, "generations", &number.to_string(), record)?;
        records::read_generation(number, &clear)
    }

    fn write<T>(&self, act: impl FnOnce(&redb::WriteTransaction, &Sealed) -> Outcome<T>) -> Outcome<T> {
        let transaction = self.inner.database.begin_write().map_err(fault)?;
        let outcome = act(&transaction, &self.inner.sealed)?;
        transaction.commit().map_err(fault)?;
        Ok(outcome)
    }
}

/// Texts that no generation has any more.
fn forget_texts(
    generations: &redb::Table<'_, u64, &'static [u8]>,
    texts: &mut redb::Table<'_, &'static str, &'static [u8]>,
    sealed: &Sealed,
) -> Outcome<()> {
    let mut used = std::collections::HashSet::new();
    for entry in generations.iter().map_err(fault)? {
        let (number, record) = entry.map_err(fault)?;
        let clear = opened(sealed, "generations", &number.value().to_string(), record.value())?;
        used.extend(records::read_generation(number.value(), &clear)?.1.into_iter().map(|(_, hash)| hash));
    }
    texts.retain(|hash, _| used.contains(hash)).map_err(fault)
}

fn opened(sealed: &Sealed, table: &str, key: &str, value: &[u8]) -> Outcome<Vec<u8>> {
    sealed.open(table, key, value).ok_or_else(|| StoreFault::Record(format!("{table}/{key} is damaged")))
}

fn fault(error: impl std::fmt::Display) -> StoreFault {
    StoreFault::Transaction(error.to_string())
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
