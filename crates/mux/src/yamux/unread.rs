//! What was received on the streams of a session and is not read yet.
//!
//! The protocol lets each stream have 256 KiB under way and has no bound over all of them. So the
//! session counts, and does not read on while there is too much: a connection that is not read
//! holds the peer up.

use std::{
    collections::HashMap,
    task::{Context, Waker},
};

use parking_lot::Mutex;
use tokio::time::Instant;

/// What a frame of data costs beside its bytes: two allocations and an entry in a queue.
const FRAME_COST: usize = 64;

/// The length of a header.
const HEADER_LEN: usize = 12;

/// The number of a frame of data.
const DATA: u8 = 0;

/// The flag of a frame that opens a stream.
const SYN: u16 = 1;

/// The unread data of all streams, for the connection, the streams and the driver.
pub(super) struct Unread {
    most: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Streams that are there: what comes for others is dropped.
    streams: HashMap<u32, Count>,
    /// Their cost.
    total: usize,
    /// `total` was too much then, and has not been half of that since.
    full: Option<Instant>,
    /// The reader of the connection, if it waits.
    reader: Option<Waker>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    bytes: usize,
    cost: usize,
}

impl Unread {
    /// Counts up to `most` bytes; a frame that was begun below that may go beyond.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            counts: Mutex::default(),
        }
    }

    /// Whether another frame may be read. If not, `cx` is woken when it may.
    pub(super) fn has_room(&self, cx: &Context<'_>) -> bool {
        let mut counts = self.counts.lock();
        if counts.total < self.most {
            return true;
        }
        counts.full.get_or_insert_with(Instant::now);
        counts.reader = Some(cx.waker().clone());
        false
    }

    /// True while another frame must wait.
    pub(super) fn is_full(&self) -> bool {
        self.counts.lock().total >= self.most
    }

    /// Since when there is too much unread, or nearly.
    pub(super) fn full_since(&self) -> Option<Instant> {
        self.counts.lock().full
    }

    /// Notes a stream.
    pub(super) fn open(&self, id: u32) {
        self.counts.lock().streams.entry(id).or_default();
    }

    /// Forgets a stream with all that is unread of it.
    pub(super) fn close(&self, id: u32) {
        let mut counts = self.counts.lock();
        let count = counts.streams.remove(&id).unwrap_or_default();
        self.free(&mut counts, count.cost);
    }

    /// Notes that so many bytes of a stream were read.
    pub(super) fn read(&self, id: u32, bytes: usize) {
        let mut counts = self.counts.lock();
        let Some(count) = counts.streams.get_mut(&id) else {
            return;
        };
        let bytes = bytes.min(count.bytes);
        // In equal parts, and all of it with the last byte.
        let cost = match count.bytes - bytes {
            0 => count.cost,
            _ => bytes * (count.cost / count.bytes),
        };
        count.bytes -= bytes;
        count.cost -= cost;
        self.free(&mut counts, cost);
    }

    fn receive(&self, header: &Header) {
        if header.flags & SYN != 0 {
            self.open(header.stream);
        }
        if header.kind != DATA || header.length == 0 {
            return;
        }
        let mut counts = self.counts.lock();
        if let Some(count) = counts.streams.get_mut(&header.stream) {
            let cost = header.length + FRAME_COST;
            count.bytes += header.length;
            count.cost += cost;
            counts.total += cost;
        }
    }

    fn free(&self, counts: &mut Counts, cost: usize) {
        counts.total -= cost;
        if counts.total <= self.most / 2 {
            counts.full = None;
        }
        if counts.total < self.most
            && let Some(reader) = counts.reader.take()
        {
            reader.wake();
        }
    }
}

/// Follows the borders of frames in what is received.
#[derive(Default)]
pub(super) struct Frames {
    header: [u8; HEADER_LEN],
    /// How much of the header is there.
    filled: usize,
    /// Bytes of data to come.
    body: usize,
}

struct Header {
    kind: u8,
    flags: u16,
    stream: u32,
    length: usize,
}

impl Frames {
    /// True between two frames.
    pub(super) fn at_border(&self) -> bool {
        self.filled == 0 && self.body == 0
    }

    /// Takes note of received bytes.
    pub(super) fn follow(&mut self, mut bytes: &[u8], unread: &Unread) {
        while !bytes.is_empty() {
            if self.body > 0 {
                let length = self.body.min(bytes.len());
                self.body -= length;
                bytes = &bytes[length..];
                continue;
            }
            let length = (HEADER_LEN - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + length].copy_from_slice(&bytes[..length]);
            self.filled += length;
            bytes = &bytes[length..];
            if self.filled == HEADER_LEN {
                self.filled = 0;
                let header = Header::decode(self.header);
                if header.kind == DATA {
                    self.body = header.length;
                }
                unread.receive(&header);
            }
        }
    }
}

impl Header {
    /// Source: <https://github.com/hashicorp/yamux/blob/master/spec.md>.
    fn decode(bytes: [u8; HEADER_LEN]) -> Self {
        let [_version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = bytes;
        Self {
            kind,
            flags: u16::from_be_bytes([f0, f1]),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0, kind, 0, flags, 0, 0, 0, stream];
        bytes.extend_from_slice(&(length as u32).to_be_bytes());
        if kind == DATA {
            bytes.resize(HEADER_LEN + length, 7);
        }
        bytes
    }

    fn total(unread: &Unread) -> usize {
        unread.counts.lock().total
    }

    #[test]
    fn frames_are_counted_whatever_the_pieces_they_come_in() {
        // A stream with data at once, a window, more data, and data for a stream that is not there.
        let bytes = [
            frame(DATA, 1, 3, 100),
            frame(1, 0, 3, 70_000),
            frame(DATA, 0, 3, 0),
            frame(DATA, 0, 3, 50),
            frame(DATA, 0, 5, 60),
        ]
        .concat();
        for piece in [1, 2, 11, 12, 13, 100, bytes.len()] {
            let unread = Unread::new(1000);
            let mut frames = Frames::default();
            for piece in bytes.chunks(piece) {
                frames.follow(piece, &unread);
            }
            assert!(frames.at_border());
            assert_eq!(total(&unread), 150 + 2 * FRAME_COST);
        }
    }

    #[test]
    fn what_is_read_or_given_up_makes_room() {
        let cx = Context::from_waker(Waker::noop());
        let unread = Unread::new(300);
        let mut frames = Frames::default();
        frames.follow(&frame(DATA, 1, 3, 100), &unread);
        assert!(unread.has_room(&cx) && unread.full_since().is_none());
        frames.follow(&frame(DATA, 1, 5, 100), &unread);
        assert!(!unread.has_room(&cx) && unread.is_full());
        assert!(unread.full_since().is_some());
        unread.read(3, 99);
        assert!(unread.has_room(&cx) && total(&unread) > 100 + FRAME_COST);
        assert!(unread.full_since().is_some(), "more than half");
        unread.read(3, 1);
        assert_eq!(total(&unread), 100 + FRAME_COST);
        unread.close(5);
        assert_eq!(total(&unread), 0);
        assert!(unread.full_since().is_none());
        // It may still come from before the peer knew.
        frames.follow(&frame(DATA, 0, 5, 100), &unread);
        assert_eq!(total(&unread), 0);
    }
}
