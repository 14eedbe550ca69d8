//! An endpoint over a socket of our own making, with a clock of our own.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use gost_core::{options::Options as _, packet::RawPacket, values::Values};
use gost_kcp::segment::{Command, Header};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::options::KcpOptions;

/// A socket whose other end is the test.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    arriving: VecDeque<(Vec<u8>, Addr)>,
    reader: Option<Waker>,
    left: Vec<(Vec<u8>, Addr)>,
}

impl Wire {
    fn deliver(&self, datagram: &[u8], from: u16) {
        let mut ends = self.0.lock();
        ends.arriving.push_back((datagram.to_vec(), address(from)));
        if let Some(reader) = ends.reader.take() {
            reader.wake();
        }
    }

    fn left(&self) -> Vec<(Vec<u8>, Addr)> {
        std::mem::take(&mut self.0.lock().left)
    }
}

impl Packet for Wire {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Batch) -> Poll<io::Result<()>> {
        let mut ends = self.0.lock();
        if ends.arriving.is_empty() {
            ends.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        while into.len() < 16
            && let Some((datagram, from)) = ends.arriving.pop_front()
        {
            assert!(into.push(&datagram, from));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, _: &mut Context<'_>, from: &mut Batch) -> Poll<io::Result<()>> {
        let mut ends = self.0.lock();
        for (datagram, to) in from.iter() {
            ends.left.push((datagram.to_vec(), to.clone()));
        }
        from.clear();
        Poll::Ready(Ok(()))
    }

    fn into_raw(self: Box<Self>) -> Result<RawPacket, Box<dyn Packet>> {
        Err(self)
    }
}

/// A door that keeps everybody who came.
#[derive(Clone)]
struct Hall {
    settings: Arc<Settings>,
    came: Arc<Mutex<Vec<KcpStream>>>,
    most: usize,
}

impl Door for Hall {
    fn settings(&self) -> Option<Arc<Settings>> {
        Some(self.settings.clone())
    }

    fn enter(&self, stream: KcpStream, _: Addr) {
        self.came.lock().push(stream);
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn most(&self) -> usize {
        self.most
    }
}

fn address(port: u16) -> Addr {
    SocketAddr::from(([127, 0, 0, 1], port)).into()
}

/// An endpoint that is running, and what it is connected to.
fn endpoint(most: usize) -> (Wire, Hall) {
    let mut errors = Vec::new();
    let values = [
        ("kcp.key", "k"),
        ("kcp.nocomp", "true"),
        ("kcp.mode", "fast3"),
    ];
    let values = values
        .iter()
        .fold(Values::new(), |values, (k, v)| values.with(k, *v));
    let options = KcpOptions::read(&values, &mut errors);
    let hall = Hall {
        settings: Settings::new(&options, "test").unwrap(),
        came: Arc::default(),
        most,
    };
    let wire = Wire::default();
    let endpoint = Endpoint::new(Box::new(wire.clone()), hall.clone(), "test").unwrap();
    tokio::spawn(endpoint.run());
    (wire, hall)
}

/// Data of a conversation, with the number that says where it belongs.
fn data(conversation: u32, number: u32, text: &[u8]) -> Vec<u8> {
    let header = Header {
        conversation,
        command: Command::Push,
        fragment: 0,
        window: 1024,
        time: 0,
        number,
        expected: 0,
        length: text.len() as u32,
    };
    [&header.encode()[..], text].concat()
}

/// A datagram with this body, as who has the key sends it.
fn sealed(hall: &Hall, nonces: &mut Nonces, body: &[u8]) -> Vec<u8> {
    let mut datagram = [&[0; gost_kcp::packet::HEADER], body].concat();
    hall.settings.envelope.close(nonces, &mut [&mut datagram]);
    datagram
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_is_not_sent_much() {
    let (wire, hall) = endpoint(10);
    let mut nonces = Nonces::new([1; 32]);
    wire.deliver(&sealed(&hall, &mut nonces, &data(7, 0, b"hello")), 1);
    pass(Duration::from_millis(100)).await;
    let mut stream = hall.came.lock().pop().unwrap();
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello");
    // There is much to say.
    let writing = tokio::spawn(async move { while stream.write_all(&[7; 1000]).await.is_ok() {} });
    pass(Duration::from_mins(1)).await;
    assert_eq!(wire.left().len(), 6);
    // Another copy of the same datagram is worth as much again, and no more.
    wire.deliver(&sealed(&hall, &mut nonces, &data(7, 0, b"hello")), 1);
    pass(Duration::from_mins(1)).await;
    assert_eq!(wire.left().len(), 6);
    // Who says that something has arrived gets everything.
    let answer = Header {
        command: Command::Ack,
        expected: 1,
        ..Header::split(&data(7, 0, b"")).unwrap().0
    };
    wire.deliver(&sealed(&hall, &mut nonces, &answer.encode()), 1);
    pass(Duration::from_secs(2)).await;
    assert!(wire.left().len() > 20);
    writing.abort();
}

#[tokio::test(start_paused = true)]
async fn sessions_begin_with_valid_data_only_and_are_not_too_many() {
    let (wire, hall) = endpoint(3);
    let mut nonces = Nonces::new([1; 32]);
    let good = data(7, 0, b"hello");
    // The wrong key, and datagrams of every length.
    for length in 0..1600 {
        wire.deliver(&vec![length as u8; length], 1);
        // The right key, but no segment that there is.
        let body: Vec<u8> = good.iter().copied().take(4).collect();
        let body = [body, vec![0xee; length.min(1480)]].concat();
        wire.deliver(&sealed(&hall, &mut nonces, &body), 1);
    }
    // Parity, what is not the beginning, and what is cut short.
    let parity = [&[0, 0, 0, 0, 0xf2, 0, 9, 0], &good[..]].concat();
    for body in [
        &parity,
        &data(7, 40, b"x"),
        &good[..good.len() - 1].to_vec(),
    ] {
        wire.deliver(&sealed(&hall, &mut nonces, body), 1);
    }
    pass(Duration::from_secs(1)).await;
    assert!(hall.came.lock().is_empty());
    assert!(wire.left().is_empty());
    for port in 1..10 {
        wire.deliver(&sealed(&hall, &mut nonces, &good), port);
    }
    pass(Duration::from_secs(1)).await;
    assert_eq!(hall.came.lock().len(), 3);
    // There is room again once they are gone.
    hall.came.lock().clear();
    pass(LINGER * 2).await;
    wire.deliver(&sealed(&hall, &mut nonces, &good), 20);
    pass(Duration::from_secs(1)).await;
    assert_eq!(hall.came.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_who_has_the_key_makes_up_harms_nobody_else() {
    let (wire, hall) = endpoint(100);
    let mut nonces = Nonces::new([1; 32]);
    let mut random = fastrand::Rng::with_seed(4);
    for number in 0..3 {
        let text = sealed(&hall, &mut nonces, &data(7, number, b"abc"));
        wire.deliver(&text, 1);
        // Replayed.
        wire.deliver(&text, 1);
    }
    for _ in 0..5000 {
        let mut body = data(7, random.u32(..60), &vec![1; random.usize(..300)]);
        for _ in 0..random.usize(..4) {
            let at = random.usize(..body.len());
            body[at] = random.u8(..);
        }
        if random.bool() {
            // Groups of error correction that make no sense.
            let kind = [0xf1, 0xf2][random.usize(..2)];
            body.splice(
                ..0,
                [
                    random.u8(..40),
                    0,
                    0,
                    0,
                    kind,
                    0,
                    random.u8(..),
                    random.u8(..2),
                ],
            );
        }
        wire.deliver(&sealed(&hall, &mut nonces, &body), random.u16(2..30));
    }
    wire.deliver(&sealed(&hall, &mut nonces, &data(7, 3, b"end")), 1);
    pass(Duration::from_secs(1)).await;
    let mut came = std::mem::take(&mut *hall.came.lock());
    // One for each sender, who may have begun anew.
    let alive = came.iter().filter(|s| s.link().lock().error.is_none());
    assert!(alive.count() <= 30);
    let mut text = [0; 12];
    let mut stream = came.remove(0);
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"abcabcabcend");
}
