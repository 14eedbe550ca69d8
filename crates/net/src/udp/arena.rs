//! The batches of a thread: a conversation has one only while it moves datagrams.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

use gost_core::packet::{Batch, MIN_ROOM};

/// How many datagrams one system call receives or sends at most.
pub(super) const MOST: usize = 32;

/// From the place for one datagram to the place for the next. The surplus keeps the places from
/// sharing the same few sets of the processor's caches.
pub(super) const STRIDE: usize = MIN_ROOM + 9 * 64;

/// Memory is only touched where datagrams arrive: a page or two at each place.
const BYTES: usize = MOST * STRIDE;

/// A wrapper needs a batch of its own while its caller holds another.
const SPARES: usize = 3;

thread_local! {
    static SPARE: RefCell<Vec<Batch>> = const { RefCell::new(Vec::new()) };
}

/// An empty batch of the thread, which goes back when dropped. It has room for
/// [`MIN_ROOM`] bytes many times over, and is not meant to be kept while waiting.
#[derive(Debug)]
pub struct Lease(Batch);

/// Takes a batch of the thread, or makes one.
pub fn lease() -> Lease {
    let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
    Lease(
        spare
            .ok()
            .flatten()
            .unwrap_or_else(|| Batch::with_capacity(BYTES)),
    )
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A thread that ends has no use for it.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARES {
                self.0.clear();
                spare.push(std::mem::take(&mut self.0));
            }
        });
    }
}

impl Deref for Lease {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        &self.0
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Batch {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use gost_core::addr::Addr;

    use super::*;

    #[test]
    fn a_batch_comes_back_empty() {
        let mut first = lease();
        let arena = first.room().as_ptr();
        assert!(first.push(b"x", Addr::Any));
        drop(first);
        let mut again = lease();
        assert!(again.is_empty());
        assert_eq!(again.room().as_ptr(), arena);
        assert_eq!(again.room().len(), BYTES);
    }
}
