//! Datagrams, many at a time.

use std::{
    any::Any,
    io,
    ops::Range,
    task::{Context, Poll},
};

use crate::addr::Addr;

/// Whole datagrams, each with the address it came from or goes to.
///
/// A conversation with one peer may leave addresses [`Addr::Any`] in both directions.
pub trait Packet: Send + Unpin + 'static {
    /// Waits for datagrams and appends them to `into`, whose room takes at least [`MIN_ROOM`]
    /// bytes. Nothing appended means that the conversation is over; a slot of length 0 is an
    /// empty datagram.
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>>;

    /// Sends from the front of `from` and takes off what was sent; ready when nothing is left, and
    /// nothing is held back that was taken off before. An empty batch only does the latter.
    ///
    /// A datagram that can't be sent (too long, unresolvable) is dropped and counted, and ends
    /// nothing: an error means that the conversation itself is over.
    fn poll_send(&mut self, cx: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>>;

    /// Hands over the socket below, when the datagrams are its datagrams unchanged.
    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>>;
}

/// What is left of a packet conversation without its wrappers: a socket of the system, of a type
/// that the crate which moves datagrams knows.
pub type RawPacket = Box<dyn Any + Send>;

/// A number of datagrams in one arena. The default one has no room.
#[derive(Debug, Default)]
pub struct Batch {
    arena: Box<[u8]>,
    used: usize,
    slots: Vec<Slot>,
    /// Slots before this one have been taken off the front.
    first: usize,
}

#[derive(Clone, Debug)]
struct Slot {
    range: Range<usize>,
    addr: Addr,
}

/// The longest datagram that UDP over IPv4 carries.
pub const MAX_DATAGRAM: usize = 65_507;

/// The room that receiving needs: a datagram of any length, behind the longest header that puts it
/// into a stream.
pub const MIN_ROOM: usize = 66_048;

impl Batch {
    /// An empty batch with room for `bytes` of payload.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            arena: vec![0; bytes].into_boxed_slice(),
            used: 0,
            slots: Vec::new(),
            first: 0,
        }
    }

    /// Forgets all datagrams.
    pub fn clear(&mut self) {
        self.used = 0;
        self.first = 0;
        self.slots.clear();
    }

    /// How many datagrams are left.
    pub fn len(&self) -> usize {
        self.slots.len() - self.first
    }

    /// True when no datagram is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of payload are left.
    pub fn bytes(&self) -> usize {
        self.slots[self.first..]
            .iter()
            .map(|slot| slot.range.len())
            .sum()
    }

    /// The datagrams that are left, with their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Addr)> {
        self.slots[self.first..]
            .iter()
            .map(|slot| (&self.arena[slot.range.clone()], &slot.addr))
    }

    /// The first datagram that is left.
    pub fn front(&self) -> Option<(&[u8], &Addr)> {
        self.iter().next()
    }

    /// Takes `n` datagrams off the front.
    pub fn advance(&mut self, n: usize) {
        self.first = (self.first + n).min(self.slots.len());
        if self.is_empty() {
            self.clear();
        }
    }

    /// Sets the address of every datagram that is left.
    pub fn readdress(&mut self, addr: &Addr) {
        for slot in &mut self.slots[self.first..] {
            slot.addr.clone_from(addr);
        }
    }

    /// Keeps only the datagrams for which `keep` holds, and returns how many were dropped.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &Addr) -> bool) -> usize {
        let before = self.len();
        self.slots.drain(..self.first);
        self.first = 0;
        let arena = &self.arena;
        self.slots
            .retain(|slot| keep(&arena[slot.range.clone()], &slot.addr));
        before - self.len()
    }

    /// Cuts a header off each datagram from the one numbered `from` on: `edit` says how many bytes
    /// to cut, and may change the address; `None` drops the datagram. What stays is moved
    /// together. Returns how many were dropped.
    pub fn trim(
        &mut self,
        from: usize,
        mut edit: impl FnMut(&[u8], &mut Addr) -> Option<usize>,
    ) -> usize {
        let start = (self.first + from).min(self.slots.len());
        let before = self.slots.len();
        let mut end = match start.checked_sub(1) {
            Some(last) => self.slots[last].range.end,
            None => 0,
        };
        let mut kept = start;
        for i in start..before {
            let slot = &mut self.slots[i];
            let mut range = slot.range.clone();
            let Some(cut) = edit(&self.arena[range.clone()], &mut slot.addr) else {
                continue;
            };
            range.start += cut.min(range.len());
            slot.range = end..end + range.len();
            if range.start != end {
                self.arena.copy_within(range, end);
            }
            end = slot.range.end;
            self.slots.swap(kept, i);
            kept += 1;
        }
        self.slots.truncate(kept);
        self.used = end;
        // An emptied batch has its whole room again.
        self.advance(0);
        before - kept
    }

    /// What is left, in an arena that is no larger than need be; this batch is empty afterwards.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let mut taken = Self::with_capacity(self.bytes());
        for (payload, addr) in self.iter() {
            taken.push(payload, addr.clone());
        }
        self.clear();
        taken
    }

    /// Appends datagrams that were kept elsewhere, in a new arena that is no larger than need be.
    pub fn extend(&mut self, kept: impl IntoIterator<Item = (Box<[u8]>, Addr)>) {
        let kept: Vec<_> = kept.into_iter().collect();
        if kept.is_empty() {
            return;
        }
        let more = kept.iter().map(|(payload, _)| payload.len()).sum::<usize>();
        let mut all = Self::with_capacity(self.bytes() + more);
        for (payload, addr) in self.iter() {
            all.push(payload, addr.clone());
        }
        for (payload, addr) in kept {
            all.push(&payload, addr);
        }
        *self = all;
    }

    /// Appends a datagram; false when there is no room for it.
    pub fn push(&mut self, payload: &[u8], addr: Addr) -> bool {
        let Some(room) = self.arena.get_mut(self.used..self.used + payload.len()) else {
            return false;
        };
        room.copy_from_slice(payload);
        self.commit(payload.len(), addr);
        true
    }

    /// The free room of the arena, to receive into; [`Self::commit`] makes datagrams of it.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.arena[self.used..]
    }

    /// Makes a datagram of the first `len` bytes of the room.
    pub fn commit(&mut self, len: usize, addr: Addr) {
        let end = (self.used + len).min(self.arena.len());
        self.slots.push(Slot {
            range: self.used..end,
            addr,
        });
        self.used = end;
    }

    /// Makes a datagram of `len` bytes that lie `gap` bytes into the room, and closes the gap. The
    /// room then begins behind the datagram, so what lay behind it is again `gap` bytes in.
    pub fn pull(&mut self, gap: usize, len: usize, addr: Addr) {
        let start = (self.used + gap).min(self.arena.len());
        let end = (start + len).min(self.arena.len());
        if gap > 0 {
            self.arena.copy_within(start..end, self.used);
        }
        self.commit(end - start, addr);
    }

    /// How many datagrams at the front are equally long (the last may be shorter), lie one behind
    /// the other and go to one address: what one segmented send can take. At most `most`.
    pub fn run(&self, most: usize) -> usize {
        let slots = &self.slots[self.first..];
        let Some(head) = slots.first() else { return 0 };
        let size = head.range.len();
        let mut n = 1;
        while n < slots.len().min(most) && size > 0 {
            let (last, next) = (&slots[n - 1], &slots[n]);
            if last.range.len() != size || next.range.len() > size || next.range.is_empty() {
                break;
            }
            if next.range.start != last.range.end || next.addr != head.addr {
                break;
            }
            n += 1;
        }
        n
    }

    /// The bytes of the first `n` datagrams that are left; they must be a [`run`](Self::run).
    pub fn run_bytes(&self, n: usize) -> &[u8] {
        let slots = &self.slots[self.first..];
        match (slots.first(), slots.get(n.wrapping_sub(1))) {
            (Some(head), Some(last)) => &self.arena[head.range.start..last.range.end],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: u16) -> Addr {
        Addr::wildcard(n)
    }

    #[test]
    fn runs_are_what_one_segmented_send_takes() {
        let mut batch = Batch::with_capacity(100);
        for (len, to) in [(10, 1), (10, 1), (7, 1), (10, 1), (10, 2)] {
            assert!(batch.push(&vec![9; len], addr(to)));
        }
        assert_eq!(batch.run(64), 3);
        assert_eq!(batch.run_bytes(3).len(), 27);
        batch.advance(3);
        assert_eq!(batch.run(64), 1);
        assert_eq!(batch.retain(|_, to| *to == addr(2)), 1);
        assert_eq!(batch.len(), 1);
        batch.advance(1);
        assert!(batch.is_empty());
        assert_eq!(batch.room().len(), 100);
    }

    #[test]
    fn gaps_are_closed_so_that_datagrams_form_runs() {
        let mut batch = Batch::with_capacity(16);
        batch.room()[..12].copy_from_slice(b"..ab..cd..ef");
        for _ in 0..3 {
            // Each header that was passed widens the gap.
            batch.pull(2 * (batch.len() + 1), 2, addr(1));
        }
        assert_eq!(batch.run(9), 3);
        assert_eq!(batch.run_bytes(3), b"abcdef");
    }

    #[test]
    fn headers_are_cut_and_addresses_set() {
        let mut batch = Batch::with_capacity(64);
        for text in [&b"old"[..], b"1abc", b"x", b"2def"] {
            assert!(batch.push(text, addr(9)));
        }
        let dropped = batch.trim(1, |payload, to| {
            *to = addr(u16::from(payload[0] - b'0'));
            (payload.len() > 1).then_some(1)
        });
        assert_eq!(dropped, 1);
        let left: Vec<_> = batch
            .iter()
            .map(|(payload, to)| (payload.to_vec(), to.port()))
            .collect();
        assert_eq!(
            left,
            [
                (b"old".to_vec(), 9),
                (b"abc".to_vec(), 1),
                (b"def".to_vec(), 2)
            ]
        );
        batch.advance(1);
        let rest = batch.take();
        assert_eq!((rest.len(), rest.bytes(), batch.len()), (2, 6, 0));
        assert!(batch.push(b"again", addr(1)));
    }

    #[test]
    fn an_empty_datagram_is_a_datagram() {
        let mut batch = Batch::with_capacity(4);
        assert!(batch.push(b"", addr(1)));
        assert_eq!((batch.len(), batch.run(9)), (1, 1));
        assert!(!batch.push(b"12345", addr(1)));
    }
}
