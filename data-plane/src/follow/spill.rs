//! What a replica keeps on disk, so that it can start with no control plane: its id, a key, and what it serves, sealed.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, rand};
use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};
use vmcp_core::limits;
use vmcp_revision::Serving;
use vmcp_revision::codec::{decode_spill, encode_spill};
use vmcp_seal::{KEY_BYTES, KeyRing, OVERHEAD_BYTES};

/// A folder of one replica. Held by one process at a time.
#[derive(Debug)]
pub struct StateDir {
    folder: PathBuf,
    replica: String,
    ring: KeyRing,
    fingerprint: [u8; 8],
    _lock: File,
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What is served.
    pub serving: Serving,
    /// When it was last known to be new, in milliseconds since 1970.
    pub heard_ms: u64,
}

/// Why a folder, or what is kept in it, cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StateFault {
    #[error("another process uses the folder {0}")]
    InUse(PathBuf),
    #[error("could not use the folder of the replica")]
    Io(#[from] io::Error),
    #[error("there is no randomness for a key")]
    NoRandomness,
    #[error("{0} is not a key of {KEY_BYTES} bytes; move it away, and the replica begins anew")]
    Key(PathBuf),
    #[error("it was not written by vmcp")]
    Foreign,
    #[error("it is of format {0}, and this version reads {FORMAT}")]
    Format(u8),
    #[error("it is cut short: {found} bytes of {expected}")]
    Truncated { found: u64, expected: u64 },
    #[error("it was sealed with another key: it is of another replica, or the key has been replaced")]
    OtherKey,
    #[error("it is damaged, or of another replica")]
    Damaged,
    #[error("it is older than what this replica has served: revision {found}, after {served}")]
    Older { found: u64, served: u64 },
    #[error("this version cannot read it: {0}")]
    Unreadable(String),
}

const MAGIC: &[u8; 10] = b"vmcp-spill";
const FORMAT: u8 = 1;
/// Magic, format, fingerprint of the key, revision, time, length of what is sealed.
const HEADER_BYTES: usize = MAGIC.len() + 1 + 8 + 8 + 8 + 8;

impl StateDir {
    /// Opens a folder, or makes one, with an id and a key for it. `replica` is the id that was asked for, if any.
    ///
    /// # Errors
    /// [`StateFault`].
    pub fn open(folder: &Path, replica: Option<&str>) -> Result<Self, StateFault> {
        // A folder that is somebody else's keeps its mode.
        if !folder.exists() {
            fs_err::create_dir_all(folder)?;
            fs_err::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        }
        let lock = private(&folder.join("lock"))?;
        if lock.file().try_lock().is_err() {
            return Err(StateFault::InUse(folder.to_path_buf()));
        }
        let key_file = folder.join("key");
        let key = stored(&key_file, || random::<KEY_BYTES>().map(Vec::from))?;
        let key: [u8; KEY_BYTES] = key.try_into().map_err(|_| StateFault::Key(key_file.clone()))?;
        let replica = match replica {
            Some(replica) => replica.to_owned(),
            None => {
                let id = stored(&folder.join("replica-id"), || Ok(new_id()?.into_bytes()))?;
                String::from_utf8_lossy(&id).trim().to_owned()
            }
        };
        let hash = digest::digest(&digest::SHA256, &[b"fingerprint".as_slice(), &key].concat());
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&hash.as_ref()[..8]);
        let ring = KeyRing::new(&[(1, key)]).map_err(|_| StateFault::Key(key_file))?;
        Ok(Self { folder: folder.to_path_buf(), replica, ring, fingerprint, _lock: lock })
    }

    /// The id of the replica.
    pub fn replica(&self) -> &str {
        &self.replica
    }

    /// Where what is served is kept.
    pub fn file(&self) -> PathBuf {
        self.folder.join("spill")
    }

    /// What was kept; `None` if nothing was.
    ///
    /// # Errors
    /// [`StateFault`], which says what is wrong with it.
    pub fn load(&self) -> Result<Option<Kept>, StateFault> {
        let file = match File::open(self.file()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(2 * limits::REVISION_BYTES as u64).read_to_end(&mut bytes)?;
        let (header, sealed) =
            bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| match bytes.starts_with(MAGIC) {
                true => StateFault::Truncated { found: bytes.len() as u64, expected: HEADER_BYTES as u64 },
                false => StateFault::Foreign,
            })?;
        let rest = header.strip_prefix(MAGIC).ok_or(StateFault::Foreign)?;
        let (format, rest) = (rest[0], &rest[1..]);
        if format != FORMAT {
            return Err(StateFault::Format(format));
        }
        let (fingerprint, numbers) = rest.split_at(8);
        if fingerprint != self.fingerprint {
            return Err(StateFault::OtherKey);
        }
        let [revision, heard_ms, expected] = [0, 8, 16].map(|at| number(&numbers[at..]));
        if (sealed.len() as u64) < expected {
            return Err(StateFault::Truncated { found: sealed.len() as u64, expected });
        }
        let clear =
            self.ring.open(&self.purpose("spill", header), sealed).map_err(|_| StateFault::Damaged)?;
        let serving =
            decode_spill(clear).map_err(|violation| StateFault::Unreadable(violation.to_string()))?;
        let (served, touched_ms) = self.mark();
        if revision < served {
            return Err(StateFault::Older { found: revision, served });
        }
        Ok(Some(Kept { serving, heard_ms: heard_ms.max(touched_ms) }))
    }

    /// Keeps it in place of what was kept, whole or not at all.
    ///
    /// # Errors
    /// [`StateFault`]: what was kept before is still there.
    pub fn keep(&self, kept: &Kept) -> Result<(), StateFault> {
        let clear = encode_spill(&kept.serving);
        let revision = kept.serving.held.revision;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + clear.len() + OVERHEAD_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.fingerprint);
        for number in [revision, kept.heard_ms, (clear.len() + OVERHEAD_BYTES) as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let sealed = self.ring.seal(&self.purpose("spill", &bytes), random()?, &clear);
        bytes.extend_from_slice(&sealed);
        self.replace("spill", &bytes)?;
        // Only then: a mark that is ahead of what is kept would make that worthless.
        self.touch(revision, kept.heard_ms)
    }

    /// Keeps that this revision is what is kept, and when it was last known to be new.
    ///
    /// # Errors
    /// [`StateFault`].
    pub fn touch(&self, revision: u64, heard_ms: u64) -> Result<(), StateFault> {
        let numbers = [revision.to_le_bytes(), heard_ms.to_le_bytes()].concat();
        self.replace("mark", &self.ring.seal(&self.purpose("mark", b""), random()?, &numbers))
    }

    /// The newest revision that was kept, and when it was last known to be new; 0 if that cannot be known.
    fn mark(&self) -> (u64, u64) {
        let sealed = fs_err::read(self.folder.join("mark")).unwrap_or_default();
        self.ring
            .open(&self.purpose("mark", b""), &sealed)
            .map_or((0, 0), |bytes| (number(&bytes), bytes.get(8..).map_or(0, number)))
    }

    fn purpose(&self, what: &str, header: &[u8]) -> Vec<u8> {
        [what.as_bytes(), b"\0", self.replica.as_bytes(), b"\0", header].concat()
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StateFault> {
        let (file, beside) = (self.folder.join(name), self.folder.join(format!("{name}.new")));
        let written = (|| {
            let mut new = private(&beside)?;
            new.write_all(bytes)?;
            new.sync_all()?;
            fs_err::rename(&beside, &file)?;
            File::open(&self.folder)?.sync_all()
        })();
        if written.is_err() {
            // It would take room that the disk may not have.
            let _ = fs_err::remove_file(&beside);
        }
        Ok(written?)
    }
}

impl StateFault {
    /// With its causes.
    pub fn in_full(&self) -> String {
        match self {
            Self::Io(error) => format!("{self}: {error}"),
            _ => self.to_string(),
        }
    }
}

/// A file's bytes, which are made where there is none.
fn stored(file: &Path, make: impl FnOnce() -> Result<Vec<u8>, StateFault>) -> Result<Vec<u8>, StateFault> {
    match fs_err::read(file) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bytes = make()?;
            let beside = file.with_extension("new");
            let mut new = private(&beside)?;
            new.write_all(&bytes)?;
            new.sync_all()?;
            fs_err::rename(&beside, file)?;
            Ok(bytes)
        }
        Err(error) => Err(error.into()),
    }
}

/// A file that only its owner can read.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Tells replicas apart.
pub(crate) fn new_id() -> Result<String, StateFault> {
    let bytes: [u8; 4] = random()?;
    Ok(format!("replica-{:08x}", u32::from_le_bytes(bytes)))
}

fn random<const N: usize>() -> Result<[u8; N], StateFault> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| StateFault::NoRandomness)?;
    Ok(bytes)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
