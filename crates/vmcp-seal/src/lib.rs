//! Values that only we can make and read: authenticated encryption under a ring of keys, where the key's id travels with
//! the value. Nonces and keys are arguments; nothing here reads a clock or a random source.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce; each must be used once under a key, so take them from a random source.
pub const NONCE_BYTES: usize = 12;
/// Bytes that sealing adds.
pub const OVERHEAD_BYTES: usize = 1 + NONCE_BYTES + 16;

/// The keys in force: one that seals, and all that open.
pub struct KeyRing {
    sealing: u8,
    keys: Vec<(u8, LessSafeKey)>,
}

/// A value was not made by us, not for this purpose, or not under a key in force. Which of these, nobody learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed value of ours")]
pub struct NotOurs;

/// The same id stands for two keys, there is no key, or a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key ring needs at least one key, and a different id for each")]
pub struct InvalidKeyRing;

impl KeyRing {
    /// A ring that seals with the first of `keys` and opens with all.
    ///
    /// # Errors
    /// [`InvalidKeyRing`].
    pub fn new(keys: &[(u8, [u8; KEY_BYTES])]) -> Result<Self, InvalidKeyRing> {
        let sealing = keys.first().ok_or(InvalidKeyRing)?.0;
        let mut ring: Vec<(u8, LessSafeKey)> = Vec::with_capacity(keys.len());
        for (id, key) in keys {
            if ring.iter().any(|(known, _)| known == id) {
                return Err(InvalidKeyRing);
            }
            let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| InvalidKeyRing)?;
            ring.push((*id, LessSafeKey::new(key)));
        }
        Ok(Self { sealing, keys: ring })
    }

    /// `plaintext` so that only the same `purpose` opens it: the key's id, the nonce, and the ciphertext.
    pub fn seal(&self, purpose: &[u8], nonce: [u8; NONCE_BYTES], plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
        sealed.push(self.sealing);
        sealed.extend_from_slice(&nonce);
        let mut text = plaintext.to_vec();
        let key = self.keys.iter().find(|(id, _)| *id == self.sealing).map(|(_, key)| key);
        // The ring has its sealing key, and the text is shorter than 64 GiB, so neither step fails; if one did, what
        // comes out opens nowhere.
        let tag = key.and_then(|key| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            key.seal_in_place_separate_tag(nonce, Aad::from(purpose), &mut text).ok()
        });
        if let Some(tag) = tag {
            sealed.extend_from_slice(&text);
            sealed.extend_from_slice(tag.as_ref());
        }
        sealed
    }

    /// What was sealed for this `purpose`.
    ///
    /// # Errors
    /// [`NotOurs`].
    pub fn open(&self, purpose: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotOurs> {
        if sealed.len() < OVERHEAD_BYTES {
            return Err(NotOurs);
        }
        let (id, rest) = sealed.split_first().ok_or(NotOurs)?;
        let (nonce, ciphertext) = rest.split_at(NONCE_BYTES);
        let (_, key) = self.keys.iter().find(|(known, _)| known == id).ok_or(NotOurs)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOurs)?;
        let mut text = ciphertext.to_vec();
        let length = key.open_in_place(nonce, Aad::from(purpose), &mut text).map_err(|_| NotOurs)?.len();
        text.truncate(length);
        Ok(text)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<u8> = self.keys.iter().map(|(id, _)| *id).collect();
        f.debug_struct("KeyRing").field("sealing", &self.sealing).field("ids", &ids).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn rotation_opens_what_the_old_key_sealed_until_it_is_gone() {
        let old = KeyRing::new(&[(1, [1; 32])]).unwrap();
        let both = KeyRing::new(&[(2, [2; 32]), (1, [1; 32])]).unwrap();
        let new = KeyRing::new(&[(2, [2; 32])]).unwrap();
        let sealed = old.seal(b"p", [7; 12], b"text");
        assert_eq!(both.open(b"p", &sealed), Ok(b"text".to_vec()));
        assert_eq!(new.open(b"p", &sealed), Err(NotOurs));
        assert_eq!(new.open(b"p", &both.seal(b"p", [8; 12], b"text")), Ok(b"text".to_vec()));
    }

    #[test]
    fn a_ring_needs_different_keys_and_prints_none() {
        assert!(KeyRing::new(&[]).is_err());
        assert!(KeyRing::new(&[(1, [1; 32]), (1, [2; 32])]).is_err());
        let printed = format!("{:?}", KeyRing::new(&[(1, [200; 32])]).unwrap());
        assert!(!printed.contains("200"), "{printed}");
    }

    proptest! {
        #[test]
        fn only_the_same_bytes_for_the_same_purpose_open(
            text in prop::collection::vec(any::<u8>(), 0..80),
            flip in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let ring = KeyRing::new(&[(9, [3; 32])]).unwrap();
            let mut sealed = ring.seal(b"session", [5; 12], &text);
            prop_assert_eq!(ring.open(b"session", &sealed), Ok(text));
            prop_assert_eq!(ring.open(b"cursor", &sealed), Err(NotOurs));
            let at = flip.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(ring.open(b"session", &sealed), Err(NotOurs));
            prop_assert_eq!(ring.open(b"session", &sealed[..at]), Err(NotOurs));
        }
    }
}
