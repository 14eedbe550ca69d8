//! The buffers that sessions read into: one set for each thread, whatever the number of sessions.

use std::cell::RefCell;

use bytes::BytesMut;

/// How much one read takes.
const SIZE: usize = 64 << 10;

/// A thread keeps so many. More than one, because readers hold on to one for a moment while the
/// session goes on with the next.
const KEPT: usize = 4;

thread_local! {
    static ARENAS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for a full read.
pub(super) fn take() -> BytesMut {
    ARENAS.with_borrow_mut(|arenas| {
        // One whose data was read by now can be used from its start again.
        if let Some(free) = arenas.iter_mut().position(|arena| arena.try_reclaim(SIZE)) {
            return arenas.swap_remove(free);
        }
        if arenas.len() >= KEPT {
            // Held by readers that do not read: it is theirs now.
            arenas.swap_remove(0);
        }
        BytesMut::with_capacity(SIZE)
    })
}

/// Gives back a buffer that was emptied.
pub(super) fn put(arena: BytesMut) {
    debug_assert!(arena.is_empty());
    ARENAS.with_borrow_mut(|arenas| {
        if arenas.len() < KEPT {
            arenas.push(arena);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_used_again_once_nothing_in_it_is_held() {
        let mut arena = take();
        let start = arena.as_ptr();
        arena.extend_from_slice(&[1; 10_000]);
        let held = arena.split_to(10_000).freeze();
        put(arena);
        let other = take();
        assert_ne!(other.as_ptr(), start);
        assert!(other.capacity() >= SIZE);
        put(other);
        drop(held);
        let (first, second) = (take(), take());
        assert!([first.as_ptr(), second.as_ptr()].contains(&start));
        assert!(first.capacity() >= SIZE && second.capacity() >= SIZE);
    }

    #[test]
    fn a_thread_keeps_few() {
        let many: Vec<_> = (0..20).map(|_| take()).collect();
        many.into_iter().for_each(put);
        assert_eq!(ARENAS.with_borrow(Vec::len), KEPT);
    }
}
