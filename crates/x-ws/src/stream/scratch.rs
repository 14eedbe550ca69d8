//! The send buffer of a thread: what is masked is copied, and there is no need that each
//! connection has the room for that.

use std::cell::RefCell;

use gost_ws::MAX_HEADER;

/// The most payload that is masked for one write.
pub(super) const PAYLOAD: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends the buffer. Its room is for one header and [`PAYLOAD`].
pub(super) fn with<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    // It is taken out meanwhile: below may be another WebSocket, which then has one of its own.
    let mut buffer = SCRATCH.take();
    buffer.resize(MAX_HEADER + PAYLOAD, 0);
    let done = work(&mut buffer);
    SCRATCH.replace(buffer);
    done
}
