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
    /// The first seals. An id may stand for several.
    keys: Vec<(u8, LessSafeKey)>,
}

/// A value was not made by us, not for this purpose, or not under a key in force. Which of these, nobody learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed value of ours")]
pub struct NotOurs;

/// There is no key, or a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key ring needs at least one key")]
pub struct InvalidKeyRing;

impl KeyRing {
    /// A ring that seals with the first of `keys` and opens with all.
    ///
    /// # Errors
    /// [`InvalidKeyRing`].
    pub fn new(keys: &[(u8, [u8; KEY_BYTES])]) -> Result<Self, InvalidKeyRing> {
        if keys.is_empty() {
            return Err(InvalidKeyRing);
        }
        let usable = |(id, key): &(u8, [u8; KEY_BYTES])| {
            let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| InvalidKeyRing)?;
            Ok((*id, LessSafeKey::new(key)))
        };
        Ok(Self { keys: keys.iter().map(usable).collect::<Result<_, _>>()? })
    }

    /// `plaintext` so that only the same `purpose` opens it: the key's id, the nonce, and the ciphertext.
    pub fn seal(&self, purpose: &[u8], nonce: [u8; NONCE_BYTES], plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plaintext.len() + OVERHEAD_BYTES);
        let first = self.keys.first();
        sealed.push(first.map_or(0, |(id, _)| *id));
        sealed.extend_from_slice(&nonce);
        let mut text = plaintext.to_vec();
        // The ring has its sealing key, and the text is shorter than 64 GiB, so neither step fails; if one did, what
        // comes out opens nowhere.
        let tag = first.and_then(|(_, key)| {
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
        self.keys
            .iter()
            .filter(|(known, _)| known == id)
            .find_map(|(_, key)| {
                let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
                let mut text = ciphertext.to_vec();
                let length = key.open_in_place(nonce, Aad::from(purpose), &mut text).ok()?.len();
                text.truncate(length);
                Some(text)
            })
            .ok_or(NotOurs)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<u8> = self.keys.iter().map(|(id, _)| *id).collect();
        f.debug_struct("KeyRing").field("ids", &ids).finish_non_exhaustive()
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
    fn an_id_may_stand_for_several_keys() {
        let both = KeyRing::new(&[(1, [1; 32]), (1, [2; 32])]).unwrap();
        for key in [1, 2] {
            let sealed = KeyRing::new(&[(1, [key; 32])]).unwrap().seal(b"p", [7; 12], b"text");
            assert_eq!(both.open(b"p", &sealed), Ok(b"text".to_vec()));
        }
        let foreign = KeyRing::new(&[(1, [3; 32])]).unwrap().seal(b"p", [7; 12], b"text");
        assert_eq!(both.open(b"p", &foreign), Err(NotOurs));
    }

    #[test]
    fn a_ring_needs_a_key_and_prints_none() {
        assert!(KeyRing::new(&[]).is_err());
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
