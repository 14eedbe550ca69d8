//! Bad peers: a clear error or none, bounded memory, never a panic.

use std::time::Instant;

use bytes::BytesMut;
use gost_smux::frame::Command;
use gost_smux::{Config, Event, Session, SessionError, Side, StreamError, StreamId, Version};

use crate::support::config;

fn server(version: Version) -> Session {
    Session::new(config(version), Side::Server, Instant::now()).unwrap()
}

fn bytes(hex: &str) -> BytesMut {
    BytesMut::from(&hex::decode(hex).unwrap()[..])
}

#[test]
fn frames_that_end_the_session() {
    let length = |command, length| SessionError::Length { command, length };
    let wrong_version = |expected, got| SessionError::Version { expected, got };
    let table = [
        ("another version", Version::V1, "02", wrong_version(1, 2)),
        ("another version", Version::V2, "01", wrong_version(2, 1)),
        ("TLS", Version::V1, "160301", wrong_version(1, 0x16)),
        ("HTTP", Version::V2, "474554202f", wrong_version(2, 0x47)),
        (
            "another version later",
            Version::V1,
            "010000000300000002",
            wrong_version(1, 2),
        ),
        (
            "UPD in v1",
            Version::V1,
            "0104080003000000",
            SessionError::Command(4),
        ),
        (
            "command 5",
            Version::V2,
            "0205000003000000",
            SessionError::Command(5),
        ),
        (
            "command 255",
            Version::V1,
            "01ff000003000000",
            SessionError::Command(255),
        ),
        (
            "SYN with payload",
            Version::V1,
            "0100010003000000",
            length(Command::Syn, 1),
        ),
        (
            "FIN with payload",
            Version::V1,
            "0101ffff03000000",
            length(Command::Fin, 65535),
        ),
        (
            "NOP with payload",
            Version::V2,
            "0203080000000000",
            length(Command::Nop, 8),
        ),
        (
            "UPD without payload",
            Version::V2,
            "0204000003000000",
            length(Command::Upd, 0),
        ),
        (
            "UPD of 9 bytes",
            Version::V2,
            "0204090003000000",
            length(Command::Upd, 9),
        ),
    ];
    for (name, version, hex, error) in table {
        let mut session = server(version);
        assert_eq!(session.receive(&mut bytes(hex)), Err(error), "{name}");
        assert_eq!(session.error(), Some(error), "{name}");
        let last = std::iter::from_fn(|| session.poll_event()).last();
        assert_eq!(last, Some(Event::Closed), "{name}");
        // Nothing is taken from it any more.
        assert!(!session.wants_read(), "{name}");
        assert_eq!(session.receive(&mut bytes("01")), Err(error), "{name}");
        assert_eq!(session.accept(), None, "{name}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn frames_that_are_ignored() {
    let table = [
        ("empty PSH for nobody", "0202000009000000"),
        ("PSH for nobody", "020203000900000061626300"),
        ("FIN for nobody", "0201000009000000"),
        ("UPD for nobody", "0204080009000000ffffffffffffffff"),
        ("NOP with a stream", "0203000009000000"),
    ];
    for (name, hex) in table {
        let mut session = server(Version::V2);
        let mut input = bytes(
            hex.strip_suffix("00")
                .filter(|_| hex.len() == 24)
                .unwrap_or(hex),
        );
        assert_eq!(session.receive(&mut input), Ok(()), "{name}");
        assert!(input.is_empty(), "{name}");
        assert_eq!(session.poll_event(), None, "{name}");
        assert!(!session.wants_write(), "{name}");
        assert_eq!(session.stats(), gost_smux::Stats::default(), "{name}");
    }
}

#[test]
fn a_flood_of_streams_is_refused_and_ends_when_its_refusals_are_not_read() {
    let mut session = server(Version::V1);
    let mut flood = BytesMut::new();
    for id in 0..100_000_u32 {
        flood.extend_from_slice(b"\x01\0\0\0");
        flood.extend_from_slice(&id.to_le_bytes());
    }
    session.receive(&mut flood).unwrap();
    assert_eq!(session.stats().streams, 1024);
    assert_eq!(session.stats().queued, 8 * (100_000 - 1024));

    let mut result = Ok(());
    for id in 100_000..400_000_u32 {
        flood.extend_from_slice(b"\x01\0\0\0");
        flood.extend_from_slice(&id.to_le_bytes());
        result = result.and(session.receive(&mut flood));
        flood.clear();
    }
    assert_eq!(result, Err(SessionError::Stalled));
    assert!(session.stats().queued < 3 << 20);
}

#[test]
fn a_v2_peer_that_overruns_its_window_is_refused() {
    let mut session = server(Version::V2);
    session.receive(&mut bytes("0200000003000000")).unwrap();
    let mut received = 0;
    let error = loop {
        let mut frame = bytes("0202ffff03000000");
        frame.extend_from_slice(&vec![0; 65_535]);
        match session.receive(&mut frame) {
            Ok(()) => received += 65_535,
            Err(error) => break error,
        }
    };
    assert_eq!(error, SessionError::WindowOverrun(StreamId(3)));
    assert!((262_144..=2 * 262_144).contains(&received), "{received}");
}

#[test]
fn a_v1_peer_is_held_to_the_receive_buffer() {
    let mut session = server(Version::V1);
    session.receive(&mut bytes("0100000003000000")).unwrap();
    let mut input = BytesMut::new();
    while session.wants_read() {
        input.extend_from_slice(b"\x01\x02\xff\xff\x03\0\0\0");
        input.extend_from_slice(&vec![0; 65_535]);
        session.receive(&mut input).unwrap();
    }
    assert!(session.stats().unread < (4 << 20) + 65_536);
    let left = input.len();
    session.receive(&mut input).unwrap();
    assert_eq!(input.len(), left, "no more is taken");
}

/// An update that claims the impossible costs the peer that stream only.
#[test]
fn impossible_updates() {
    for (consumed, window) in [(1_u32, 0_u32), (u32::MAX, u32::MAX), (1 << 31, 100)] {
        let mut session = Session::new(config(Version::V2), Side::Client, Instant::now()).unwrap();
        let id = session.open().unwrap();
        let mut frame = bytes("0204080003000000");
        frame.extend_from_slice(&consumed.to_le_bytes());
        frame.extend_from_slice(&window.to_le_bytes());
        session.receive(&mut frame).unwrap();
        let result = session.write(id, b"x");
        // 2^32 - 1 consumed of 0 sent reads as one byte in flight.
        let expected = if consumed == u32::MAX {
            Ok(1)
        } else {
            Err(StreamError::PeerConsumed)
        };
        assert_eq!(result, expected, "{consumed} {window}");
        assert_eq!(session.error(), None);
    }
}

/// Tiny frames cost little more than their bytes: nothing is kept per frame.
#[test]
fn unread_tiny_frames_stay_small() {
    let mut session = Session::new(
        Config {
            accept_backlog: 1,
            ..config(Version::V1)
        },
        Side::Server,
        Instant::now(),
    )
    .unwrap();
    session.receive(&mut bytes("0100000003000000")).unwrap();
    let id = session.accept().unwrap();
    let mut input = BytesMut::new();
    for n in 0..300_000_u32 {
        input.extend_from_slice(b"\x01\x02\x01\0\x03\0\0\0");
        input.extend_from_slice(&n.to_le_bytes()[..1]);
        session.receive(&mut input).unwrap();
    }
    let mut chunks = 0;
    let mut length = 0;
    while let Ok(Some(chunk)) = session.read_chunk(id, usize::MAX) {
        chunks += 1;
        length += chunk.len();
    }
    assert_eq!(length, 300_000);
    assert!(chunks < 30, "{chunks}");
}
