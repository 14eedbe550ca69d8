//! Two sessions with applications on top and a connection between them that
//! a test cuts as it likes. Nothing is retried unless an event asked for it,
//! so a lost wake-up shows as a test that does not finish its transfer.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use gost_smux::{
    Config, Event, Outgoing, Session, SessionError, Side, StreamError, StreamId, Version,
};

/// What an application does with one stream.
#[derive(Debug, Default)]
pub(crate) struct Task {
    /// Still to be written.
    pub(crate) to_write: Vec<u8>,
    /// Most bytes of one write and of one read call.
    pub(crate) write_step: usize,
    pub(crate) read_step: usize,
    /// Finish when all is written.
    pub(crate) finish: bool,
    /// Read nothing for now.
    pub(crate) stalled: bool,
    /// What was read, and whether its end was seen.
    pub(crate) received: Vec<u8>,
    pub(crate) ended: bool,
    /// The last error of a write or read.
    pub(crate) write_error: Option<StreamError>,
    pub(crate) read_error: Option<StreamError>,
    pub(crate) written: usize,
    pub(crate) finished: bool,
    pub(crate) writer_waits: bool,
    pub(crate) reader_waits: bool,
}

/// One side: session, application, and its ends of the connection.
pub(crate) struct End {
    pub(crate) session: Session,
    pub(crate) out: Outgoing,
    pub(crate) inbox: BytesMut,
    pub(crate) tasks: BTreeMap<StreamId, Task>,
    /// The task of each stream that the peer opens.
    pub(crate) on_accept: fn() -> Task,
    pub(crate) events: Vec<Event>,
    pub(crate) failure: Option<SessionError>,
}

pub(crate) struct Pair {
    pub(crate) client: End,
    pub(crate) server: End,
    /// How much the connection holds in each direction.
    pub(crate) capacity: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

impl Task {
    pub(crate) fn new() -> Self {
        Self {
            write_step: usize::MAX,
            read_step: usize::MAX,
            ..Self::default()
        }
    }

    /// Writes `data`.
    pub(crate) fn writing(data: Vec<u8>) -> Self {
        Self {
            to_write: data,
            ..Self::new()
        }
    }

    /// Writes `data` and finishes.
    pub(crate) fn sending(data: Vec<u8>) -> Self {
        Self {
            finish: true,
            ..Self::writing(data)
        }
    }

    pub(crate) fn stalled() -> Self {
        Self {
            stalled: true,
            ..Self::new()
        }
    }

    pub(crate) fn all_written(&self) -> bool {
        self.written == self.to_write.len()
    }
}

impl End {
    pub(crate) fn new(config: Config, side: Side, now: Instant) -> Self {
        Self {
            session: Session::new(config, side, now).unwrap(),
            out: Outgoing::new(),
            inbox: BytesMut::new(),
            tasks: BTreeMap::new(),
            on_accept: Task::new,
            events: Vec::new(),
            failure: None,
        }
    }

    pub(crate) fn open(&mut self, task: Task) -> StreamId {
        let id = self.session.open().unwrap();
        self.tasks.insert(id, task);
        self.run_tasks();
        id
    }

    pub(crate) fn task(&mut self, id: StreamId) -> &mut Task {
        self.tasks.get_mut(&id).unwrap()
    }

    /// Lets a stalled reader go on.
    pub(crate) fn resume(&mut self, id: StreamId) {
        self.task(id).stalled = false;
        self.run_tasks();
        self.take_input();
    }

    pub(crate) fn release(&mut self, id: StreamId) {
        self.session.release(id);
        self.tasks.remove(&id);
        self.take_input();
    }

    /// Gives what has arrived to the session, and the session's events to the
    /// application, until neither has more.
    pub(crate) fn take_input(&mut self) {
        loop {
            let before = self.inbox.len();
            if self.session.wants_read()
                && let Err(error) = self.session.receive(&mut self.inbox)
            {
                self.failure = Some(error);
            }
            if !self.take_events() && self.inbox.len() == before {
                return;
            }
        }
    }

    fn take_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.session.poll_event() {
            any = true;
            self.events.push(event);
            match event {
                Event::Opened => {
                    while let Some(id) = self.session.accept() {
                        self.tasks.insert(id, (self.on_accept)());
                    }
                }
                Event::Readable(id) => self.task(id).reader_waits = false,
                Event::Writable(id) => self.task(id).writer_waits = false,
                Event::Finished(id) => self.task(id).wake(),
                Event::Closed => self.tasks.values_mut().for_each(Task::wake),
            }
        }
        self.run_tasks();
        any
    }

    pub(crate) fn run_tasks(&mut self) {
        for (&id, task) in &mut self.tasks {
            task.write(id, &mut self.session);
            task.read(id, &mut self.session);
        }
    }

    /// At most `max` bytes for the connection.
    fn emit(&mut self, max: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < max {
            let more = self.session.transmit(&mut self.out);
            self.take_events();
            if !more {
                break;
            }
            let length = self.out.chunk().len().min(max - bytes.len());
            bytes.extend_from_slice(&self.out.chunk()[..length]);
            self.out.advance(length);
        }
        bytes
    }

    /// All that it has to say.
    pub(crate) fn emit_all(&mut self) -> Vec<u8> {
        self.emit(usize::MAX)
    }
}

impl Task {
    fn wake(&mut self) {
        self.writer_waits = false;
        self.reader_waits = false;
    }

    fn write(&mut self, id: StreamId, session: &mut Session) {
        while !self.writer_waits && self.write_error.is_none() {
            let left = &self.to_write[self.written..];
            if left.is_empty() {
                if self.finish && !self.finished {
                    self.finished = session.finish(id).is_ok();
                }
                return;
            }
            match session.write(id, &left[..left.len().min(self.write_step)]) {
                Ok(0) => panic!("write took nothing"),
                Ok(length) => self.written += length,
                Err(StreamError::Blocked) => self.writer_waits = true,
                Err(error) => self.write_error = Some(error),
            }
        }
    }

    fn read(&mut self, id: StreamId, session: &mut Session) {
        while !self.stalled && !self.reader_waits && !self.ended && self.read_error.is_none() {
            match session.read_chunk(id, self.read_step) {
                Ok(Some(data)) => self.received.extend_from_slice(&data),
                Ok(None) => self.ended = true,
                Err(StreamError::Blocked) => self.reader_waits = true,
                Err(error) => self.read_error = Some(error),
            }
        }
    }
}

impl Pair {
    pub(crate) fn new(config: &Config) -> Self {
        let now = Instant::now();
        Self {
            client: End::new(config.clone(), Side::Client, now),
            server: End::new(config.clone(), Side::Server, now),
            capacity: 200_000,
        }
    }

    /// Carries at most `max` bytes one way; returns how many.
    pub(crate) fn carry(&mut self, direction: Direction, max: usize) -> usize {
        let (from, to) = match direction {
            Direction::ToServer => (&mut self.client, &mut self.server),
            Direction::ToClient => (&mut self.server, &mut self.client),
        };
        let room = self.capacity.saturating_sub(to.inbox.len());
        let bytes = from.emit(max.min(room));
        to.inbox.extend_from_slice(&bytes);
        to.take_input();
        bytes.len()
    }

    /// Carries until nothing moves any more.
    pub(crate) fn settle(&mut self) {
        while self.carry(Direction::ToServer, 65_536) + self.carry(Direction::ToClient, 65_536) > 0
        {
        }
    }
}

pub(crate) fn config(version: Version) -> Config {
    Config {
        version,
        ..Config::default()
    }
}

/// Bytes that differ by stream and position.
pub(crate) fn pattern(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        })
        .collect()
}
