//! Masking keys and nonces.

use std::{
    cell::RefCell,
    hash::{BuildHasher, Hasher, RandomState},
};

/// Numbers that nobody can foresee who does not know the secret of the thread, without a system
/// call for each: a keyed hash of a counter. The secret comes from the system.
struct Entropy {
    secret: RandomState,
    count: u64,
}

thread_local! {
    static ENTROPY: RefCell<Entropy> = RefCell::new(Entropy {
        secret: RandomState::new(),
        count: 0,
    });
}

fn next() -> u64 {
    ENTROPY.with_borrow_mut(|entropy| {
        entropy.count = entropy.count.wrapping_add(1);
        let mut hasher = entropy.secret.build_hasher();
        hasher.write_u64(entropy.count);
        hasher.finish()
    })
}

/// A masking key. Payload must not be able to foresee it (RFC 6455, section 10.3).
pub(crate) fn key() -> [u8; 4] {
    let [a, b, c, d, ..] = next().to_ne_bytes();
    [a, b, c, d]
}

/// The nonce of a handshake.
pub(crate) fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&next().to_ne_bytes());
    nonce[8..].copy_from_slice(&next().to_ne_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn none_comes_twice() {
        let nonces: HashSet<_> = (0..1000).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 1000);
        let keys: HashSet<_> = (0..100).map(|_| key()).collect();
        assert!(keys.len() > 90);
        let other = std::thread::spawn(nonce).join().unwrap();
        assert!(!nonces.contains(&other));
    }
}
