//! The datagrams that wait to be read by a flow.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gost_core::{addr::Addr, packet::Batch};
use parking_lot::Mutex;

/// How many bytes may wait in one flow, and in all flows of a listener.
const FLOW_BYTES: usize = 2 << 20;
const ALL_BYTES: usize = 64 << 20;

/// How many buffers without use are kept, and how large they may be.
const SPARES: usize = 64;
const SPARE_BYTES: usize = 64 << 10;

/// Datagrams, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    lens: Vec<usize>,
    /// How many datagrams and bytes have been read.
    read: (usize, usize),
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.lens.len() - self.read.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        self.lens.push(payload.len());
    }

    /// Moves as many datagrams as fit into a batch, and says how many bytes that were.
    fn read(&mut self, into: &mut Batch, from: &Addr) -> usize {
        let (mut next, start) = self.read;
        let mut at = start;
        while let Some(len) = self.lens.get(next) {
            if !into.push(&self.bytes[at..at + len], from.clone()) {
                break;
            }
            at += len;
            next += 1;
        }
        self.read = (next, at);
        at - start
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lens.clear();
        self.read = (0, 0);
    }
}

/// The buffers of all flows of a listener: a flow has one only while datagrams wait in it.
#[derive(Debug, Default)]
pub(super) struct Store {
    spare: Mutex<Vec<Queue>>,
    waiting: AtomicUsize,
}

impl Store {
    /// Adds a datagram to a queue of at most `most`, which is made if there is none; false when
    /// there is no room for it.
    pub(super) fn push(&self, queue: &mut Option<Queue>, payload: &[u8], most: usize) -> bool {
        let (count, bytes) = queue.as_ref().map_or((0, 0), |q| (q.len(), q.bytes.len()));
        if count >= most
            || bytes + payload.len() > FLOW_BYTES
            || self.waiting.load(Relaxed) + payload.len() > ALL_BYTES
        {
            return false;
        }
        self.waiting.fetch_add(payload.len(), Relaxed);
        queue
            .get_or_insert_with(|| self.spare.lock().pop().unwrap_or_default())
            .push(payload);
        true
    }

    /// Moves what fits from a queue to a batch.
    pub(super) fn read(&self, queue: &mut Option<Queue>, into: &mut Batch, from: &Addr) {
        if let Some(full) = queue {
            self.waiting.fetch_sub(full.read(into, from), Relaxed);
            if full.is_empty() {
                self.discard(queue.take());
            }
        }
    }

    /// Takes a buffer back, with or without datagrams in it.
    pub(super) fn discard(&self, queue: Option<Queue>) {
        let Some(mut queue) = queue else { return };
        self.waiting
            .fetch_sub(queue.bytes.len() - queue.read.1, Relaxed);
        queue.clear();
        if queue.bytes.capacity() <= SPARE_BYTES {
            let mut spare = self.spare.lock();
            if spare.len() < SPARES {
                spare.push(queue);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_bounded_and_its_buffer_comes_back() {
        let store = Store::default();
        let mut queue = None;
        for text in [&b"one"[..], b"", b"three"] {
            assert!(store.push(&mut queue, text, 3));
        }
        assert!(!store.push(&mut queue, b"four", 3));
        let mut small = Batch::with_capacity(4);
        store.read(&mut queue, &mut small, &Addr::Any);
        assert_eq!((small.len(), queue.as_ref().map(Queue::len)), (2, Some(1)));
        let mut batch = Batch::with_capacity(99);
        store.read(&mut queue, &mut batch, &Addr::Any);
        assert_eq!(batch.front(), Some((&b"three"[..], &Addr::Any)));
        assert!(queue.is_none());
        assert_eq!(store.waiting.load(Relaxed), 0);
        assert_eq!(store.spare.lock().len(), 1);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let store = Store::default();
        let (mut queue, datagram) = (None, vec![0; 65_507]);
        let pushed = (0..1000)
            .take_while(|_| store.push(&mut queue, &datagram, 1000))
            .count();
        assert_eq!(pushed, FLOW_BYTES / 65_507);
        store.discard(queue);
        assert_eq!(store.waiting.load(Relaxed), 0);
    }
}
