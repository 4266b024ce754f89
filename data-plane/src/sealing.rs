//! The keys that seal what clients keep: those of a file that replicas share, read again when it changes, or one of this process alone.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::{digest, hmac, rand};
use vmcp_core::limits;
use vmcp_runtime::{Drain, secret_file};
use vmcp_seal::{KEY_BYTES, KeyRing};

/// How often the file is looked at.
const LOOK_TIME: Duration = Duration::from_secs(1);

/// The keys in force. They cannot be printed. Cheap to clone.
#[derive(Clone)]
pub struct SessionKeys(Arc<ArcSwap<Sealing>>);

/// The first key seals, and all open.
pub(crate) struct Sealing {
    pub(crate) ring: KeyRing,
    /// For nonces of tasks.
    pub(crate) nonces: hmac::Key,
}

/// There is no randomness.
#[derive(Debug)]
pub(crate) struct NoRandomness;

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(…)")
    }
}

impl SessionKeys {
    /// Reads a file with one key a line, of which the first seals and all open, and reads it again whenever it changes, until `drain` says to
    /// stop. A file that cannot be used changes nothing, which is logged.
    ///
    /// # Errors
    /// It cannot be used now.
    pub fn follow(file: PathBuf, drain: &Drain) -> io::Result<Self> {
        let text = secret_file(&file)?;
        let keys = Self(Arc::new(ArcSwap::from_pointee(read(&file, &text)?)));
        let (stop, kept) = (drain.clone(), keys.clone());
        drain.spawn(async move {
            tokio::select! {
                () = stop.stopped() => {}
                () = kept.keep(&file, text) => {}
            }
        });
        Ok(keys)
    }

    /// A key of this process alone.
    pub(crate) fn own() -> Result<Self, NoRandomness> {
        let sealing = Sealing::new(&[random()?]).ok_or(NoRandomness)?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(sealing))))
    }

    pub(crate) fn current(&self) -> arc_swap::Guard<Arc<Sealing>> {
        self.0.load()
    }

    /// What two looks find alike counts: a file may be half written.
    async fn keep(&self, file: &Path, text: String) {
        let mut counts = Ok(text);
        let mut seen = counts.clone();
        loop {
            tokio::time::sleep(LOOK_TIME).await;
            let file = file.to_owned();
            let looked = tokio::task::spawn_blocking(move || {
                let text = secret_file(&file)?;
                read(&file, &text).map(|sealing| (text, sealing))
            });
            let Ok(found) = looked.await else { return };
            let (found, sealing) = match found {
                Ok((text, sealing)) => (Ok(text), Some(sealing)),
                Err(error) => (Err(error.to_string()), None),
            };
            let is_new = found == seen && found != counts;
            seen = found;
            if !is_new {
                continue;
            }
            if let Some(sealing) = sealing {
                self.0.store(Arc::new(sealing));
                tracing::info!("session keys were read again");
            }
            if let Err(error) = &seen {
                tracing::error!(error, "session keys cannot be read again; those of before are kept");
            }
            counts = seen.clone();
        }
    }
}

impl Sealing {
    /// `None`: there is no key.
    fn new(keys: &[[u8; KEY_BYTES]]) -> Option<Self> {
        let nonces = keys.first().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key))?;
        // What is sealed is sealed by the key itself, so this is another one, which all replicas come to.
        let nonces = hmac::sign(&nonces, b"vmcp: nonces of tasks");
        let keys: Vec<_> = keys.iter().map(|key| (id(key), *key)).collect();
        let ring = KeyRing::new(&keys).ok()?;
        Some(Self { ring, nonces: hmac::Key::new(hmac::HMAC_SHA256, nonces.as_ref()) })
    }
}

/// What a key is called in what it seals: says nothing of it, and all replicas come to it.
fn id(key: &[u8; KEY_BYTES]) -> u8 {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"vmcp: id");
    tag.as_ref().first().copied().unwrap_or_default()
}

fn read(file: &Path, text: &str) -> io::Result<Sealing> {
    let fault = |why: String| io::Error::other(format!("`{}` {why}", file.display()));
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines: Vec<(usize, &str)> = lines.filter(|(_, line)| !line.is_empty()).collect();
    if lines.len() > limits::SESSION_KEYS {
        let most = limits::SESSION_KEYS;
        return Err(fault(format!(
            "has more than {most} keys: keep the one that seals, and those that it replaced"
        )));
    }
    let least = limits::SESSION_KEY_LENGTH;
    if let Some((number, _)) = lines.iter().find(|(_, line)| line.len() < least) {
        let help = "make one a line with `openssl rand -base64 48`";
        return Err(fault(format!("has a key of fewer than {least} characters in line {number}: {help}")));
    }
    let keys: Vec<[u8; KEY_BYTES]> = lines.iter().map(|(_, line)| hashed(line)).collect();
    Sealing::new(&keys)
        .ok_or_else(|| fault("has no key in it: make one with `openssl rand -base64 48`".to_owned()))
}

fn hashed(secret: &str) -> [u8; KEY_BYTES] {
    let hash = digest::digest(&digest::SHA256, secret.as_bytes());
    let mut key = [0; KEY_BYTES];
    key.copy_from_slice(hash.as_ref());
    key
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
impl SessionKeys {
    /// Keys that are made of these numbers.
    pub(crate) fn test(keys: &[u8]) -> Self {
        let keys: Vec<_> = keys.iter().map(|key| [*key; KEY_BYTES]).collect();
        Self(Arc::new(ArcSwap::from_pointee(Sealing::new(&keys).unwrap())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_key_a_line() {
        let file = Path::new("session.key");
        let (one, other) = ("o".repeat(limits::SESSION_KEY_LENGTH), "p".repeat(limits::SESSION_KEY_LENGTH));
        let both = read(file, &format!("{other}\n\n  {one} \n")).unwrap();
        let sealed = read(file, &one).unwrap().ring.seal(b"p", [1; 12], b"text");
        assert_eq!(both.ring.open(b"p", &sealed).as_deref(), Ok(&b"text"[..]));
        assert!(read(file, &one).unwrap().ring.open(b"p", &both.ring.seal(b"p", [2; 12], b"text")).is_err());
        for (text, why) in [
            (String::new(), "no key"),
            (format!("\n{one}\nshort"), "line 3"),
            (format!("{one}\n").repeat(limits::SESSION_KEYS + 1), "more than 8"),
        ] {
            let error = read(file, &text).err().unwrap().to_string();
            assert!(error.contains(why) && error.contains("session.key") && !error.contains(&one), "{error}");
        }
    }
}
