//! Bytes of the reference: the worked examples of the format, and what was
//! recorded between two reference processes.

use std::fmt::Write as _;
use std::time::Instant;

use bytes::BytesMut;
use gost_smux::{Session, SessionError, Side, StreamError, StreamId, Version};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{End, Task, config};

struct Recorded {
    to_server: bool,
    at_ms: f64,
    bytes: Vec<u8>,
}

fn transcript(name: &str) -> Vec<Recorded> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/wire/smux.json"
    );
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let transcripts = file["transcripts"].as_array().unwrap();
    let found = transcripts.iter().find(|t| t["name"] == name).unwrap();
    let events = found["events"].as_array().unwrap();
    events
        .iter()
        .filter(|event| event["kind"] == "data")
        .map(|event| Recorded {
            to_server: event["dir"] == "c2s",
            at_ms: event["t_ms"].as_f64().unwrap(),
            bytes: event_bytes(event),
        })
        .collect()
}

/// The bytes of an event. Long ones are recorded as the text of their fields
/// and a hash: their payload is `w` after its first bytes.
fn event_bytes(event: &Value) -> Vec<u8> {
    if let Some(text) = event["hex"].as_str() {
        return hex::decode(text).unwrap();
    }
    let mut bytes = Vec::new();
    let mut payload = 0;
    for field in event["decode"].as_array().unwrap() {
        let (digits, _) = field.as_str().unwrap().split_once(' ').unwrap();
        let (digits, _) = digits.split_once("..").unwrap_or((digits, ""));
        let mut part = hex::decode(digits).unwrap();
        if payload > 0 {
            part.resize(payload, b'w');
            payload = 0;
        } else {
            payload = usize::from(u16::from_le_bytes([part[2], part[3]]));
        }
        bytes.extend_from_slice(&part);
    }
    assert_eq!(hex::encode(Sha256::digest(&bytes)), event["sha256"]);
    bytes
}

fn end(version: Version, side: Side) -> End {
    let mut end = End::new(config(version), side, Instant::now());
    end.on_accept = Task::stalled;
    end
}

fn feed(end: &mut End, bytes: &[u8]) {
    end.inbox.extend_from_slice(bytes);
    end.take_input();
    assert_eq!(end.failure, None);
    assert!(end.inbox.is_empty());
}

/// Reads all there is, at most `step` bytes at a time.
fn read(end: &mut End, id: StreamId, step: usize) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        match end.session.read_chunk(id, step) {
            Ok(Some(chunk)) => data.extend_from_slice(&chunk),
            Ok(None) | Err(StreamError::Blocked) => return data,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn worked_examples() {
    let mut v1 = end(Version::V1, Side::Client);
    let id = v1.open(Task::new());
    v1.session.write(id, b"hello").unwrap();
    v1.session.finish(id).unwrap();
    assert_eq!(
        hex::encode(v1.emit_all()),
        "0100000003000000\
         010205000300000068656c6c6f\
         0101000003000000"
    );
    let nop = v1.session.next_timeout().unwrap();
    v1.session.on_timeout(nop);
    assert_eq!(hex::encode(v1.emit_all()), "0103000000000000");

    let mut client = end(Version::V2, Side::Client);
    let mut server = end(Version::V2, Side::Server);
    let id = client.open(Task::new());
    client.session.write(id, b"hi").unwrap();
    let sent = client.emit_all();
    assert_eq!(
        hex::encode(&sent),
        "0200000003000000\
         02020200030000006869"
    );
    feed(&mut server, &sent);
    assert_eq!(read(&mut server, id, 100), b"hi");
    assert_eq!(
        hex::encode(server.emit_all()),
        "02040800030000000200000000000100"
    );
}

/// What the applications did in a recorded transcript. The relay server reads
/// its four byte header first, so does the client.
enum Step {
    Open,
    Write(u32, Vec<u8>),
    Finish(u32),
    ReadHeader(u32),
}

/// Replays both sides: each must produce the recorded bytes, event by event,
/// and understand the other's.
fn replay(name: &str, version: Version, steps: &[(bool, Vec<Step>)]) {
    let mut client = end(version, Side::Client);
    let mut server = end(version, Side::Server);
    let events = transcript(name);
    assert_eq!(events.len(), steps.len());
    for (event, (from_client, steps)) in events.iter().zip(steps) {
        assert_eq!(event.to_server, *from_client);
        let (from, to) = if *from_client {
            (&mut client, &mut server)
        } else {
            (&mut server, &mut client)
        };
        for step in steps {
            match step {
                Step::Open => {
                    from.open(Task::stalled());
                }
                Step::Write(id, data) => {
                    let taken = from.session.write(StreamId(*id), data);
                    assert_eq!(taken, Ok(data.len()));
                }
                Step::Finish(id) => from.session.finish(StreamId(*id)).unwrap(),
                Step::ReadHeader(id) => {
                    let header = from.session.read_chunk(StreamId(*id), 4).unwrap();
                    assert_eq!(header.unwrap().len(), 4);
                }
            }
        }
        let sent = from.emit_all();
        // The rest of what was sent is read too, but causes no update.
        for id in [3, 5] {
            let _ = from.session.read(StreamId(id), &mut Vec::new());
        }
        assert_eq!(
            hex::encode(sent),
            hex::encode(&event.bytes),
            "at {} ms",
            event.at_ms
        );
        feed(to, &event.bytes);
    }
}

fn relay_request(text: &str) -> Vec<u8> {
    let mut request = hex::decode("0101000a020007017f000001a153").unwrap();
    request.extend_from_slice(text.as_bytes());
    request
}

fn relay_answer(text: &str) -> Vec<u8> {
    [&[1, 0, 0, 0], text.as_bytes()].concat()
}

#[test]
fn recorded_two_streams_in_version_2() {
    use Step::{Finish, Open, ReadHeader, Write};
    replay(
        "mtcp default",
        Version::V2,
        &[
            (true, vec![Open]),
            (true, vec![Write(3, relay_request("one"))]),
            (false, vec![ReadHeader(3)]),
            (false, vec![Write(3, relay_answer("ONE"))]),
            (true, vec![ReadHeader(3)]),
            (true, vec![Open]),
            (true, vec![Write(5, relay_request("two"))]),
            (false, vec![ReadHeader(5)]),
            (false, vec![Write(5, relay_answer("TWO"))]),
            (true, vec![ReadHeader(5)]),
            (true, vec![Finish(3)]),
            (false, vec![Finish(3)]),
            (true, vec![Write(5, b"three".to_vec())]),
            (false, vec![Write(5, b"THREE".to_vec())]),
            (true, vec![Finish(5)]),
            (false, vec![Finish(5)]),
        ],
    );
}

#[test]
fn recorded_two_streams_in_version_1() {
    use Step::{Finish, Open, Write};
    replay(
        "mtcp version 1",
        Version::V1,
        &[
            (true, vec![Open, Write(3, relay_request("one"))]),
            (false, vec![Write(3, relay_answer("ONE"))]),
            (true, vec![Open]),
            (true, vec![Write(5, relay_request("two"))]),
            (false, vec![Write(5, relay_answer("TWO"))]),
            (true, vec![Finish(3)]),
            (false, vec![Finish(3)]),
            (true, vec![Write(5, b"three".to_vec())]),
            (false, vec![Write(5, b"THREE".to_vec())]),
            (true, vec![Finish(5)]),
            (false, vec![Finish(5)]),
        ],
    );
}

#[test]
fn recorded_version_mismatch() {
    let events = transcript("mtcp default, client version 1 against server version 2");
    let mut server = Session::new(config(Version::V2), Side::Server, Instant::now()).unwrap();
    assert_eq!(
        server.receive(&mut BytesMut::from(&events[0].bytes[..1])),
        Err(SessionError::Version {
            expected: 2,
            got: 1
        })
    );
}

/// The recorded sender obeys our windows, and we its: after the recorded
/// updates exactly the recorded amount may be sent, never less.
#[test]
fn recorded_transfer_with_windows() {
    let events = transcript("mtcp v2: 400000 bytes one way, window updates");
    let mut client = end(Version::V2, Side::Client);
    let mut server = end(Version::V2, Side::Server);
    let id = client.open(Task::new());
    let mut received = 0;
    let mut sent = 0;
    for event in &events {
        if event.to_server {
            feed(&mut server, &event.bytes);
            received += read(&mut server, id, 4096).len();
            let new = received - sent;
            let mut left = new;
            while left > 0 {
                left -= client.session.write(id, &vec![b'w'; left]).unwrap();
                client.emit_all();
            }
            sent += new;
        } else {
            feed(&mut client, &event.bytes);
        }
    }
    // 14 bytes of relay header in front.
    assert_eq!(received, 400_014);
    assert_eq!(server.session.read_chunk(id, 1), Ok(None));
    let updates = server.emit_all();
    assert_eq!(updates.len() % 16, 0);
    assert!(updates.starts_with(b"\x02\x04\x08\0\x03\0\0\0"));
}

#[test]
fn recorded_nops() {
    let name = "mtcp: one short connection, then 25 s of idle: NOP times";
    let start = Instant::now();
    let mut expected = String::new();
    for event in transcript(name).iter().filter(|e| e.at_ms > 5_000.0) {
        assert_eq!(hex::encode(&event.bytes), "0103000000000000");
        let ten_seconds = (event.at_ms / 10_000.0).round();
        write!(expected, "{}{} ", event.to_server, ten_seconds * 10.0).unwrap();
    }
    assert_eq!(expected, "true10 false10 true20 false20 ");

    let mut client = End::new(config(Version::V1), Side::Client, start);
    let mut server = End::new(config(Version::V1), Side::Server, start);
    let mut ours = String::new();
    for _ in 0..2 {
        for (to_server, end) in [(true, &mut client), (false, &mut server)] {
            let now = end.session.next_timeout().unwrap();
            end.session.on_timeout(now);
            assert_eq!(hex::encode(end.emit_all()), "0103000000000000");
            write!(ours, "{to_server}{} ", (now - start).as_secs()).unwrap();
        }
    }
    assert_eq!(ours, expected);
}
