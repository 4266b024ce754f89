//! Records that can be read only with the key of the store, each in its own place.

use std::io::{self, Write};
use std::path::Path;

use aws_lc_rs::{hmac, rand};
use fs_err::OpenOptions;
use fs_err::os::unix::fs::OpenOptionsExt;
use vmcp_seal::{KEY_BYTES, KeyRing, NONCE_BYTES};

use super::StoreFault;

/// Seals and opens records.
#[derive(Debug)]
pub(super) struct Sealed {
    ring: KeyRing,
    fingerprints: hmac::Key,
}

impl Sealed {
    /// With the key in a file, which is made if the store is new.
    pub(super) fn with_key_of(file: &Path, is_new: bool) -> Result<Self, StoreFault> {
        let key = match fs_err::read(file) {
            Ok(key) => key,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_new => {
                return Err(StoreFault::NoKey(file.to_path_buf()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key: [u8; KEY_BYTES] = random()?;
                let beside = file.with_extension("new");
                let mut new =
                    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
                new.write_all(&key)?;
                new.sync_all()?;
                fs_err::rename(&beside, file)?;
                key.to_vec()
            }
            Err(error) => return Err(error.into()),
        };
        let key: [u8; KEY_BYTES] = key.try_into().map_err(|_| StoreFault::Key(file.to_path_buf()))?;
        Self::with(key)
    }

    /// With a key that ends with the process.
    pub(super) fn with_new_key() -> Result<Self, StoreFault> {
        Self::with(random()?)
    }

    fn with(key: [u8; KEY_BYTES]) -> Result<Self, StoreFault> {
        let ring = KeyRing::new(&[(1, key)]).map_err(|_| StoreFault::NoRandomness)?;
        Ok(Self {
            ring,
            fingerprints: hmac::Key::new(hmac::HMAC_SHA256, &[b"fingerprint".as_slice(), &key].concat()),
        })
    }

    /// By what a text is found again; says nothing about it to those who do not have the key.
    pub(super) fn fingerprint(&self, text: &[u8]) -> String {
        hmac::sign(&self.fingerprints, text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A record for one place.
    pub(super) fn seal(&self, table: &str, key: &str, clear: &[u8]) -> Result<Vec<u8>, StoreFault> {
        Ok(self.ring.seal(&purpose(table, key), random::<NONCE_BYTES>()?, clear))
    }

    /// What was sealed for that place.
    pub(super) fn open(&self, table: &str, key: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.ring.open(&purpose(table, key), sealed).ok()
    }
}

fn purpose(table: &str, key: &str) -> Vec<u8> {
    [table.as_bytes(), b"\0", key.as_bytes()].concat()
}

fn random<const N: usize>() -> Result<[u8; N], StoreFault> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| StoreFault::NoRandomness)?;
    Ok(bytes)
}
