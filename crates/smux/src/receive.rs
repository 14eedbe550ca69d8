//! What was received on a stream and is not read yet.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A chunk of copied pieces grows up to this size before a new one begins.
const OWN_CHUNK: usize = 16 << 10;

/// Queues of more entries than this are freed when they run empty.
const KEPT_ENTRIES: usize = 4;

/// The unread data of one stream. Holds no heap memory worth speaking of
/// while it is empty.
#[derive(Debug, Default)]
pub(crate) struct ReceiveQueue {
    chunks: VecDeque<Chunk>,
    unread: usize,
}

#[derive(Debug)]
enum Chunk {
    /// A slice of the buffer that was received into.
    Shared(Bytes),
    /// Short pieces, copied so that they do not keep such a buffer alive, and
    /// collected so that a flood of tiny frames costs no more than its bytes.
    Own { data: Vec<u8>, read: usize },
}

/// Emptied chunks of a session, kept to receive short pieces without
/// allocating.
#[derive(Debug, Default)]
pub(crate) struct Spares(Vec<Vec<u8>>);

impl ReceiveQueue {
    /// The number of bytes waiting to be read.
    pub(crate) fn unread(&self) -> usize {
        self.unread
    }

    /// Appends `length` bytes (at most those in `input`) off the front of
    /// `input`, copying if they are fewer than `copy_below`.
    pub(crate) fn push(
        &mut self,
        input: &mut BytesMut,
        length: usize,
        copy_below: usize,
        spares: &mut Spares,
    ) {
        self.unread += length;
        if length >= copy_below {
            let piece = input.split_to(length).freeze();
            self.chunks.push_back(Chunk::Shared(piece));
            return;
        }
        match self.chunks.back_mut() {
            Some(Chunk::Own { data, .. }) if data.len() + length <= OWN_CHUNK => {
                data.extend_from_slice(&input[..length]);
            }
            _ => {
                let mut data = spares.take(length);
                data.extend_from_slice(&input[..length]);
                self.chunks.push_back(Chunk::Own { data, read: 0 });
            }
        }
        input.advance(length);
    }

    /// Copies out as much as there is and fits; returns how much.
    pub(crate) fn read(&mut self, into: &mut impl BufMut, spares: &mut Spares) -> usize {
        let before = self.unread;
        while into.has_remaining_mut() {
            let Some(chunk) = self.chunks.front_mut() else {
                break;
            };
            let bytes = chunk.bytes();
            let length = bytes.len().min(into.remaining_mut());
            into.put_slice(&bytes[..length]);
            self.unread -= length;
            if length < bytes.len() {
                chunk.advance(length);
                break;
            }
            self.drop_front(spares);
        }
        before - self.unread
    }

    /// Takes out at most `max` bytes that lie together, without copying.
    pub(crate) fn read_chunk(&mut self, max: usize, spares: &mut Spares) -> Option<Bytes> {
        let chunk = self.chunks.front_mut().filter(|_| max > 0)?;
        let length = chunk.bytes().len().min(max);
        let piece = match chunk {
            Chunk::Shared(data) => data.split_to(length),
            // A new owner is needed anyway; short by construction.
            Chunk::Own { data, read } => {
                let piece = Bytes::copy_from_slice(&data[*read..*read + length]);
                *read += length;
                piece
            }
        };
        if chunk.bytes().is_empty() {
            self.drop_front(spares);
        }
        self.unread -= length;
        Some(piece)
    }

    fn drop_front(&mut self, spares: &mut Spares) {
        if let Some(Chunk::Own { data, .. }) = self.chunks.pop_front() {
            spares.put(data);
        }
        if self.chunks.is_empty() && self.chunks.capacity() > KEPT_ENTRIES {
            self.chunks = VecDeque::new();
        }
    }
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(data) => data,
            Self::Own { data, read } => &data[*read..],
        }
    }

    fn advance(&mut self, length: usize) {
        match self {
            Self::Shared(data) => data.advance(length),
            Self::Own { read, .. } => *read += length,
        }
    }
}

impl Spares {
    /// How many chunks are kept, and how large.
    const KEPT: usize = 16;
    const KEPT_CAPACITY: usize = 2 << 10;

    /// An empty chunk, with no more than a modest multiple of the `length`
    /// that is wanted: it may stay unread for long.
    fn take(&mut self, length: usize) -> Vec<u8> {
        self.0
            .pop_if(|spare| spare.capacity() <= 16 * length.max(16))
            .unwrap_or_else(|| Vec::with_capacity(length))
    }

    fn put(&mut self, mut data: Vec<u8>) {
        if self.0.len() < Self::KEPT && data.capacity() <= Self::KEPT_CAPACITY {
            data.clear();
            self.0.push(data);
        }
    }

    /// Frees what is kept.
    pub(crate) fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut ReceiveQueue, spares: &mut Spares, data: &[u8], copy_below: usize) {
        let mut input = BytesMut::from(data);
        queue.push(&mut input, data.len(), copy_below, spares);
        assert!(input.is_empty());
    }

    #[test]
    fn shared_and_copied_pieces_come_out_in_order() {
        let (mut queue, mut spares) = (ReceiveQueue::default(), Spares::default());
        for data in ["a", "bc", "long enough", "d", "also long enough", "e"] {
            push(&mut queue, &mut spares, data.as_bytes(), 5);
        }
        assert_eq!(queue.chunks.len(), 5, "a and bc share a chunk");
        assert_eq!(queue.read_chunk(2, &mut spares).unwrap(), "ab");
        assert_eq!(queue.read_chunk(0, &mut spares), None);
        let mut rest = [0; 7];
        assert_eq!(queue.read(&mut &mut rest[..], &mut spares), 7);
        assert_eq!(&rest, b"clong e");
        let mut rest = Vec::new();
        assert_eq!(queue.read(&mut rest, &mut spares), 23);
        assert_eq!(rest, b"noughdalso long enoughe");
        assert_eq!(queue.unread(), 0);
        assert_eq!(queue.read_chunk(9, &mut spares), None);
    }

    #[test]
    fn an_empty_queue_holds_little() {
        let (mut queue, mut spares) = (ReceiveQueue::default(), Spares::default());
        for _ in 0..100 {
            push(&mut queue, &mut spares, &[7; 9000], 8192);
        }
        let mut sink = Vec::new();
        assert_eq!(queue.read(&mut sink, &mut spares), 900_000);
        assert!(queue.chunks.capacity() <= KEPT_ENTRIES);
    }

    #[test]
    fn a_flood_of_tiny_pieces_is_collected() {
        let (mut queue, mut spares) = (ReceiveQueue::default(), Spares::default());
        for _ in 0..100_000 {
            push(&mut queue, &mut spares, b"x", 8192);
        }
        assert_eq!(queue.chunks.len(), 100_000_usize.div_ceil(OWN_CHUNK));
    }

    #[test]
    fn a_short_piece_does_not_keep_the_buffer_it_came_in() {
        let (mut queue, mut spares) = (ReceiveQueue::default(), Spares::default());
        let mut arena = BytesMut::with_capacity(65536);
        arena.extend_from_slice(&[1; 100]);
        let start = arena.as_ptr();
        queue.push(&mut arena, 100, 8192, &mut spares);
        // The buffer is whole again, in place, although the piece is unread.
        assert!(arena.try_reclaim(65536));
        assert_eq!(arena.as_ptr(), start);
    }

    #[test]
    fn short_messages_reuse_their_chunks() {
        let (mut queue, mut spares) = (ReceiveQueue::default(), Spares::default());
        push(&mut queue, &mut spares, &[1; 1000], 8192);
        let mut sink = Vec::new();
        queue.read(&mut sink, &mut spares);
        let kept = spares.0[0].as_ptr();
        push(&mut queue, &mut spares, &[2; 1000], 8192);
        assert!(spares.0.is_empty());
        assert_eq!(queue.chunks[0].bytes().as_ptr(), kept);
    }
}
