//! What can not be reached from outside in reasonable time: the ends of the
//! counters; and what is kept in memory.

use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::*;
use crate::config::Version;
use crate::send::Outgoing;

fn session(change: impl FnOnce(&mut Config), side: Side, now: Instant) -> Session {
    let mut config = Config::default();
    change(&mut config);
    Session::new(config, side, now).unwrap()
}

fn v2(config: &mut Config) {
    config.version = Version::V2;
}

fn carry(from: &mut Session, to: &mut Session, out: &mut Outgoing) {
    let mut wire = BytesMut::new();
    while from.transmit(out) {
        let length = out.chunk().len();
        wire.extend_from_slice(out.chunk());
        out.advance(length);
    }
    to.receive(&mut wire).unwrap();
    assert!(wire.is_empty());
}

#[test]
fn stream_ids_run_out() {
    let now = Instant::now();
    for (side, last) in [(Side::Client, u32::MAX), (Side::Server, u32::MAX - 1)] {
        let mut session = session(|_| (), side, now);
        session.last_id = Some(last - 4);
        assert_eq!(session.open(), Ok(StreamId(last - 2)));
        assert_eq!(session.open(), Ok(StreamId(last)));
        for _ in 0..3 {
            assert_eq!(session.open(), Err(OpenError::Exhausted));
        }
        assert_eq!(session.stats().streams, 2, "the others go on");
    }
}

/// Both ends' counters pass 2^32 in the middle of a transfer.
#[test]
fn consumed_counters_wrap() {
    let now = Instant::now();
    let mut client = session(v2, Side::Client, now);
    let mut server = session(v2, Side::Server, now);
    let (mut up, mut down) = (Outgoing::new(), Outgoing::new());
    let id = client.open().unwrap();
    carry(&mut client, &mut server, &mut up);
    assert_eq!(server.accept(), Some(id));

    let start = u32::MAX - 100_000;
    let sender = client.streams.get_mut(&id).unwrap();
    sender.window.sent = start;
    sender.window.consumed = start;
    let reader = server.streams.get_mut(&id).unwrap();
    reader.reading.total = start;

    let mut received = 0;
    for _ in 0..100 {
        while client.write(id, &[1; 10_000]).is_ok() {}
        carry(&mut client, &mut server, &mut up);
        let mut sink = Vec::new();
        received += server.read(id, &mut sink).unwrap();
        carry(&mut server, &mut client, &mut down);
    }
    // One window per round, at the least.
    assert!(received > 100 * 65_536, "{received}");
    let sent = client.streams[&id].window.sent;
    assert!(sent < start, "wrapped to {sent}");
    assert_eq!(sent.wrapping_sub(start) as usize, received);
}

#[test]
fn nop_goes_out_each_interval_and_silence_ends_the_session() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut session = session(|_| (), Side::Client, start);
    let mut out = Outgoing::new();
    assert_eq!(session.next_timeout(), Some(start + 10 * second));
    session.on_timeout(start + 9 * second);
    assert!(!session.wants_write());
    session.on_timeout(start + 10 * second);
    assert!(session.wants_write());
    assert!(session.transmit(&mut out));
    assert_eq!(out.chunk(), b"\x01\x03\0\0\0\0\0\0");
    out.advance(8);
    // Not one per interval while the peer takes none.
    session.on_timeout(start + 20 * second);
    session.on_timeout(start + 29 * second);
    assert_eq!(session.error(), None);
    session.on_timeout(start + 30 * second);
    assert_eq!(session.error(), Some(SessionError::KeepAlive));
    assert_eq!(session.poll_event(), Some(Event::Closed));
    assert_eq!(session.next_timeout(), None);
    assert!(session.transmit(&mut out));
    assert_eq!(out.remaining(), 8);
}

#[test]
fn any_byte_keeps_the_session_alive() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut session = session(|_| (), Side::Client, start);
    // A large frame that takes its time.
    let mut frame = BytesMut::from(&b"\x01\x02\xff\xff\x03\0\0\0"[..]);
    for period in 1..10 {
        session.receive(&mut frame).unwrap();
        session.on_timeout(start + period * 30 * second);
        assert_eq!(session.error(), None);
        frame.extend_from_slice(b"x");
    }
    session.on_timeout(start + 300 * second);
    assert_eq!(session.error(), Some(SessionError::KeepAlive));
}

/// Nothing can arrive while the receive buffer is full, so silence is no sign
/// of death then, nor right after.
#[test]
fn a_full_receive_buffer_stops_the_timeout() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut session = session(
        |c| {
            c.max_receive_buffer = 4;
            c.max_stream_buffer = 4;
        },
        Side::Server,
        start,
    );
    let mut input = BytesMut::from(
        &b"\x01\0\0\0\x03\0\0\0\x01\x02\x04\0\x03\0\0\0abcd\x01\x03\0\0\0\0\0\0"[..],
    );
    session.receive(&mut input).unwrap();
    assert!(!session.wants_read());
    assert_eq!(input.len(), 8, "the NOP waits");
    for period in 1..5 {
        session.on_timeout(start + period * 30 * second);
        assert_eq!(session.error(), None);
    }
    let id = session.accept().unwrap();
    session.read_chunk(id, 4).unwrap();
    assert!(session.wants_read());
    session.on_timeout(start + 150 * second);
    assert_eq!(session.error(), None);
    session.on_timeout(start + 180 * second);
    assert_eq!(session.error(), Some(SessionError::KeepAlive));
}

#[test]
fn no_keep_alive_no_timeout() {
    let now = Instant::now();
    let mut session = session(|c| c.keep_alive = None, Side::Client, now);
    assert_eq!(session.next_timeout(), None);
    session.on_timeout(now + Duration::from_secs(1000));
    assert!(!session.wants_write());
    assert_eq!(session.error(), None);
}

/// Idle memory rests on these sizes.
#[test]
fn an_idle_stream_is_small() {
    assert!(size_of::<Stream>() <= 152, "{}", size_of::<Stream>());
    assert!(size_of::<Session>() <= 768, "{}", size_of::<Session>());
    assert!(size_of::<Outgoing>() <= 80, "{}", size_of::<Outgoing>());
}

#[test]
fn an_idle_session_gives_its_buffers_back() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut client = session(|_| (), Side::Client, start);
    let mut server = session(|_| (), Side::Server, start);
    let mut out = Outgoing::new();
    for _ in 0..50 {
        let id = client.open().unwrap();
        client.write(id, &vec![1; 60_000]).unwrap();
        carry(&mut client, &mut server, &mut out);
        client.release(id);
    }
    carry(&mut client, &mut server, &mut out);
    for tick in 1..=2 {
        client.on_timeout(start + 10 * tick * second);
        carry(&mut client, &mut server, &mut out);
    }
    // Only the latest NOP left anything behind.
    assert!(client.send.capacity() <= 64, "{}", client.send.capacity());
    assert_eq!(client.streams.capacity(), 0);
}
