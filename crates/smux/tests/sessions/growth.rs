//! Windows that grow, over a path that is long: both ends and the time between
//! them in the hands of the test.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use gost_smux::{Config, Event, Outgoing, Session, Side, StreamError, StreamId, Version};

use crate::support::config;

const STEP: Duration = Duration::from_millis(1);

/// One end, with the bytes on their way to it.
struct End {
    session: Session,
    out: Outgoing,
    arriving: VecDeque<(Instant, Bytes)>,
}

/// A connection on which every byte takes `delay`, and `rate` bytes at most
/// leave in a step.
struct Path {
    sender: End,
    reader: End,
    now: Instant,
    delay: Duration,
    rate: usize,
}

impl End {
    fn new(config: &Config, side: Side, now: Instant) -> Self {
        Self {
            session: Session::new(config.clone(), side, now).unwrap(),
            out: Outgoing::new(),
            arriving: VecDeque::new(),
        }
    }

    /// Takes what has arrived and gives what may leave.
    fn run(&mut self, now: Instant, mut rate: usize) -> Bytes {
        self.session.set_time(now);
        while self.arriving.front().is_some_and(|(at, _)| *at <= now) && self.session.wants_read() {
            let (at, bytes) = self.arriving.pop_front().unwrap();
            let mut input = BytesMut::from(bytes);
            self.session.receive(&mut input).unwrap();
            if !input.is_empty() {
                self.arriving.push_front((at, input.freeze()));
            }
        }
        let mut sent = BytesMut::new();
        while self.session.transmit(&mut self.out) && rate > 0 {
            let length = self.out.chunk().len().min(rate);
            sent.extend_from_slice(&self.out.chunk()[..length]);
            self.out.advance(length);
            rate -= length;
        }
        sent.freeze()
    }
}

impl Path {
    fn new(config: &Config, delay: Duration, rate: usize) -> Self {
        let now = Instant::now();
        Self {
            sender: End::new(config, Side::Client, now),
            reader: End::new(config, Side::Server, now),
            now,
            delay,
            rate,
        }
    }

    /// Opens streams, and accepts them at the other end.
    fn open(&mut self, count: usize) -> Vec<StreamId> {
        let ids: Vec<_> = (0..count)
            .map(|_| self.sender.session.open().unwrap())
            .collect();
        while self.reader.session.stats().streams < count {
            self.step(&[], &[]);
        }
        while self.reader.session.accept().is_some() {}
        ids
    }

    /// A millisecond: `writers` write what they can, `readers` read all there
    /// is. Returns how much each reader got.
    fn step(&mut self, writers: &[StreamId], readers: &[StreamId]) -> Vec<usize> {
        self.now += STEP;
        let data = [0; 16 << 10];
        // Only who was told that it may go on tries again.
        for end in [&mut self.sender, &mut self.reader] {
            while let Some(event) = end.session.poll_event() {
                assert_ne!(event, Event::Closed);
            }
        }
        for &id in writers {
            while self.sender.session.write(id, &data).is_ok() {}
        }
        let sent = self.sender.run(self.now, self.rate);
        if !sent.is_empty() {
            self.reader
                .arriving
                .push_back((self.now + self.delay, sent));
        }
        let answer = self.reader.run(self.now, usize::MAX);
        let read = readers
            .iter()
            .map(|&id| {
                let mut sink = Vec::new();
                match self.reader.session.read(id, &mut sink) {
                    Ok(length) => length,
                    Err(StreamError::Blocked) => 0,
                    Err(error) => panic!("{error}"),
                }
            })
            .collect();
        let more = self.reader.run(self.now, usize::MAX);
        for sent in [answer, more] {
            if !sent.is_empty() {
                self.sender
                    .arriving
                    .push_back((self.now + self.delay, sent));
            }
        }
        read
    }

    /// How much each of `ids` carries in so many steps.
    fn carry(&mut self, ids: &[StreamId], steps: usize) -> Vec<usize> {
        let mut all = vec![0; ids.len()];
        for _ in 0..steps {
            for (sum, read) in all.iter_mut().zip(self.step(ids, ids)) {
                *sum += read;
            }
        }
        all
    }
}

#[test]
fn one_stream_fills_a_long_path() {
    let delay = Duration::from_millis(100);
    // 20 MB in a second: 4 MB are on their way in a round trip.
    let rate = 20_000;
    let carried = |growth| {
        let config = Config {
            max_window_growth: growth,
            ..config(Version::V2)
        };
        let mut path = Path::new(&config, delay, rate);
        let ids = path.open(1);
        path.carry(&ids, 3000);
        path.carry(&ids, 1000)[0]
    };
    // A window in each round trip, as the protocol has it without growth.
    let fixed = carried(0);
    assert!(fixed <= 5 * 65_536 + 32_768, "{fixed}");
    let grown = carried(16 << 20);
    assert!(grown > 19_000_000, "{grown}");
}

#[test]
fn streams_on_a_long_path_share_it_alike() {
    let config = config(Version::V2);
    let mut path = Path::new(&config, Duration::from_millis(100), 20_000);
    let ids = path.open(100);
    // Half of them come later.
    path.carry(&ids[..50], 2000);
    path.carry(&ids, 2000);
    let all = path.carry(&ids, 2000);
    let sum: usize = all.iter().sum();
    let squares: usize = all.iter().map(|n| n * n).sum();
    // Jain's index: 1 when all are alike.
    let percent = 100 * sum * sum / (all.len() * squares);
    assert!(percent >= 99, "{percent} %: {all:?}");
    assert!(sum > 38_000_000, "{sum}");
}

#[test]
fn a_reader_that_stalls_with_a_grown_window_holds_up_itself_alone() {
    let config = Config {
        max_receive_buffer: 2 << 20,
        ..config(Version::V2)
    };
    let mut path = Path::new(&config, Duration::from_millis(100), 20_000);
    let ids = path.open(3);
    path.carry(&ids, 4000);
    let (stalled, others) = ids.split_first().unwrap();
    for _ in 0..2000 {
        path.step(&ids, others);
    }
    let stats = path.reader.session.stats();
    assert!(stats.unread > 1 << 20, "{}", stats.unread);
    assert!(stats.unread <= (2 << 20) + (16 << 20));
    let all = path.carry(others, 1000);
    assert!(all.iter().sum::<usize>() > 15_000_000, "{all:?}");
    // And it goes on when it is read.
    assert!(path.carry(&[*stalled], 1000)[0] > 10_000_000);
}

#[test]
fn a_short_path_needs_no_growth() {
    let config = config(Version::V2);
    // 20 MB in a second and 2 ms: 40 kB are on their way.
    let mut path = Path::new(&config, Duration::from_millis(1), 20_000);
    let ids = path.open(1);
    let mut most = 0;
    for _ in 0..3000 {
        path.step(&ids, &ids);
        most = most.max(path.sender.session.stats().queued);
    }
    // A reader that stops is sent a small multiple of that.
    let mut unread = 0;
    for _ in 0..1000 {
        path.step(&ids, &[]);
        unread = path.reader.session.stats().unread;
    }
    assert!(unread <= 512 << 10, "{unread}");
    assert!(most <= 256 << 10);
}
