//! The buffers of a thread: a connection borrows one while bytes pass, and keeps it only while
//! the far side can't take them.

use std::cell::RefCell;

/// How much one read takes.
pub(super) const SIZE: usize = 64 * 1024;

/// More buffers than this are given back to the allocator.
const KEPT: usize = 4;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of the thread.
pub(super) struct Buffer(Option<Box<[u8]>>);

impl Buffer {
    /// Borrows one.
    pub(super) fn take() -> Self {
        let pooled = POOL.with_borrow_mut(Vec::pop);
        Self(Some(
            pooled.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice()),
        ))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            POOL.with_borrow_mut(|pool| {
                if pool.len() < KEPT {
                    pool.push(buffer);
                }
            });
        }
    }
}
