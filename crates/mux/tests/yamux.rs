//! Sessions of yamux: the same as those of smux where it matters, and against bad peers.

#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gost_core::{
    error::{Error, Why},
    listener::Listener,
    options::Options,
    values::Values,
};
use gost_mux::{MuxOptions, MuxSettings, Version};
use support::{accept, conn, echo, exchange, open, pair, pattern, poll_once, soon, tcp};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinSet,
    time::Instant,
};

fn settings() -> MuxSettings {
    with(&[])
}

fn with(pairs: &[(&str, &str)]) -> MuxSettings {
    let values = Values::new().with("mux.type", "yamux");
    let values = pairs
        .iter()
        .fold(values, |values, (key, value)| values.with(key, *value));
    let mut errors = Vec::new();
    let options = MuxOptions::read(&values, &mut errors);
    assert_eq!(errors, []);
    options.settings(Version::V1).unwrap()
}

/// A frame, for peers that are played by hand.
fn frame(kind: u8, flags: u8, stream: u32, length: u32) -> Vec<u8> {
    let mut frame = vec![0, kind, 0, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(&length.to_be_bytes());
    frame
}

const DATA: u8 = 0;
const WINDOW: u8 = 1;
const PING: u8 = 2;
const SYN: u8 = 1;
const ACK: u8 = 2;
const FIN: u8 = 4;
const RST: u8 = 8;

/// The next frame that is no ping, without its data.
async fn next(peer: &mut DuplexStream) -> (u8, u8, u32, u32) {
    loop {
        let mut header = [0; 12];
        soon(peer.read_exact(&mut header)).await.unwrap();
        let number = |at: usize| u32::from_be_bytes(*header[at..].first_chunk().unwrap());
        if header[1] != PING {
            return (header[1], header[3], number(4), number(8));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_carry_their_own_bytes() {
    let (near, far) = tcp().await;
    let session = gost_mux::client(conn(near), &settings()).unwrap();
    let streams = gost_mux::server(conn(far), &settings()).unwrap();
    let server = tokio::spawn(echo(streams));
    let mut work = JoinSet::new();
    for n in 0..2000 {
        let session = session.clone();
        let length = [1, 100, 5_000, 600_000][n % 4] / if n > 100 { 10 } else { 1 };
        let sent = pattern(n, length.max(1));
        work.spawn(async move { exchange(open(&session).await, &sent).await });
    }
    soon(work.join_all()).await;
    assert_eq!(session.streams(), 0);
    drop(session);
    soon(server).await.unwrap();
}

#[tokio::test]
async fn a_stream_is_told_of_and_accepted_before_it_carries_data() {
    let (near, mut peer) = tokio::io::duplex(1 << 10);
    let session = gost_mux::client(conn(near), &settings()).unwrap();
    let stream = open(&session).await;
    assert_eq!(next(&mut peer).await, (DATA, SYN, 1, 0));
    drop(stream);
    assert_eq!(next(&mut peer).await, (DATA, RST, 1, 0));

    let (near, mut peer) = tokio::io::duplex(1 << 10);
    let mut streams = gost_mux::server(conn(near), &settings()).unwrap();
    peer.write_all(&frame(WINDOW, SYN, 1, 0)).await.unwrap();
    let mut stream = soon(accept(&mut streams)).await;
    assert_eq!(next(&mut peer).await, (DATA, ACK, 1, 0));
    stream.shutdown().await.unwrap();
    assert_eq!(next(&mut peer).await, (DATA, FIN, 1, 0));
}

#[tokio::test]
async fn an_end_reads_as_an_end_and_stops_the_writer() {
    let (session, mut streams) = pair(&settings());
    let mut near = open(&session).await;
    let mut far = accept(&mut streams).await;
    near.write_all(b"last words").await.unwrap();
    near.shutdown().await.unwrap();
    let mut all = String::new();
    soon(far.read_to_string(&mut all)).await.unwrap();
    assert_eq!(all, "last words");
    for stream in [&mut far, &mut near] {
        let error = stream.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        assert!(!stream.half_close());
    }
}

#[tokio::test]
async fn what_was_written_arrives_though_all_is_dropped_at_once() {
    let (near, far) = tcp().await;
    let session = gost_mux::client(conn(near), &settings()).unwrap();
    let mut streams = gost_mux::server(conn(far), &settings()).unwrap();
    let mut near = open(&session).await;
    let sent = pattern(1, 200_000);
    near.write_all(&sent).await.unwrap();
    near.shutdown().await.unwrap();
    drop((near, session));
    let mut far = accept(&mut streams).await;
    let mut all = Vec::new();
    soon(far.read_to_end(&mut all)).await.unwrap();
    assert!(all == sent);
    assert_eq!(soon(streams.accept()).await.unwrap_err().why(), Why::Closed);
}

#[tokio::test]
async fn an_abort_and_a_lost_connection_are_errors_and_no_ends() {
    let (session, mut streams) = pair(&settings());
    let mut near = open(&session).await;
    near.write_all(b"!").await.unwrap();
    let mut far = accept(&mut streams).await;
    near.abort();
    let error = soon(far.read_to_end(&mut Vec::new())).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    let (near, far) = tcp().await;
    let session = gost_mux::client(conn(near), &settings()).unwrap();
    let mut stream = open(&session).await;
    drop(far);
    let error = Error::from(soon(stream.read(&mut [0; 1])).await.unwrap_err());
    assert_eq!(error.why(), Why::Reset);
    assert_eq!(soon(session.closed()).await.why(), Why::Reset);
    assert_eq!(session.open().await.unwrap_err().why(), Why::Reset);
}

#[tokio::test]
async fn a_stream_that_is_not_read_holds_up_itself_alone() {
    let (session, mut streams) = pair(&settings());
    let mut stuck = open(&session).await;
    let flood = tokio::spawn(async move {
        let chunk = vec![1; 64 << 10];
        while stuck.write_all(&chunk).await.is_ok() {}
    });
    let unread = accept(&mut streams).await;
    tokio::spawn(echo(streams));
    for n in 0..20 {
        soon(exchange(open(&session).await, &pattern(n, 300_000))).await;
    }
    assert!(!flood.is_finished());
    drop(unread);
    soon(flood).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_accepts_nothing_makes_new_streams_wait_and_loses_none() {
    let (near, mut peer) = tokio::io::duplex(64 << 10);
    let session = gost_mux::client(conn(near), &settings()).unwrap();
    let mut held = Vec::new();
    for _ in 0..256 {
        held.push(soon(session.open()).await.unwrap());
    }
    {
        let mut waiting = std::pin::pin!(session.open());
        for _ in 0..100 {
            assert!(poll_once(waiting.as_mut()).await.is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!(session.streams(), 257);
        peer.write_all(&frame(WINDOW, ACK, 1, 0)).await.unwrap();
        held.push(soon(waiting).await.unwrap());
    }
    // Who gives up leaves nothing behind.
    {
        let mut waiting = std::pin::pin!(session.open());
        assert!(poll_once(waiting.as_mut()).await.is_pending());
    }
    peer.write_all(&frame(WINDOW, ACK, 3, 0)).await.unwrap();
    peer.write_all(&frame(WINDOW, ACK, 5, 0)).await.unwrap();
    held.push(soon(session.open()).await.unwrap());
    assert_eq!(session.streams(), 258);
    held.clear();
    assert_eq!(session.streams(), 0);
}

#[tokio::test]
async fn streams_that_are_not_wanted_are_reset() {
    let (near, mut peer) = tokio::io::duplex(64 << 10);
    let settings = settings().with_backlog(2).with_max_accepted(3);
    let mut streams = gost_mux::server(conn(near), &settings).unwrap();
    for id in [1, 3, 5] {
        peer.write_all(&frame(WINDOW, SYN, id, 0)).await.unwrap();
    }
    let mut seen = [
        next(&mut peer).await,
        next(&mut peer).await,
        next(&mut peer).await,
    ];
    seen.sort_unstable();
    assert_eq!(
        seen,
        [(DATA, ACK, 1, 0), (DATA, ACK, 3, 0), (DATA, RST, 5, 0)]
    );
    let held = [accept(&mut streams).await, accept(&mut streams).await];
    for id in [7, 9] {
        peer.write_all(&frame(WINDOW, SYN, id, 0)).await.unwrap();
    }
    let mut seen = [next(&mut peer).await, next(&mut peer).await];
    seen.sort_unstable();
    assert_eq!(seen, [(DATA, ACK, 7, 0), (DATA, RST, 9, 0)]);
    drop(held);
}

#[tokio::test]
async fn what_is_no_yamux_ends_the_session() {
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        frame(9, 0, 1, 0),
        // More data in a frame than any may have.
        frame(DATA, SYN, 1, u32::MAX),
    ] {
        let (near, mut peer) = tokio::io::duplex(1 << 10);
        let mut streams = gost_mux::server(conn(near), &settings()).unwrap();
        peer.write_all(&garbage).await.unwrap();
        let error = soon(streams.accept()).await.unwrap_err();
        assert!(
            error.to_string().starts_with("mux session with "),
            "{error}"
        );
        drop(streams);
        soon(peer.read_to_end(&mut Vec::new())).await.unwrap();
    }
}

#[tokio::test]
async fn violations_are_answered_by_a_refusal_and_hurt_no_other_session() {
    for bad in [
        // A stream of the wrong side; one that exists; more than the window.
        vec![frame(WINDOW, SYN, 2, 0)],
        vec![frame(WINDOW, SYN, 1, 0), frame(WINDOW, SYN, 1, 0)],
        vec![
            frame(WINDOW, SYN, 1, 0),
            [frame(DATA, 0, 1, 300_000), vec![0; 300_000]].concat(),
        ],
        vec![frame(WINDOW, SYN, 1, u32::MAX)],
        // An answer to no ping that was sent.
        vec![frame(PING, ACK, 0, 77), frame(PING, ACK, 0, 77)],
    ] {
        let (near, mut peer) = tokio::io::duplex(1 << 20);
        let _streams = gost_mux::server(conn(near), &settings()).unwrap();
        for bytes in bad {
            peer.write_all(&bytes).await.unwrap();
        }
        loop {
            let (kind, _, _, code) = next(&mut peer).await;
            if kind == 3 {
                assert_eq!(code, 1, "a violation of the protocol");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_and_a_living_one_is_not() {
    for (interval, bound) in [("30s", 75), ("10s", 35), ("1s", 35)] {
        let start = Instant::now();
        let (near, _far) = tokio::io::duplex(1 << 10);
        let settings = with(&[("mux.keepaliveInterval", interval)]);
        let session = gost_mux::client(conn(near), &settings).unwrap();
        assert_eq!(session.closed().await.why(), Why::TimedOut);
        let took = start.elapsed().as_secs();
        assert!((20..=bound).contains(&took), "{interval}: {took}");
    }
    let (near, _far) = tokio::io::duplex(1 << 10);
    let settings = with(&[("mux.keepaliveDisabled", "true")]);
    let session = gost_mux::client(conn(near), &settings).unwrap();
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn sessions_end_when_they_are_idle_or_never_used() {
    let idle = Some(Duration::from_mins(1));
    let quiet = with(&[("mux.keepaliveDisabled", "true")]);
    let (session, mut streams) = pair(&quiet.clone().with_idle_timeout(idle));
    let held = (open(&session).await, accept(&mut streams).await);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(!session.is_closed());
    drop(held);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_nothing_is_given_up() {
    let start = Instant::now();
    let (near, _far) = tokio::io::duplex(1 << 10);
    // Nobody asks whether the peer lives.
    let settings = with(&[("mux.keepaliveDisabled", "true")]);
    let session = gost_mux::client(conn(near), &settings).unwrap();
    let mut stream = open(&session).await;
    let block = vec![7; 64 << 10];
    let written = async { while stream.write_all(&block).await.is_ok() {} };
    tokio::join!(written, async {
        assert_eq!(session.closed().await.why(), Why::TimedOut);
    });
    assert_eq!(start.elapsed().as_secs(), 600);
}

#[tokio::test]
async fn all_streams_together_hold_a_bounded_amount() {
    const STREAMS: u32 = 100;
    // Each stream may have 256 KiB under way, all of them 1 MiB.
    let settings = with(&[
        ("mux.maxReceiveBuffer", "1048576"),
        ("mux.maxWindowGrowth", "-1"),
    ]);
    let (near, mut peer) = tokio::io::duplex(1 << 10);
    let mut streams = gost_mux::server(conn(near), &settings).unwrap();
    let mut held = Vec::new();
    for id in (1..).step_by(2).take(STREAMS as usize) {
        peer.write_all(&frame(WINDOW, SYN, id, 0)).await.unwrap();
        held.push(accept(&mut streams).await);
    }
    let data = |id| [frame(DATA, 0, id, 64 << 10), vec![7; 64 << 10]].concat();
    let (mut from, mut to) = tokio::io::split(peer);
    tokio::spawn(async move { tokio::io::copy(&mut from, &mut tokio::io::sink()).await });
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let sender = tokio::spawn(async move {
        for id in (1..).step_by(2).take(STREAMS as usize) {
            to.write_all(&data(id)).await.unwrap();
            count.fetch_add(64 << 10, Ordering::Relaxed);
        }
        to
    });
    // One runtime thread: the sender has written all it can when nothing else has to be done.
    let mut quiet = 0;
    let mut last = 0;
    while quiet < 1000 {
        tokio::task::yield_now().await;
        let now = sent.load(Ordering::Relaxed);
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
    assert!((900_000..1_200_000).contains(&last), "{last}");
    // Reading makes room, and nothing was lost.
    let mut block = vec![0; 64 << 10];
    for stream in &mut held {
        soon(stream.read_exact(&mut block)).await.unwrap();
        assert!(block.iter().all(|byte| *byte == 7));
    }
    soon(sender).await.unwrap();
}

#[test]
fn windows_are_checked() {
    for (window, right) in [
        ("0", true),
        ("262144", true),
        ("16777216", true),
        ("262143", false),
        ("4294967296", false),
    ] {
        let values = Values::new().with("mux.type", "yamux");
        let values = values.with("mux.maxStreamWindow", window);
        let options = MuxOptions::read(&values, &mut Vec::new());
        let settings = options.settings(Version::V1);
        assert_eq!(settings.is_ok(), right, "{window}");
        if let Err(error) = settings {
            assert!(error.to_string().starts_with("mux.maxStreamWindow: "));
        }
    }
}
