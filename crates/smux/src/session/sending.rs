//! From the writers to the connection.
//!
//! Fairness: as long as there is room in the send buffer, everyone writes. A
//! writer that finds none waits in a queue. Each time the buffer is handed to
//! the connection as many writers get their turn as full frames fit, and a
//! turn is one frame; whoever wants more goes to the end of the queue. A short
//! write of a stream that seldom writes overtakes all of this, within a share
//! of the whole.

use bytes::Buf;

use super::{Event, Session};
use crate::config::Version;
use crate::error::StreamError;
use crate::frame::{Command, StreamId};
use crate::send::Outgoing;
use crate::stream::Writer;

impl Session {
    /// Queues data for sending and returns how much of it was taken; never 0
    /// unless `data` is empty.
    ///
    /// # Errors
    /// [`StreamError::Blocked`] if the send buffer or the peer's window is
    /// full, or others come first; an event follows. Other errors are final.
    pub fn write(&mut self, id: StreamId, data: &[u8]) -> Result<usize, StreamError> {
        self.check()?;
        let version = self.config.version;
        let stream = self.streams.get_mut(&id).ok_or(StreamError::Unknown)?;
        let sendable = stream.sendable(version)?;
        if data.is_empty() {
            return Ok(0);
        }
        if let Writer::Queued(_) = stream.writer {
            return Err(StreamError::Blocked);
        }
        let before = stream.writer;
        let turn = matches!(before, Writer::Turn(_));
        stream.writer = self.send.leave(before);
        if sendable == 0 {
            stream.writer = Writer::Window;
            if turn {
                self.pass_turn();
            }
            return Err(StreamError::Blocked);
        }
        let express =
            data.len() <= sendable && !turn && self.send.push_express(id, data, stream.last_round);
        let taken = if express {
            data.len()
        } else {
            let others_wait = self.send.someone_waits();
            if !self.send.has_room() || (others_wait && !turn) {
                stream.writer = self.send.wait(id, before);
                stream.burst = 0;
                return Err(StreamError::Blocked);
            }
            let share = if turn {
                self.config.max_frame_size
            } else {
                usize::MAX
            };
            self.send.push_data(id, data, sendable.min(share))
        };
        stream.burst = stream.burst.saturating_add(taken as u32);
        stream.last_round = self.send.round();
        if version == Version::V2 {
            // Counters are modulo 2^32.
            stream.window.sent = stream.window.sent.wrapping_add(taken as u32);
        }
        self.idle = false;
        if turn {
            self.pass_turn();
        }
        Ok(taken)
    }

    /// True when a writer had a good share while others, whose turn it was,
    /// did not come to use it: they should be run before it writes again. Says
    /// so once for each share.
    ///
    /// While the connection takes everything at once nobody has to wait, and
    /// a task that never waits keeps the others from running at all.
    pub fn has_had_its_share(&mut self, id: StreamId) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else {
            return false;
        };
        let much = stream.burst as usize >= self.config.send_buffer / 2;
        let yields = much && stream.writer == Writer::Free && self.send.turn_is_out();
        if much {
            stream.burst = 0;
        }
        if yields {
            // It will come back by itself, and others shall wait for it too.
            let ticket = self.send.draw();
            stream.writer = self.send.give(ticket);
        }
        yields
    }

    /// Whether [`transmit`](Self::transmit) has something to hand over.
    pub fn wants_write(&self) -> bool {
        !self.send.is_empty() || self.nop_due || !self.updates.is_empty()
    }

    /// Hands queued bytes over to `out`. Returns whether `out` has anything
    /// to be written now.
    ///
    /// Control frames go ahead of data, between two frames of what `out` still
    /// holds; data follows once `out` has run empty. Call this until it
    /// returns false, writing in between: that also gives waiting writers
    /// their turns.
    pub fn transmit(&mut self, out: &mut Outgoing) -> bool {
        self.queue_control();
        if self.send.load(out) {
            for _ in 0..self.send.turns() {
                if !self.give_turn() {
                    break;
                }
            }
        }
        if !out.has_remaining() {
            // Nothing at all is under way, so nobody need wait, even if those
            // whose turn it was do not come.
            while self.give_turn() {}
            return false;
        }
        true
    }

    fn queue_control(&mut self) {
        if std::mem::take(&mut self.nop_due) {
            self.send.push_control(Command::Nop, StreamId(0));
        }
        for id in self.updates.drain(..) {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.update_due = false;
                let (config, growth) = (&self.config, &mut self.growth);
                let (consumed, window) = stream.reading.tell(config, growth, self.now);
                self.send.push_update(id, consumed, window);
            }
        }
    }

    /// After a turn that left room: the next one.
    fn pass_turn(&mut self) {
        if self.send.has_room() {
            self.give_turn();
        }
    }

    /// Lets the first of the queue write; false if nobody waits.
    fn give_turn(&mut self) -> bool {
        while let Some((ticket, id)) = self.send.next_waiting() {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.writer = self.send.give(ticket);
                self.writable(id);
                return true;
            }
        }
        false
    }

    pub(super) fn writable(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.pending.writable
        {
            stream.pending.writable = true;
            self.events.push_back(Event::Writable(id));
        }
    }
}
