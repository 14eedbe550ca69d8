//! Two sessions that do what the fuzzer says: what is written on one side is
//! read on the other, in order, and nobody is left waiting.

#![no_main]

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use arbitrary::Arbitrary;
use bytes::{Buf, BytesMut};
use gost_smux::{Config, Outgoing, Session, Side, StreamError, StreamId, Version};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Script {
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

fuzz_target!(|script: Script| {
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
});

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
