//! From the connection to the readers.

use std::time::Instant;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Event, Session};
use crate::config::{Config, Version};
use crate::error::{SessionError, StreamError};
use crate::frame::{INITIAL_WINDOW, StreamId};
use crate::parse::Item;
use crate::stream::{Stream, Writer};

impl Session {
    /// Takes what was read from the connection.
    ///
    /// `input` is used up, whatever the cuts between frames, unless the
    /// receive buffer is full: then the rest stays, to be given again (with
    /// more behind it or not) once [`wants_read`](Self::wants_read) is true.
    ///
    /// Long pieces of payload are not copied but share the memory of `input`
    /// until they are read; see [`Config::copy_below`].
    ///
    /// # Errors
    /// On a violation of the protocol, and after the session has ended. The
    /// connection is to be closed then.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<(), SessionError> {
        self.check()?;
        while self.wants_read() && !input.is_empty() {
            if let Some(timers) = &mut self.timers {
                timers.heard();
            }
            let parsed = self.parser.next(input);
            match parsed.and_then(|item| self.handle(item, input)) {
                Ok(()) => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
        self.check()
    }

    /// Whether more may be read from the connection. When this is false, the
    /// receive buffer is full of unread data; it changes when streams are read
    /// or released.
    pub fn wants_read(&self) -> bool {
        self.error.is_none() && self.counted < self.config.max_receive_buffer
    }

    /// Copies received data into `into`, as much as there is and fits.
    ///
    /// `Ok(0)` is the end of the stream, provided that `into` has room.
    ///
    /// # Errors
    /// [`StreamError::Blocked`] if nothing is there yet; an event follows.
    pub fn read(&mut self, id: StreamId, into: &mut impl BufMut) -> Result<usize, StreamError> {
        if !into.has_remaining_mut() {
            return Ok(0);
        }
        let stream = self.streams.get_mut(&id).ok_or(StreamError::Unknown)?;
        let length = stream.incoming.read(into, &mut self.spares);
        if length == 0 {
            return self.end_of(id).map(|()| 0);
        }
        self.consumed(id, length);
        Ok(length)
    }

    /// Takes out at most `max` bytes of received data without copying long
    /// pieces. `None` is the end of the stream.
    ///
    /// # Errors
    /// [`StreamError::Blocked`] if nothing is there yet; an event follows.
    pub fn read_chunk(&mut self, id: StreamId, max: usize) -> Result<Option<Bytes>, StreamError> {
        if max == 0 {
            return Ok(Some(Bytes::new()));
        }
        let stream = self.streams.get_mut(&id).ok_or(StreamError::Unknown)?;
        let Some(chunk) = stream.incoming.read_chunk(max, &mut self.spares) else {
            return self.end_of(id).map(|()| None);
        };
        self.consumed(id, chunk.len());
        Ok(Some(chunk))
    }

    /// What a stream without data says to its reader.
    fn end_of(&self, id: StreamId) -> Result<(), StreamError> {
        let finished = self.streams.get(&id).is_some_and(|s| s.peer_finished);
        if finished {
            return Ok(());
        }
        self.check()?;
        Err(StreamError::Blocked)
    }

    /// Accounts for data that was read.
    fn consumed(&mut self, id: StreamId, length: usize) {
        let Some(left) = self.streams.get(&id).map(|s| s.incoming.unread()) else {
            return;
        };
        self.return_budget(left + length, left);
        if self.config.version == Version::V1 || self.error.is_some() {
            return;
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let due = stream.reading.add(length);
        // A peer that has finished has nothing left to send.
        if due && !stream.update_due && !stream.peer_finished {
            stream.update_due = true;
            self.updates.push(id);
        }
    }

    /// Accounts for a stream of which `before` bytes were unread, and now
    /// `after`.
    pub(super) fn return_budget(&mut self, before: usize, after: usize) {
        let was_full = self.counted >= self.config.max_receive_buffer;
        self.unread = self.unread.saturating_sub(before - after);
        let freed = counted(&self.config, before) - counted(&self.config, after);
        self.counted = self.counted.saturating_sub(freed);
        if was_full && self.counted < self.config.max_receive_buffer {
            // The silence so far was ours.
            if let Some(timers) = &mut self.timers {
                timers.heard();
            }
        }
    }

    fn handle(&mut self, item: Option<Item>, input: &mut BytesMut) -> Result<(), SessionError> {
        match item {
            None | Some(Item::Nop) => Ok(()),
            Some(Item::Syn(id)) => self.peer_opens(id),
            Some(Item::Fin(id)) => {
                self.peer_finishes(id);
                Ok(())
            }
            Some(Item::Data { stream, length }) => self.data(stream, input, length),
            Some(Item::Update {
                stream,
                consumed,
                window,
            }) => {
                self.update(stream, consumed, window);
                Ok(())
            }
        }
    }

    fn peer_opens(&mut self, id: StreamId) -> Result<(), SessionError> {
        if self.streams.contains_key(&id) {
            return Ok(());
        }
        if self.backlog.len() >= self.config.accept_backlog {
            self.send.push_fin(id);
            self.limit_excess();
            return self.check();
        }
        let round = self.send.past_round();
        self.streams
            .insert(id, Stream::new(false, round, &self.config));
        if self.backlog.is_empty() {
            self.events.push_back(Event::Opened);
        }
        self.backlog.push_back(id);
        Ok(())
    }

    fn peer_finishes(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.peer_finished {
            return;
        }
        stream.peer_finished = true;
        stream.writer = self.send.leave(stream.writer);
        if stream.known {
            self.events.push_back(Event::Finished(id));
        }
    }

    fn data(
        &mut self,
        id: StreamId,
        input: &mut BytesMut,
        length: usize,
    ) -> Result<(), SessionError> {
        let Some(stream) = self.streams.get_mut(&id).filter(|s| !s.peer_finished) else {
            input.advance(length);
            return Ok(());
        };
        let unread = stream.incoming.unread();
        if self.config.version == Version::V2 {
            if unread + length > most_unread(&self.config, stream) {
                return Err(SessionError::WindowOverrun(id));
            }
            // Modulo 2^32 by definition of the counters.
            let received = stream.reading.total.wrapping_add((unread + length) as u32);
            let (growth, now) = (&mut self.growth, self.now);
            stream.reading.arrived(received, growth, now);
        }
        let copy_below = self.config.copy_below;
        stream
            .incoming
            .push(input, length, copy_below, &mut self.spares);
        self.unread += length;
        self.counted += counted(&self.config, unread + length) - counted(&self.config, unread);
        self.idle = false;
        if unread == 0 && stream.known && !stream.pending.readable {
            stream.pending.readable = true;
            self.events.push_back(Event::Readable(id));
        }
        Ok(())
    }

    /// Shrinks the windows of streams that nobody reads from any more, since
    /// the last time.
    pub(super) fn rest_windows(&mut self, now: Instant) {
        self.growth.next_period();
        let since = std::mem::replace(&mut self.rested, now);
        if self.growth.is_idle() {
            return;
        }
        for (&id, stream) in &mut self.streams {
            let rests =
                stream.incoming.unread() == 0 && stream.reading.rest(&mut self.growth, since);
            if rests && !stream.update_due && !stream.peer_finished {
                stream.update_due = true;
                self.updates.push(id);
            }
        }
    }

    fn update(&mut self, id: StreamId, consumed: u32, window: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.window.consumed = consumed;
        stream.window.size = window;
        // Also if the update makes no sense: the writer is to hear of it.
        let blocked = stream.window.available() == Ok(0);
        if stream.writer == Writer::Window && !blocked {
            stream.writer = Writer::Free;
            self.writable(id);
        }
    }
}

/// How much a version 2 peer may have sent on a stream that is not read: one
/// window, which is the initial one until it hears of ours. Doubled because
/// the Go library checks the window without a lock, so that two writers on
/// one stream may both fill it.
fn most_unread(config: &Config, stream: &Stream) -> usize {
    2 * usual_window(config).max(stream.reading.outstanding())
}

/// How many of the unread bytes of a stream count against the receive buffer:
/// not those for which its window has grown, which are bounded by the growth.
fn counted(config: &Config, unread: usize) -> usize {
    match config.version {
        Version::V1 => unread,
        Version::V2 => unread.min(2 * usual_window(config)),
    }
}

/// The window without growth.
fn usual_window(config: &Config) -> usize {
    config.max_stream_buffer.max(INITIAL_WINDOW as usize)
}
