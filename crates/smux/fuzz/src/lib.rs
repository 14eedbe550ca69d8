//! What must hold whatever is received, and whatever both ends do.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use arbitrary::Arbitrary;
use bytes::{Buf, BytesMut};
use gost_smux::{Config, Outgoing, Session, Side, Stats, StreamError, StreamId, Version};

/// Arbitrary bytes into a session: no panic, bounded memory, and however they are cut the same
/// outcome.
pub fn any_bytes(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else {
        return;
    };
    let config = Config {
        version: if first & 1 == 0 {
            Version::V1
        } else {
            Version::V2
        },
        accept_backlog: 4,
        ..Config::default()
    };
    let whole = feed(&config, bytes, bytes.len().max(1));
    let cut = feed(&config, bytes, usize::from(first >> 1) + 1);
    assert_eq!(whole, cut);
}

fn feed(config: &Config, bytes: &[u8], step: usize) -> (Option<String>, Stats) {
    let mut session = Session::new(config.clone(), Side::Server, Instant::now()).unwrap();
    session.open().unwrap();
    for piece in bytes.chunks(step) {
        let mut input = BytesMut::from(piece);
        if let Err(error) = session.receive(&mut input) {
            assert_eq!(session.error(), Some(error));
            break;
        }
        assert!(input.is_empty() || !session.wants_read());
    }
    let stats = session.stats();
    assert!(stats.backlog <= 4);
    assert!(stats.unread <= bytes.len());
    // How much of a payload was taken before an overrun depends on the cut.
    let unread = if session.error().is_some() {
        0
    } else {
        stats.unread
    };
    (
        session.error().map(|e| e.to_string()),
        Stats { unread, ..stats },
    )
}

/// Two sessions and what is done with them.
#[derive(Arbitrary, Debug)]
pub struct Script {
    version_2: bool,
    frame: u16,
    stream_buffer: u16,
    send_buffer: u16,
    copy_below: u8,
    steps: Vec<(bool, Step)>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Open,
    Write { stream: u8, length: u16 },
    Read { stream: u8, most: u16 },
    Finish { stream: u8 },
    Release { stream: u8 },
    Carry { most: u16 },
}

struct End {
    session: Session,
    out: Outgoing,
    inbox: BytesMut,
    known: Vec<StreamId>,
    /// What the peer has written and this side has not read.
    expected: BTreeMap<StreamId, VecDeque<u8>>,
    counter: u8,
}

/// What is written on one side is read on the other, in order, and nobody is left waiting.
pub fn any_script(script: &Script) {
    let config = Config {
        version: if script.version_2 {
            Version::V2
        } else {
            Version::V1
        },
        max_frame_size: usize::from(script.frame).max(1),
        max_stream_buffer: usize::from(script.stream_buffer).max(1),
        max_receive_buffer: 100_000,
        send_buffer: usize::from(script.send_buffer).max(1),
        copy_below: usize::from(script.copy_below),
        ..Config::default()
    };
    let mut ends = [
        End::new(&config, Side::Client),
        End::new(&config, Side::Server),
    ];
    for (server, step) in &script.steps {
        let [client_end, server_end] = &mut ends;
        let (this, peer) = if *server {
            (server_end, client_end)
        } else {
            (client_end, server_end)
        };
        this.run(peer, step);
    }
}

impl End {
    fn new(config: &Config, side: Side) -> Self {
        Self {
            session: Session::new(config.clone(), side, Instant::now()).unwrap(),
            out: Outgoing::new(),
            inbox: BytesMut::new(),
            known: Vec::new(),
            expected: BTreeMap::new(),
            counter: 0,
        }
    }

    fn pick(&self, stream: u8) -> Option<StreamId> {
        self.known
            .get(usize::from(stream) % self.known.len().max(1))
            .copied()
    }

    fn run(&mut self, peer: &mut Self, step: &Step) {
        match *step {
            Step::Open => self.known.extend(self.session.open()),
            Step::Write { stream, length } => {
                let Some(id) = self.pick(stream) else { return };
                let data: Vec<u8> = (0..length)
                    .map(|_| {
                        self.counter = self.counter.wrapping_add(1);
                        self.counter
                    })
                    .collect();
                match self.session.write(id, &data) {
                    Ok(taken) => {
                        assert!(taken > 0 || data.is_empty());
                        peer.expected.entry(id).or_default().extend(&data[..taken]);
                    }
                    Err(
                        StreamError::Blocked
                        | StreamError::Finished
                        | StreamError::PeerFinished
                        | StreamError::Unknown,
                    ) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Read { stream, most } => {
                let Some(id) = self.pick(stream) else { return };
                if let Ok(Some(data)) = self.session.read_chunk(id, usize::from(most)) {
                    let expected = self.expected.entry(id).or_default();
                    for byte in data {
                        assert_eq!(expected.pop_front(), Some(byte));
                    }
                }
            }
            Step::Finish { stream } => {
                if let Some(id) = self.pick(stream) {
                    let _ = self.session.finish(id);
                }
            }
            Step::Release { stream } => {
                if let Some(id) = self.pick(stream) {
                    self.session.release(id);
                }
            }
            Step::Carry { most } => self.carry(peer, usize::from(most)),
        }
        while self.session.poll_event().is_some() {}
        assert_eq!(self.session.error(), None);
    }

    fn carry(&mut self, peer: &mut Self, most: usize) {
        let mut left = most;
        while left > 0 && self.session.transmit(&mut self.out) {
            let length = self.out.chunk().len().min(left);
            peer.inbox.extend_from_slice(&self.out.chunk()[..length]);
            self.out.advance(length);
            left -= length;
        }
        peer.session.receive(&mut peer.inbox).unwrap();
        while let Some(id) = peer.session.accept() {
            peer.known.push(id);
        }
        while peer.session.poll_event().is_some() {}
    }
}
