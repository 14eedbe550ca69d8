//! What is received.

use super::{Arq, Millis, Origin, Out, TELLS, before};
use crate::segment::Header;

impl Arq {
    /// The time that the acknowledgement of a segment is to say.
    ///
    /// It tells the peer how long the way there and back takes. A segment that was recovered has
    /// been lost on its way, perhaps long ago: what brought it back was sent when the newest of the
    /// others were.
    pub(super) fn clock(&mut self, time: u32, origin: Origin) -> u32 {
        let newest = self.newest.filter(|newest| before(time, *newest));
        let newest = newest.unwrap_or(time);
        self.newest = Some(newest);
        match origin {
            Origin::Wire => time,
            Origin::Recovered => newest,
        }
    }

    /// Takes a segment with data.
    pub(super) fn take(&mut self, now: Millis, number: u32, time: u32, data: &[u8]) {
        let window = self.config.receive_window;
        if !before(number, self.expected.wrapping_add(window)) {
            return;
        }
        if self.acks.is_empty() {
            self.acks_since = now;
        }
        self.acks.push((number, time));
        if before(number, self.expected) {
            self.stats.repeated += 1;
            return;
        }
        let index = number.wrapping_sub(self.expected) as usize;
        if self.early.len() <= index {
            self.early.resize_with(index + 1, || None);
        }
        if self.early[index].is_some() {
            self.stats.repeated += 1;
            return;
        }
        let mut buffer = self.buffer();
        buffer.extend_from_slice(data);
        self.early[index] = Some(buffer);
        self.stats.received += 1;
        // It knows.
        self.repeats = 0;
        self.tell_at = None;
        self.advance();
    }

    /// Makes readable what has no gap before it.
    fn advance(&mut self) {
        while self.ready.len() < self.config.receive_window as usize
            && let Some(data) = self.early.front_mut().and_then(Option::take)
        {
            self.early.pop_front();
            self.expected = self.expected.wrapping_add(1);
            if data.is_empty() {
                self.give_back(data);
            } else {
                self.ready.push_back(data);
            }
        }
    }

    /// The next bytes of the stream, as far as they lie together; empty when there are none.
    pub(crate) fn peek(&self) -> &[u8] {
        self.ready
            .front()
            .map_or(&[], |segment| &segment[self.read..])
    }

    /// Takes so many of the bytes that [`Self::peek`] shows.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.read += bytes;
        if self.ready.front().is_some_and(|s| self.read >= s.len()) {
            let was_full = self.ready.len() >= self.config.receive_window as usize;
            if let Some(segment) = self.ready.pop_front() {
                self.give_back(segment);
            }
            self.read = 0;
            self.advance();
            // The peer may be waiting for this.
            if was_full && self.ready.len() < self.config.receive_window as usize {
                self.tell = true;
                self.repeats = TELLS;
                self.tell_at = None;
            }
        }
    }

    pub(super) fn emit_acks(&mut self, header: Header, out: &mut Out<'_>) {
        let mut done = 0;
        let last = self.acks.len().saturating_sub(1);
        for (i, (number, time)) in self.acks.iter().enumerate() {
            // What `expected` says of the others is enough. The last one is for the clock.
            if i == last || !before(*number, self.expected) {
                let header = Header {
                    number: *number,
                    time: *time,
                    ..header
                };
                if !out.put(header, &[]) {
                    break;
                }
            }
            done += 1;
        }
        self.acks.drain(..done);
    }
}
