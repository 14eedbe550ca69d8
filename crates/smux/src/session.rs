//! The session: streams, events, time. Its two directions are in
//! [`receiving`] and [`sending`].

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::config::{Config, ConfigError};
use crate::error::{OpenError, SessionError, StreamError};
use crate::frame::{Command, StreamId};
use crate::keepalive::Timers;
use crate::parse::Parser;
use crate::receive::Spares;
use crate::send::SendQueue;
use crate::stream::Stream;
use crate::window::Growth;

mod receiving;
mod sending;
#[cfg(test)]
mod tests;

/// Which streams this side opens: odd ids as client, even ids as server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Stream ids 3, 5, 7 …
    Client,
    /// Stream ids 2, 4, 6 …
    Server,
}

/// Something that a task may wait for has happened.
///
/// Events mark changes, they are not repeated while a state lasts: read until
/// [`StreamError::Blocked`] before waiting. Streams that the peer opened have
/// no events before they were accepted, released ones have none either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The peer opened streams: call [`Session::accept`] until it has none.
    Opened,
    /// Data arrived on a stream that had none.
    Readable(StreamId),
    /// A writer that was refused with [`StreamError::Blocked`] may try again.
    Writable(StreamId),
    /// The peer finished the stream: reading ends after what has arrived,
    /// writing fails from now on. Wake both.
    Finished(StreamId),
    /// The session ended, [`Session::error`] says why. Wake everyone.
    Closed,
}

/// The state of a session in numbers, see [`Session::stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Streams that are open, those waiting to be accepted included.
    pub streams: usize,
    /// Streams waiting to be accepted.
    pub backlog: usize,
    /// Bytes received and not read yet, over all streams.
    pub unread: usize,
    /// Those of them that count against [`Config::max_receive_buffer`].
    pub counted: usize,
    /// Bytes queued for sending, those handed to [`Outgoing`] not included.
    ///
    /// [`Outgoing`]: crate::Outgoing
    pub queued: usize,
    /// Writers that wait for room in the send buffer.
    pub waiting_writers: usize,
}

/// One end of a smux connection, without the connection.
///
/// See the [crate documentation](crate) for how it is driven.
#[derive(Debug)]
pub struct Session {
    config: Config,
    streams: HashMap<StreamId, Stream>,
    /// The last stream id that was used here, `None` once they are used up.
    last_id: Option<u32>,
    backlog: VecDeque<StreamId>,
    events: VecDeque<Event>,
    error: Option<SessionError>,
    timers: Option<Timers>,
    // Receiving.
    parser: Parser,
    spares: Spares,
    unread: usize,
    /// Those that count against the receive buffer.
    counted: usize,
    growth: Growth,
    /// The time, as far as it was told.
    now: Option<Instant>,
    /// When windows were last looked at that nobody uses.
    rested: Instant,
    // Sending.
    send: SendQueue,
    updates: Vec<StreamId>,
    nop_due: bool,
    idle: bool,
}

impl Session {
    /// How many bytes of control frames, caused by a peer that does not take
    /// them, are queued before it is given up.
    const MAX_EXCESS: usize = 1 << 20;

    /// A session over a new connection. Nothing is sent until a stream opens
    /// or the keep-alive interval is over.
    pub fn new(config: Config, side: Side, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            streams: HashMap::new(),
            last_id: Some(match side {
                Side::Client => 1,
                Side::Server => 0,
            }),
            backlog: VecDeque::new(),
            events: VecDeque::new(),
            error: None,
            timers: config.keep_alive.map(|k| Timers::new(k, now)),
            parser: Parser::new(config.version),
            spares: Spares::default(),
            unread: 0,
            counted: 0,
            growth: Growth::new(&config),
            now: None,
            rested: now,
            send: SendQueue::new(&config),
            updates: Vec::new(),
            nop_due: false,
            idle: true,
            config,
        })
    }

    /// The settings that the session was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Opens a stream. It can be written at once: the protocol has no answer
    /// to SYN, so a peer that refuses shows only as [`Event::Finished`].
    pub fn open(&mut self) -> Result<StreamId, OpenError> {
        self.check()?;
        let id = loop {
            self.last_id = self.last_id.and_then(|id| id.checked_add(2));
            let id = StreamId(self.last_id.ok_or(OpenError::Exhausted)?);
            // A peer of the same side could have taken it.
            if !self.streams.contains_key(&id) {
                break id;
            }
        };
        self.streams
            .insert(id, Stream::new(true, self.send.past_round(), &self.config));
        self.send.push_control(Command::Syn, id);
        self.limit_excess();
        Ok(id)
    }

    /// The next stream that the peer opened. What it has sent so far can be
    /// read at once.
    pub fn accept(&mut self) -> Option<StreamId> {
        if self.error.is_some() {
            return None;
        }
        while let Some(id) = self.backlog.pop_front() {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.known = true;
                return Some(id);
            }
        }
        None
    }

    /// Ends our direction: FIN follows the data that was accepted so far.
    /// Repeating it does nothing.
    ///
    /// This is no half-close. The reference peer (`xtaci/smux` 1.5.31) ends
    /// its stream in both directions when it reads FIN: what it had sent
    /// before can still be read here, but it will refuse to write more.
    pub fn finish(&mut self, id: StreamId) -> Result<(), StreamError> {
        self.check()?;
        let stream = self.streams.get_mut(&id).ok_or(StreamError::Unknown)?;
        if !stream.finished {
            stream.finished = true;
            stream.writer = self.send.leave(stream.writer);
            self.send.push_fin(id);
            self.limit_excess();
        }
        Ok(())
    }

    /// Forgets a stream: sends FIN if [`finish`](Self::finish) did not, drops
    /// unread data and gives its share of the receive buffer back. Data that
    /// still arrives for it is dropped. Unknown ids are ignored.
    ///
    /// Every stream that was opened or accepted must be released, or it stays
    /// in memory. The protocol has no reset: the peer can not tell a stream
    /// that was released early from one that was finished.
    pub fn release(&mut self, id: StreamId) {
        let Some(mut stream) = self.streams.remove(&id) else {
            return;
        };
        stream.reading.release(&mut self.growth);
        self.return_budget(stream.incoming.unread(), 0);
        self.send.leave(stream.writer);
        if !stream.finished && self.error.is_none() {
            self.send.push_fin(id);
            self.limit_excess();
        }
    }

    /// The next event, if any.
    pub fn poll_event(&mut self) -> Option<Event> {
        while let Some(event) = self.events.pop_front() {
            match event {
                Event::Readable(id) => match self.streams.get_mut(&id) {
                    Some(stream) => stream.pending.readable = false,
                    None => continue,
                },
                Event::Writable(id) => match self.streams.get_mut(&id) {
                    Some(stream) => stream.pending.writable = false,
                    None => continue,
                },
                Event::Finished(id) if !self.streams.contains_key(&id) => continue,
                Event::Finished(_) | Event::Opened | Event::Closed => {}
            }
            return Some(event);
        }
        None
    }

    /// Tells the time. Windows grow only while it is told before
    /// [`receive`](Self::receive) and [`transmit`](Self::transmit).
    pub fn set_time(&mut self, now: Instant) {
        self.now = Some(now);
    }

    /// When [`on_timeout`](Self::on_timeout) is to be called. It changes only
    /// there.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.error.is_some() {
            return None;
        }
        self.timers.as_ref().and_then(Timers::next)
    }

    /// Does what is due: queues NOP each interval, closes the session if
    /// nothing arrived during a whole timeout (unless nothing could, because
    /// the receive buffer is full), frees the buffers of an idle session.
    pub fn on_timeout(&mut self, now: Instant) {
        if self.error.is_some() {
            return;
        }
        let Some(due) = self.timers.as_mut().map(|timers| timers.tick(now)) else {
            return;
        };
        if due.dead && self.wants_read() {
            self.fail(SessionError::KeepAlive);
        } else if due.ping {
            self.nop_due = true;
            self.rest_windows(now);
            if std::mem::replace(&mut self.idle, true) {
                self.trim();
            }
        }
    }

    /// Frees memory that is kept for the next data. Sessions with keep-alive
    /// do this by themselves when nothing was sent or received for an interval.
    pub fn trim(&mut self) {
        self.send.trim();
        self.spares.clear();
        self.streams.shrink_to(2 * self.streams.len());
        self.events.shrink_to(self.events.len());
        self.backlog.shrink_to(self.backlog.len());
        self.updates.shrink_to(self.updates.len());
    }

    /// Ends the session from this side. No frame says so to the peer: the
    /// connection below has to be closed. What is queued can still be
    /// transmitted before that, and unread data can still be read.
    pub fn close(&mut self) {
        self.fail(SessionError::Closed);
    }

    /// Says that the connection below ended or failed. Streams whose FIN had
    /// not arrived fail with an error after their data, so that a cut
    /// transfer does not look complete.
    pub fn connection_lost(&mut self) {
        self.fail(SessionError::ConnectionLost);
    }

    /// Why the session ended, if it has.
    pub fn error(&self) -> Option<SessionError> {
        self.error
    }

    /// How busy the session is.
    pub fn stats(&self) -> Stats {
        Stats {
            streams: self.streams.len(),
            backlog: self.backlog.len(),
            unread: self.unread,
            counted: self.counted,
            queued: self.send.len(),
            waiting_writers: self.send.waiting(),
        }
    }

    fn check(&self) -> Result<(), SessionError> {
        self.error.map_or(Ok(()), Err)
    }

    /// Ends the session; the first reason counts.
    fn fail(&mut self, error: SessionError) -> SessionError {
        if let Some(first) = self.error {
            return first;
        }
        self.error = Some(error);
        self.events.push_back(Event::Closed);
        error
    }

    fn limit_excess(&mut self) {
        if self.send.excess() > Self::MAX_EXCESS {
            self.fail(SessionError::Stalled);
        }
    }
}
