use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use gost_core::{
    addr::{Addr, Target},
    error::{Error, Phase, Side, Why},
};
use gost_relay::Response;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::*;

/// What a stream below was told, in order.
#[derive(Clone, Debug, PartialEq)]
enum Did {
    Write(Vec<u8>),
    Shutdown,
    Abort,
}

/// A stream that reads from a script and takes writes in pieces.
struct Below {
    reads: VecDeque<Vec<u8>>,
    /// How the script ends: with the end of the stream, or with silence.
    ends: bool,
    /// How much each write takes; all of it once there are no more.
    takes: VecDeque<usize>,
    vectored: bool,
    broken: bool,
    log: Arc<Mutex<Vec<Did>>>,
}

impl Below {
    fn new(reads: &[&[u8]]) -> (Self, Arc<Mutex<Vec<Did>>>) {
        let log = Arc::default();
        let below = Self {
            reads: reads.iter().map(|bytes| bytes.to_vec()).collect(),
            ends: false,
            takes: VecDeque::new(),
            vectored: true,
            broken: false,
            log: Arc::clone(&log),
        };
        (below, log)
    }
}

impl AsyncRead for Below {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut bytes) = self.reads.pop_front() else {
            return if self.ends {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        };
        let rest = bytes.split_off(bytes.len().min(buf.remaining()));
        if !rest.is_empty() {
            self.reads.push_front(rest);
        }
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Below {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let bufs = if self.vectored { bufs } else { &bufs[..1] };
        let mut bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        bytes.truncate(self.takes.pop_front().unwrap_or(usize::MAX));
        let n = bytes.len();
        self.log.lock().unwrap().push(Did::Write(bytes));
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.log.lock().unwrap().push(Did::Shutdown);
        Poll::Ready(Ok(()))
    }
}

impl Stream for Below {
    fn into_raw(self: Box<Self>) -> Result<RawStream, Box<dyn Stream>> {
        Err(self)
    }

    fn abort(self: Box<Self>) {
        self.log.lock().unwrap().push(Did::Abort);
    }

    fn half_close(&self) -> bool {
        true
    }
}

const MESSAGE: &[u8] = b"MESSAGE";
const OK: &[u8] = &[1, 0, 0, 0];

fn question() -> Question {
    let target = Target::tcp(Addr::parse("example.com:443").unwrap());
    Question::new(&"n1".into(), "connect", &target, Phase::Dial)
}

fn server(below: Below) -> Held {
    Held::new(Box::new(below), MESSAGE.to_vec(), HOLD)
}

fn client(below: Below) -> Held {
    server(below).with_answer_due(question())
}

fn wrote(bytes: &[u8]) -> Did {
    Did::Write(bytes.to_vec())
}

#[tokio::test]
async fn the_message_and_the_first_payload_are_one_write() {
    let (below, log) = Below::new(&[]);
    let mut held = server(below);
    held.write_all(b"one").await.unwrap();
    held.write_all(b"two").await.unwrap();
    assert_eq!(*log.lock().unwrap(), [wrote(b"MESSAGEone"), wrote(b"two")]);
}

#[tokio::test]
async fn they_are_also_one_write_where_slices_go_one_by_one() {
    let (mut below, log) = Below::new(&[]);
    below.vectored = false;
    let mut held = server(below);
    let slices = [IoSlice::new(b"one"), IoSlice::new(b"two")];
    assert_eq!(held.write_vectored(&slices).await.unwrap(), 6);
    assert_eq!(*log.lock().unwrap(), [wrote(b"MESSAGEonetwo")]);
}

#[tokio::test(start_paused = true)]
async fn without_payload_the_message_goes_alone_after_the_hold() {
    let (below, log) = Below::new(&[]);
    let mut held = server(below);
    let start = Instant::now();
    let read = tokio::time::timeout(Duration::from_secs(1), held.read_u8());
    assert!(read.await.is_err());
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert_eq!(*log.lock().unwrap(), [wrote(MESSAGE)]);
    assert!(held.owed.is_none(), "message and timer are freed");
}

#[tokio::test(start_paused = true)]
async fn payload_within_the_hold_still_takes_the_message_along() {
    let (below, log) = Below::new(&[]);
    let mut held = server(below);
    let read = tokio::time::timeout(HOLD / 2, held.read_u8());
    assert!(read.await.is_err());
    held.write_all(b"x").await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(1), held.read_u8());
    assert!(read.await.is_err());
    assert_eq!(*log.lock().unwrap(), [wrote(b"MESSAGEx")]);
}

#[tokio::test]
async fn without_hold_the_message_goes_with_the_first_poll() {
    let (below, log) = Below::new(&[b"x"]);
    let mut held = Held::new(Box::new(below), MESSAGE.to_vec(), Duration::ZERO);
    assert_eq!(held.read_u8().await.unwrap(), b'x');
    assert_eq!(*log.lock().unwrap(), [wrote(MESSAGE)]);
}

#[tokio::test]
async fn the_message_goes_before_the_end() {
    let (below, log) = Below::new(&[]);
    let mut held = client(below);
    held.shutdown().await.unwrap();
    assert_eq!(*log.lock().unwrap(), [wrote(MESSAGE), Did::Shutdown]);
}

#[tokio::test]
async fn who_has_ended_need_not_wait_for_the_answer() {
    let (mut below, log) = Below::new(&[]);
    below.ends = true;
    let mut held = server(below);
    assert_eq!(held.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(*log.lock().unwrap(), [wrote(MESSAGE)]);
}

#[tokio::test]
async fn the_answer_is_cut_off_the_payload() {
    for reads in [
        &[&b"\x01\0\0\0payload"[..]][..],
        &[OK, b"payload"],
        &[b"\x01\0", b"\0\0pay", b"load"],
    ] {
        let (mut below, _) = Below::new(reads);
        below.ends = true;
        let mut held = client(below);
        held.write_all(b"x").await.unwrap();
        let mut all = String::new();
        held.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "payload");
        assert!(held.due.is_none());
    }
}

#[tokio::test]
async fn a_late_refusal_says_why() {
    let (below, _) = Below::new(&[&[1, 7], &[0, 0]]);
    let mut held = client(below);
    held.write_all(b"x").await.unwrap();
    let error = Error::from(held.read_u8().await.unwrap_err());
    assert_eq!(
        (error.why(), error.at_side()),
        (Why::Unreachable, Side::Target)
    );
}

#[tokio::test]
async fn a_refusal_explains_why_writing_fails() {
    let (mut below, _) = Below::new(&[&[1, 2, 0, 0]]);
    below.broken = true;
    let mut held = client(below);
    let error = Error::from(held.write_all(b"x").await.unwrap_err());
    assert_eq!((error.why(), error.at_side()), (Why::Auth, Side::Node));
}

#[tokio::test]
async fn a_node_that_breaks_is_at_fault() {
    let (mut below, _) = Below::new(&[]);
    below.broken = true;
    let mut held = client(below);
    let error = Error::from(held.write_all(b"x").await.unwrap_err());
    assert_eq!((error.why(), error.at_side()), (Why::Reset, Side::Node));
}

#[tokio::test]
async fn an_end_in_the_middle_of_the_answer_is_an_error() {
    let (mut below, _) = Below::new(&[&[1, 0, 0]]);
    below.ends = true;
    let mut held = client(below);
    held.write_all(b"x").await.unwrap();
    let error = Error::from(held.read_u8().await.unwrap_err());
    assert_eq!((error.why(), error.at_side()), (Why::Closed, Side::Node));
}

#[tokio::test]
async fn an_end_without_an_answer_is_in_order_once_asked() {
    // That is what a server of the original does when its target ends without a word.
    let (mut below, _) = Below::new(&[]);
    below.ends = true;
    let mut held = client(below);
    held.write_all(b"x").await.unwrap();
    assert_eq!(held.read(&mut [0; 8]).await.unwrap(), 0);

    let (mut below, _) = Below::new(&[]);
    below.ends = true;
    let error = Error::from(client(below).read(&mut [0; 8]).await.unwrap_err());
    assert_eq!((error.why(), error.at_side()), (Why::Closed, Side::Node));
}

#[tokio::test]
async fn the_wrapper_is_gone_once_nothing_is_owed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
    let near = near.await.unwrap();
    let mut far = listener.accept().await.unwrap().0;

    let held = Held::new(Box::new(near), MESSAGE.to_vec(), HOLD).with_answer_due(question());
    let held: Box<dyn Stream> = Box::new(held);
    let mut held = held.into_raw().expect_err("it owes a message");
    held.write_all(b"x").await.unwrap();
    let mut held = held.into_raw().expect_err("it awaits an answer");
    far.write_all(b"\x01\0\0\0y").await.unwrap();
    assert_eq!(held.read_u8().await.unwrap(), b'y');
    let mut raw = held.into_raw().ok().expect("nothing is owed");
    assert!(raw.ahead.is_empty());
    raw.socket.write_all(b"z").await.unwrap();
    let mut got = [0; 9];
    far.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"MESSAGExz");
}

#[tokio::test]
async fn an_abort_reaches_the_stream_below() {
    let (below, log) = Below::new(&[]);
    let held = Box::new(client(below));
    assert!(held.half_close());
    held.abort();
    assert_eq!(*log.lock().unwrap(), [Did::Abort]);
}

#[test]
fn what_stays_is_small() {
    assert!(size_of::<Held>() <= 32, "{}", size_of::<Held>());
}

proptest! {
    /// However the streams cut what goes through them, message and answer come first and nothing
    /// is lost.
    #[test]
    fn any_cutting_gives_the_same_bytes(
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        cuts in proptest::collection::vec(1_usize..40, 0..40),
        takes in proptest::collection::vec(1_usize..20, 0..40),
        chunk in 1_usize..50,
        room in 1_usize..50,
        vectored: bool,
        features in 0_usize..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut answer = Response::ok();
        for port in 0..features {
            let addr = std::net::SocketAddr::from(([127, 0, 0, 1], port as u16));
            answer = answer.with_address(gost_relay::Address::from(addr));
        }
        let mut incoming = answer.to_vec().unwrap();
        incoming.extend_from_slice(&payload);
        let (mut below, log) = Below::new(&[]);
        for cut in cuts {
            let rest = incoming.split_off(cut.min(incoming.len()));
            below.reads.push_back(std::mem::replace(&mut incoming, rest));
        }
        below.reads.push_back(incoming);
        below.reads.retain(|bytes| !bytes.is_empty());
        below.ends = true;
        below.takes = takes.into();
        below.vectored = vectored;
        runtime.block_on(async {
            let mut held = client(below);
            for piece in payload.chunks(chunk) {
                held.write_all(piece).await.unwrap();
            }
            let mut got = Vec::new();
            let mut space = vec![0; room];
            loop {
                match held.read(&mut space).await.unwrap() {
                    0 => break,
                    n => got.extend_from_slice(&space[..n]),
                }
            }
            assert_eq!(got, payload);
            held.shutdown().await.unwrap();
        });
        let mut sent = Vec::new();
        for did in log.lock().unwrap().iter() {
            if let Did::Write(bytes) = did {
                sent.extend_from_slice(bytes);
            }
        }
        assert_eq!(sent, [MESSAGE, &payload[..]].concat());
    }
}
