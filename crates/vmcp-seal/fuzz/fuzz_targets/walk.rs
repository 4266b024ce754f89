//! What the fuzz target and the corpus test do with one input.

use vmcp_seal::{KEY_BYTES, KeyRing, NONCE_BYTES};

/// What nobody sealed does not open, and what was sealed opens for its purpose alone, and not with a byte changed.
pub(crate) fn walk(bytes: &[u8]) {
    let ring = KeyRing::new(&[(1, [7; KEY_BYTES]), (2, [8; KEY_BYTES])]).expect("two keys");
    assert!(ring.open(b"purpose", bytes).is_err());
    let sealed = ring.seal(b"purpose", [9; NONCE_BYTES], bytes);
    assert_eq!(ring.open(b"purpose", &sealed).as_deref(), Ok(bytes));
    assert!(ring.open(b"another", &sealed).is_err());
    for at in [0, 1, NONCE_BYTES, sealed.len() / 2, sealed.len() - 1] {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(ring.open(b"purpose", &altered).is_err());
    }
}
