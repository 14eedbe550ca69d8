//! The state of one stream.

use crate::config::{Config, Version};
use crate::error::StreamError;
use crate::frame::INITIAL_WINDOW;
use crate::receive::ReceiveQueue;
use crate::send::Ticket;
use crate::window::ReceiveWindow;

/// A stream that was opened, by either side, and not yet released.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) incoming: ReceiveQueue,
    pub(crate) window: SendWindow,
    pub(crate) reading: ReceiveWindow,
    /// The round of the send queue in which data was last added to it.
    pub(crate) last_round: u32,
    /// The application knows this stream, so events are of use.
    pub(crate) known: bool,
    /// FIN was queued; nothing may follow it.
    pub(crate) finished: bool,
    /// FIN was received.
    pub(crate) peer_finished: bool,
    /// An UPD frame is due.
    pub(crate) update_due: bool,
    pub(crate) writer: Writer,
    /// Bytes written since it last let others go first.
    pub(crate) burst: u32,
    /// Which events wait to be polled.
    pub(crate) pending: Pending,
}

/// Why the writer of a stream waits, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// It does not wait.
    Free,
    /// For its turn to use the send buffer.
    Queued(Ticket),
    /// Its turn has come: it goes before those that still wait.
    Turn(Ticket),
    /// For the peer's window.
    Window,
}

/// Events that are queued already and must not be queued twice.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pending {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// Version 2: how much the peer lets us send. Counters are modulo 2^32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendWindow {
    pub(crate) sent: u32,
    pub(crate) consumed: u32,
    pub(crate) size: u32,
}

impl Stream {
    /// `known`: the application has it already. `round`: one that is over.
    pub(crate) fn new(known: bool, round: u32, config: &Config) -> Self {
        Self {
            incoming: ReceiveQueue::default(),
            window: SendWindow::new(),
            reading: ReceiveWindow::new(config),
            last_round: round,
            known,
            finished: false,
            peer_finished: false,
            update_due: false,
            writer: Writer::Free,
            burst: 0,
            pending: Pending::default(),
        }
    }

    /// How many bytes the protocol allows to be sent now.
    pub(crate) fn sendable(&self, version: Version) -> Result<usize, StreamError> {
        if self.finished {
            return Err(StreamError::Finished);
        }
        if self.peer_finished {
            return Err(StreamError::PeerFinished);
        }
        match version {
            Version::V1 => Ok(usize::MAX),
            Version::V2 => self.window.available(),
        }
    }
}

impl SendWindow {
    fn new() -> Self {
        Self {
            sent: 0,
            consumed: 0,
            size: INITIAL_WINDOW,
        }
    }

    /// What may be sent, 0 if the window is full.
    pub(crate) fn available(&self) -> Result<usize, StreamError> {
        let in_flight = self.sent.wrapping_sub(self.consumed);
        // In flight are less than 2^31 bytes: the window is capped there. So
        // the upper half are the negative numbers of an impossible `consumed`.
        if in_flight > Self::LARGEST {
            return Err(StreamError::PeerConsumed);
        }
        let size = self.size.min(Self::LARGEST);
        Ok(size.saturating_sub(in_flight) as usize)
    }

    const LARGEST: u32 = i32::MAX as u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_counts_modulo_two_to_the_32() {
        let window = |sent, consumed, size| SendWindow {
            sent,
            consumed,
            size,
        };
        let table = [
            (window(0, 0, INITIAL_WINDOW), Ok(262_144)),
            (window(262_144, 0, INITIAL_WINDOW), Ok(0)),
            // Shrunk below what is in flight.
            (window(262_144, 4, 65_536), Ok(0)),
            (window(262_144, 200_000, 65_536), Ok(3_392)),
            // Across the wrap.
            (window(5, u32::MAX - 4, 100), Ok(90)),
            (window(0, u32::MAX, 100), Ok(99)),
            // More consumed than sent.
            (window(0, 1, 100), Err(StreamError::PeerConsumed)),
            (window(5, 10, 100), Err(StreamError::PeerConsumed)),
            (window(u32::MAX, 0, 100), Err(StreamError::PeerConsumed)),
            // An absurd window is capped, so that in flight stays countable.
            (window(0, 0, u32::MAX), Ok(0x7fff_ffff)),
            (window(0x7fff_ffff, 0, u32::MAX), Ok(0)),
            (window(0, 0, 0), Ok(0)),
        ];
        for (window, expected) in table {
            assert_eq!(window.available(), expected, "{window:?}");
        }
    }
}
