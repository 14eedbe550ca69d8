//! The buffers of a thread: whoever moves bytes borrows one while they pass, so that a connection
//! at rest has none.

use std::{
    cell::RefCell,
    mem,
    ops::{Deref, DerefMut},
};

/// How much a buffer takes that is used until there is reason to take more.
pub const USUAL: usize = 64 * KIB;

/// How much one takes for streams that fill the usual one: fewer and larger system calls wake the
/// other end less often. Up to a quarter of the CPU time of a byte is in that, see
/// `docs/performance.md`.
pub const LARGE: usize = 256 * KIB;

const KIB: usize = 1024;

/// What a wire format adds to [`USUAL`] bytes, and four times as much to [`LARGE`] ones: the
/// records of TLS 30 bytes for each 16 KiB.
const OVERHEAD: usize = KIB;

/// A thread keeps so many of either size; further ones are given back to the allocator.
const KEPT: usize = 2;

thread_local! {
    static POOLS: RefCell<[Vec<Box<[u8]>>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// A buffer of the thread, which gets it back when this is dropped. What is in it is what was left
/// there by others.
#[derive(Debug)]
pub struct Buffer(Box<[u8]>);

impl Buffer {
    /// A buffer for [`USUAL`] bytes, or for [`LARGE`] ones, with some room for what a wire format
    /// adds to them.
    pub fn take(large: bool) -> Self {
        let pooled = POOLS.with_borrow_mut(|pools| pools[usize::from(large)].pop());
        Self(pooled.unwrap_or_else(|| {
            let parts = if large { LARGE / USUAL } else { 1 };
            vec![0; parts * (USUAL + OVERHEAD)].into_boxed_slice()
        }))
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let buffer = mem::take(&mut self.0);
        let large = buffer.len() > LARGE;
        // A thread that ends has no pools any more.
        let _ = POOLS.try_with(|pools| {
            if let Some(pool) = pools.borrow_mut().get_mut(usize::from(large))
                && pool.len() < KEPT
            {
                pool.push(buffer);
            }
        });
    }
}

/// Which size a reader should take next, by what its reads gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    large: bool,
}

impl Demand {
    /// That of a stream of which nothing is known.
    pub const fn new() -> Self {
        Self { large: false }
    }

    /// True when a [`LARGE`] buffer is worth while.
    pub const fn is_large(self) -> bool {
        self.large
    }

    /// A read into a buffer of this size gave so much.
    pub const fn note(&mut self, read: usize) {
        self.large = read >= USUAL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again() {
        let mut buffer = Buffer::take(false);
        assert!(buffer.len() >= USUAL);
        let at = buffer.as_ptr();
        buffer[0] = 7;
        drop(buffer);
        let large = Buffer::take(true);
        assert!(large.len() >= LARGE);
        let again = Buffer::take(false);
        assert_eq!((again.as_ptr(), again[0]), (at, 7));
    }

    #[test]
    fn a_thread_keeps_few() {
        let many: Vec<_> = (0..20).map(|i| Buffer::take(i % 2 == 0)).collect();
        drop(many);
        POOLS.with_borrow(|pools| assert!(pools.iter().all(|pool| pool.len() == KEPT)));
    }

    #[test]
    fn only_full_reads_ask_for_large_buffers() {
        let mut demand = Demand::default();
        let mut after = |read| {
            demand.note(read);
            demand.is_large()
        };
        let large = [1000, USUAL, LARGE, USUAL - 1].map(&mut after);
        assert_eq!(large, [false, true, true, false]);
    }
}
