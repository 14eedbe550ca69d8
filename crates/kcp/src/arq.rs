//! The protocol itself: a byte stream in numbered segments, acknowledged and sent again.
//!
//! Written after what `kcp.go` of kcp-go does on the wire. What is different does not show there:
//! nothing happens at fixed intervals, but when there is something to do; acknowledgements open
//! the congestion window by what they acknowledge, so that it does not matter how many come in one
//! datagram; and a session ends when the segment that the peer waits for is lost 20 times.

use std::collections::VecDeque;

use crate::{
    config::Config,
    segment::{Command, HEADER, Header},
};

mod pace;
mod receiving;
mod sending;
#[cfg(test)]
mod tests;

use pace::Pace;
use sending::Flight;

/// Milliseconds since the start of the session.
pub(crate) type Millis = u64;

/// Whether a datagram came itself or was recovered; what it says of windows and times may then be
/// old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Wire,
    Recovered,
}

/// Counts of segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sent for the first time.
    pub sent: u64,
    /// Sent again because no acknowledgement came in time.
    pub timed_out: u64,
    /// Sent again because later ones were acknowledged.
    pub resent_early: u64,
    /// Received with new data.
    pub received: u64,
    /// Received again.
    pub repeated: u64,
    /// Datagrams that error correction brought back.
    pub recovered: u64,
}

const INITIAL_TIMEOUT: u32 = 200;
const MIN_TIMEOUT: u32 = 100;
const MIN_TIMEOUT_NO_DELAY: u32 = 30;
const MAX_TIMEOUT: u32 = 60_000;
/// What the peer waits for was sent so often and not acknowledged: the session is over.
const DEAD: u32 = 20;
const LEAST_PATIENCE: Millis = 1000;
/// When the peer is asked first whether its window is still closed, and how seldom it is asked in
/// the end. It says only once that it has opened; whatever is lost of that is waited for, so this
/// is sooner and more often than kcp-go asks (7 and 120 seconds).
const FIRST_PROBE: u64 = 500;
const LONGEST_PROBE: u64 = 10_000;
const MIN_THRESHOLD: u32 = 2;
/// A peer that waits for our window to open is told so often, until it sends: it would ask, but
/// only after a while.
const TELLS: u8 = 4;
/// Buffers that are kept to be used again.
const SPARE: usize = 256;

/// One end of a conversation.
#[derive(Debug)]
pub(crate) struct Arq {
    conversation: u32,
    config: Config,
    /// How much data a segment takes.
    segment: usize,
    pub(crate) stats: Stats,
    /// Buffers, to be used again.
    spare: Vec<Vec<u8>>,
    /// Room for the acknowledgements of a datagram.
    scratch: Vec<u32>,

    /// Data that has no number yet, in full segments but for the last.
    queue: VecDeque<Vec<u8>>,
    /// What has a number and is not acknowledged, without gaps.
    flight: VecDeque<Flight>,
    /// The number of the first in `flight`.
    una: u32,
    /// How often that was sent since it is the first. Later ones do not count: a peer whose window
    /// is smaller than we know drops them however often they come.
    tries: u32,
    /// How many of `flight`, from the end, were never sent.
    unsent: usize,
    /// Numbers that are to be sent again.
    resend: VecDeque<u32>,
    /// Nothing in flight times out before this.
    next_timeout: Option<Millis>,
    /// Later segments were acknowledged than some that were not.
    overtaken: bool,
    remote_window: u32,
    congestion_window: u32,
    threshold: u32,
    /// Segments that were acknowledged since the congestion window grew last.
    credit: u32,
    round_trip: u32,
    deviation: u32,
    timeout: u32,
    pace: Pace,
    probe_at: Option<Millis>,
    probe_wait: u64,
    ask: bool,
    dead: bool,

    /// The number of the segment that is waited for.
    expected: u32,
    /// Segments that can be read.
    ready: VecDeque<Vec<u8>>,
    /// So much of the first was read.
    read: usize,
    /// Segments from `expected` on that can't be read yet, as far as there are any.
    early: VecDeque<Option<Vec<u8>>>,
    /// The newest time of the peer's that came with data.
    newest: Option<u32>,
    /// Numbers and times of segments that are to be acknowledged.
    acks: Vec<(u32, u32)>,
    /// When the first of them came.
    acks_since: Millis,
    tell: bool,
    /// The peer is to be told so often yet that our window has opened.
    repeats: u8,
    /// When it is told again.
    tell_at: Option<Millis>,
}

impl Arq {
    pub(crate) fn new(conversation: u32, config: Config) -> Self {
        Self {
            conversation,
            segment: config.segment(),
            stats: Stats::default(),
            spare: Vec::new(),
            scratch: Vec::new(),
            queue: VecDeque::new(),
            flight: VecDeque::new(),
            una: 0,
            tries: 0,
            unsent: 0,
            resend: VecDeque::new(),
            next_timeout: None,
            overtaken: false,
            remote_window: 32,
            congestion_window: 1,
            // Nothing is known of the path: the window doubles until something is lost.
            threshold: config.send_window,
            credit: 0,
            round_trip: 0,
            deviation: 0,
            timeout: INITIAL_TIMEOUT,
            pace: Pace::new(),
            probe_at: None,
            probe_wait: 0,
            ask: false,
            dead: false,
            expected: 0,
            ready: VecDeque::new(),
            read: 0,
            early: VecDeque::new(),
            newest: None,
            acks: Vec::new(),
            acks_since: 0,
            tell: false,
            repeats: 0,
            tell_at: None,
            config,
        }
    }

    pub(crate) const fn conversation(&self) -> u32 {
        self.conversation
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn is_dead(&self) -> bool {
        self.dead
    }

    /// True when the peer said that something of ours has arrived.
    pub(crate) const fn is_heard(&self) -> bool {
        self.una > 0
    }

    /// How long an answer may take that is not late, in milliseconds.
    pub(crate) fn patience(&self) -> Millis {
        (3 * Millis::from(self.timeout)).max(LEAST_PATIENCE)
    }

    /// Takes the segments of a datagram; false when not all of it made sense.
    pub(crate) fn receive(&mut self, now: Millis, mut bytes: &[u8], origin: Origin) -> bool {
        let una_before = self.una;
        let mut acks = Acks {
            numbers: std::mem::take(&mut self.scratch),
            ..Acks::default()
        };
        let mut whole = true;
        while !bytes.is_empty() {
            let Some((header, data, rest)) = Header::split(bytes) else {
                whole = false;
                break;
            };
            bytes = rest;
            if header.conversation != self.conversation {
                whole = false;
                break;
            }
            if origin == Origin::Wire {
                self.remote_window = header.window.into();
            }
            self.acknowledge_before(header.expected);
            match header.command {
                Command::Ack => {
                    if self.acknowledge(header.number) {
                        acks.add(header.number, header.time);
                    }
                    acks.latest = Some(header.time);
                }
                Command::Push => {
                    let time = self.clock(header.time, origin);
                    self.take(now, header.number, time, data);
                }
                Command::AskWindow => self.tell = true,
                Command::TellWindow => {}
            }
        }
        self.watch_window(now);
        self.count_overtaken(&mut acks);
        if let (Some(time), Origin::Wire) = (acks.latest, origin) {
            // The clock on the wire has 32 bits.
            let round_trip = (now as u32).wrapping_sub(time);
            if round_trip < MAX_TIMEOUT * 2 {
                self.measure(round_trip);
                self.pace.measure(round_trip);
            }
        }
        self.open_window(self.una.wrapping_sub(una_before));
        acks.numbers.clear();
        self.scratch = acks.numbers;
        whole
    }

    /// Decides what is to be sent now; [`Self::emit`] then writes it.
    pub(crate) fn prepare(&mut self, now: Millis) {
        self.probe(now);
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell_at = None;
            self.tell = true;
        }
        self.pace.refill(now, self.window());
        let moved = self.move_to_flight();
        self.find_lost(now, moved);
    }

    /// Writes as much as fits of what is to be sent, and says how much that is.
    pub(crate) fn emit(&mut self, now: Millis, room: &mut [u8]) -> usize {
        let mut out = Out { room, used: 0 };
        let header = self.header(Command::Ack, now);
        self.emit_acks(header, &mut out);
        for (flag, command) in [
            (&mut self.ask, Command::AskWindow),
            (&mut self.tell, Command::TellWindow),
        ] {
            let header = Header { command, ..header };
            if *flag && out.put(header, &[]) {
                *flag = false;
            }
        }
        if self.repeats > 0 && self.tell_at.is_none() && !self.tell {
            self.repeats -= 1;
            self.tell_at = Some(now + Millis::from(self.timeout)).filter(|_| self.repeats > 0);
        }
        self.emit_data(now, header, &mut out);
        out.used
    }

    /// When [`Self::prepare`] is to be called at the latest.
    pub(crate) fn next_timeout(&self) -> Option<Millis> {
        let acks =
            (!self.acks.is_empty()).then(|| self.acks_since + Millis::from(self.config.interval));
        [
            acks,
            self.next_timeout,
            self.probe_at,
            self.tell_at,
            self.pace.held,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// True when there is something to send at once: data, or more acknowledgements than should
    /// wait.
    pub(crate) fn wants_send(&self) -> bool {
        let data = || {
            self.unsent > 0
                || !self.resend.is_empty()
                || (!self.queue.is_empty() && self.allowed() > 0)
        };
        self.ask
            || self.tell
            || self.overtaken
            || !self.acks.is_empty()
            || (self.pace.held.is_none() && data())
    }

    fn header(&self, command: Command, now: Millis) -> Header {
        let unused = self.config.receive_window as usize;
        let unused = unused.saturating_sub(self.ready.len());
        Header {
            conversation: self.conversation,
            command,
            fragment: 0,
            // At most 65535: see `Config::validate`.
            window: unused as u16,
            time: now as u32,
            number: 0,
            expected: self.expected,
            length: 0,
        }
    }

    /// An empty buffer that takes a segment.
    fn buffer(&mut self) -> Vec<u8> {
        self.spare
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(self.segment))
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE && buffer.capacity() > 0 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Gives up memory that is only there for speed.
    pub(crate) fn rest(&mut self) {
        if self.flight.is_empty() && self.queue.is_empty() && self.ready.is_empty() {
            self.spare = Vec::new();
            self.flight = VecDeque::new();
            self.queue = VecDeque::new();
            self.ready = VecDeque::new();
            self.resend = VecDeque::new();
            self.acks.shrink_to_fit();
        }
    }
}

/// True when `a` comes before `b`, in numbers that start again after 32 bits.
const fn before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

/// The acknowledgements of one datagram.
#[derive(Debug, Default)]
struct Acks {
    /// Numbers that were acknowledged for the first time.
    numbers: Vec<u32>,
    /// The youngest time of those.
    time: Option<u32>,
    /// The time of the last one, new or not.
    latest: Option<u32>,
}

impl Acks {
    fn add(&mut self, number: u32, time: u32) {
        self.numbers.push(number);
        if self.time.is_none_or(|youngest| before(youngest, time)) {
            self.time = Some(time);
        }
    }
}

/// A datagram that is being written.
struct Out<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Out<'_> {
    /// True when there is room for a segment with so much data.
    fn fits(&self, data: usize) -> bool {
        self.room.len() - self.used >= HEADER + data
    }

    /// Appends a segment; false when it does not fit.
    fn put(&mut self, header: Header, data: &[u8]) -> bool {
        let room = &mut self.room[self.used..];
        let Some(room) = room.get_mut(..HEADER + data.len()) else {
            return false;
        };
        room[..HEADER].copy_from_slice(&header.encode());
        room[HEADER..].copy_from_slice(data);
        self.used += HEADER + data.len();
        true
    }
}
