//! Frames on their way to the connection.
//!
//! Data is copied once, behind its header, into one buffer; the whole of it
//! is handed to the connection at a time, so that many frames share a write.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::mem;

use bytes::Buf;

use crate::config::{Config, Version};
use crate::frame::{Command, HEADER_LEN, Header, StreamId, UPDATE_LEN};
use crate::stream::Writer;

/// The longest write that may go express, header not included.
const EXPRESS_LEN: usize = 2 << 10;

/// For each send buffer of other data, this part of it may go express.
const EXPRESS_SHARE: usize = 8;

/// How much memory [`Outgoing`] keeps for control frames.
const KEPT_CONTROL: usize = 4 << 10;

/// The place of a writer among those that wait. Never repeats: 2^64 writes
/// take longer than any session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// Frames that are being built up while earlier ones are written.
#[derive(Debug)]
pub(crate) struct SendQueue {
    version: Version,
    max_frame: usize,
    limit: usize,
    /// PSH and FIN frames.
    stage: Vec<u8>,
    /// SYN, NOP and UPD frames, which go first; and express data.
    control: Vec<u8>,
    /// Counts how often `stage` was handed over. Modulo 2^32.
    round: u32,
    /// How much may still go express in this round.
    express_left: usize,
    /// The buffer that `Outgoing` gave back.
    spare: Vec<u8>,
    /// Writers waiting for room, in the order of their turns.
    waiting: BTreeMap<Ticket, StreamId>,
    next_ticket: Ticket,
    /// Writers whose turn has come, and who did not write yet.
    turns_out: usize,
}

/// Bytes that the session has handed over for writing.
///
/// It belongs to whoever writes, apart from the session: a lock around the
/// session need not be held while writing. Read it as a [`Buf`] (`chunk`,
/// `chunks_vectored`, `advance`), which makes it an argument for vectored
/// writes, and refill it with [`Session::transmit`](crate::Session::transmit).
#[derive(Debug, Default)]
pub struct Outgoing {
    data: Vec<u8>,
    sent: usize,
    /// Goes out as soon as the frame that `sent` points into is complete.
    control: Vec<u8>,
    control_sent: usize,
    /// The start of some frame in `data`. While there is control it is at or
    /// after `sent`, and that is where the control goes in.
    frame: usize,
}

impl SendQueue {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            version: config.version,
            max_frame: config.max_frame_size,
            limit: config.send_buffer,
            stage: Vec::new(),
            control: Vec::new(),
            round: 0,
            express_left: config.send_buffer / EXPRESS_SHARE,
            spare: Vec::new(),
            waiting: BTreeMap::new(),
            next_ticket: Ticket(0),
            turns_out: 0,
        }
    }

    /// Whether another data frame may be added. (Frames are not cut to fit, so
    /// the last one goes over the limit.)
    pub(crate) fn has_room(&self) -> bool {
        self.stage.len() < self.limit
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stage.is_empty() && self.control.is_empty()
    }

    /// Bytes waiting here.
    pub(crate) fn len(&self) -> usize {
        self.stage.len() + self.control.len()
    }

    /// Bytes waiting here that no limit held back: control frames and FIN.
    pub(crate) fn excess(&self) -> usize {
        self.len()
            .saturating_sub(self.limit + self.max_frame + HEADER_LEN)
    }

    /// Adds PSH frames, at most `max` bytes of `data`, while there is room.
    /// Returns how much was taken.
    pub(crate) fn push_data(&mut self, stream: StreamId, data: &[u8], max: usize) -> usize {
        let mut left = &data[..data.len().min(max)];
        let total = left.len();
        while !left.is_empty() && self.has_room() {
            let (payload, rest) = left.split_at(left.len().min(self.max_frame));
            // `max_frame` fits in 16 bits by the rules of the configuration.
            let header = self.header(Command::Psh, payload.len() as u16, stream);
            self.stage.extend_from_slice(&header);
            self.stage.extend_from_slice(payload);
            left = rest;
        }
        total - left.len()
    }

    /// The round that data added now belongs to.
    pub(crate) fn round(&self) -> u32 {
        self.round
    }

    /// A round of which nothing is left to be written.
    pub(crate) fn past_round(&self) -> u32 {
        self.round.wrapping_sub(2)
    }

    /// Adds a short write among the control frames, so that it overtakes what
    /// others have queued. Says whether it did.
    ///
    /// That is for streams which seldom write: `last` is the round of the
    /// latest data of this stream, and two rounds later nothing of it can be
    /// left that would be overtaken too.
    pub(crate) fn push_express(&mut self, stream: StreamId, data: &[u8], last: u32) -> bool {
        let frame = HEADER_LEN + data.len();
        if data.len() > EXPRESS_LEN.min(self.max_frame)
            || frame > self.express_left
            || self.round.wrapping_sub(last) < 2
        {
            return false;
        }
        self.express_left -= frame;
        let header = self.header(Command::Psh, data.len() as u16, stream);
        self.control.extend_from_slice(&header);
        self.control.extend_from_slice(data);
        true
    }

    /// Adds FIN behind the data.
    pub(crate) fn push_fin(&mut self, stream: StreamId) {
        let header = self.header(Command::Fin, 0, stream);
        self.stage.extend_from_slice(&header);
    }

    /// Adds SYN or NOP.
    pub(crate) fn push_control(&mut self, command: Command, stream: StreamId) {
        let header = self.header(command, 0, stream);
        self.control.extend_from_slice(&header);
    }

    pub(crate) fn push_update(&mut self, stream: StreamId, consumed: u32, window: u32) {
        let header = self.header(Command::Upd, UPDATE_LEN as u16, stream);
        self.control.extend_from_slice(&header);
        self.control.extend_from_slice(&consumed.to_le_bytes());
        self.control.extend_from_slice(&window.to_le_bytes());
    }

    fn header(&self, command: Command, length: u16, stream: StreamId) -> [u8; HEADER_LEN] {
        Header {
            command,
            length,
            stream,
        }
        .encode(self.version)
    }

    /// Moves what waits here to `out`: control at once, data once all earlier
    /// data was written. Returns whether data was moved, i.e. room was made.
    pub(crate) fn load(&mut self, out: &mut Outgoing) -> bool {
        out.add_control(&mut self.control);
        if out.sent < out.data.len() {
            return false;
        }
        let mut emptied = mem::take(&mut out.data);
        out.sent = 0;
        out.frame = 0;
        emptied.clear();
        // Not the buffer that a flood of FIN has inflated.
        let usual = 2 * (self.limit + self.max_frame + HEADER_LEN);
        if (self.spare.capacity()..=usual).contains(&emptied.capacity()) {
            self.spare = emptied;
        }
        if self.stage.is_empty() {
            return false;
        }
        out.data = mem::replace(&mut self.stage, mem::take(&mut self.spare));
        self.round = self.round.wrapping_add(1);
        self.express_left = self.limit / EXPRESS_SHARE;
        true
    }

    /// How many full frames make up the send buffer.
    pub(crate) fn turns(&self) -> usize {
        self.limit.div_ceil(self.max_frame + HEADER_LEN)
    }

    pub(crate) fn someone_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many writers wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Lets a writer wait; one whose turn had come keeps its place.
    pub(crate) fn wait(&mut self, stream: StreamId, before: Writer) -> Writer {
        let ticket = match before {
            Writer::Queued(ticket) | Writer::Turn(ticket) => ticket,
            Writer::Free | Writer::Window => self.draw(),
        };
        self.waiting.insert(ticket, stream);
        Writer::Queued(ticket)
    }

    /// The first who waits.
    pub(crate) fn next_waiting(&mut self) -> Option<(Ticket, StreamId)> {
        self.waiting.pop_first()
    }

    /// Forgets what a writer waits for.
    pub(crate) fn leave(&mut self, writer: Writer) -> Writer {
        match writer {
            Writer::Queued(ticket) => {
                self.waiting.remove(&ticket);
            }
            Writer::Turn(_) => self.turns_out -= 1,
            Writer::Free | Writer::Window => {}
        }
        Writer::Free
    }

    /// Notes that the turn of a writer has come.
    pub(crate) fn give(&mut self, ticket: Ticket) -> Writer {
        self.turns_out += 1;
        Writer::Turn(ticket)
    }

    /// A place behind all others.
    pub(crate) fn draw(&mut self) -> Ticket {
        let Ticket(number) = self.next_ticket;
        self.next_ticket = Ticket(number + 1);
        Ticket(number)
    }

    /// Whether a turn was given that nobody took yet.
    pub(crate) fn turn_is_out(&self) -> bool {
        self.turns_out > 0
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.stage.capacity() + self.control.capacity() + self.spare.capacity()
    }

    /// Frees buffers that hold nothing.
    pub(crate) fn trim(&mut self) {
        self.spare = Vec::new();
        for buffer in [&mut self.stage, &mut self.control] {
            if buffer.is_empty() {
                *buffer = Vec::new();
            }
        }
    }
}

impl Outgoing {
    /// An empty one; use it for one session only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over `control`, to go out at the next border between frames.
    fn add_control(&mut self, control: &mut Vec<u8>) {
        if control.is_empty() {
            return;
        }
        if self.control.is_empty() {
            self.move_to_border();
            mem::swap(&mut self.control, control);
        } else {
            self.control.append(control);
        }
    }

    /// Finds the first frame that is not yet partly written.
    fn move_to_border(&mut self) {
        while self.frame < self.sent {
            let low = self.data[self.frame + 2];
            let high = self.data[self.frame + 3];
            self.frame += HEADER_LEN + usize::from(u16::from_le_bytes([low, high]));
        }
    }

    /// The parts in the order in which they go out; some may be empty.
    fn parts(&self) -> [&[u8]; 3] {
        if self.control.is_empty() {
            [&self.data[self.sent..], &[], &[]]
        } else {
            let (begun, rest) = self.data.split_at(self.frame);
            [
                &begun[self.sent..],
                &self.control[self.control_sent..],
                rest,
            ]
        }
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        let data = self.data.len() - self.sent;
        let control = self.control.len() - self.control_sent;
        data + control
    }

    fn chunk(&self) -> &[u8] {
        let parts = self.parts();
        parts.into_iter().find(|p| !p.is_empty()).unwrap_or(&[])
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let parts = self.parts().into_iter().filter(|p| !p.is_empty());
        into.iter_mut()
            .zip(parts)
            .map(|(slot, part)| *slot = IoSlice::new(part))
            .count()
    }

    /// Marks `length` bytes as written.
    ///
    /// # Panics
    /// If that is more than [`remaining`](Buf::remaining).
    fn advance(&mut self, length: usize) {
        assert!(length <= self.remaining(), "advanced past the end");
        let mut left = length;
        if !self.control.is_empty() {
            let begun = left.min(self.frame - self.sent);
            self.sent += begun;
            left -= begun;
            let control = left.min(self.control.len() - self.control_sent);
            self.control_sent += control;
            left -= control;
            if self.control_sent == self.control.len() {
                self.control.clear();
                self.control.shrink_to(KEPT_CONTROL);
                self.control_sent = 0;
            }
        }
        self.sent += left;
    }
}

#[cfg(test)]
mod tests;
