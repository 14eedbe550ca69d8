//! How streams open and end.

use std::time::Instant;

use crate::support::{Direction, End, Pair, Task, config, pattern};
use bytes::BytesMut;
use gost_smux::{
    Config, Event, OpenError, Session, SessionError, Side, StreamError, StreamId, Version,
};

const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

fn session(version: Version, side: Side) -> Session {
    Session::new(config(version), side, Instant::now()).unwrap()
}

fn feed(session: &mut Session, hex: &str) -> Result<(), SessionError> {
    session.receive(&mut BytesMut::from(&hex::decode(hex).unwrap()[..]))
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

#[test]
fn ids_start_at_three_and_two() {
    for version in VERSIONS {
        let mut client = session(version, Side::Client);
        let mut server = session(version, Side::Server);
        for n in 0..3 {
            assert_eq!(client.open(), Ok(StreamId(3 + 2 * n)));
            assert_eq!(server.open(), Ok(StreamId(2 + 2 * n)));
        }
    }
}

#[test]
fn an_id_taken_by_the_peer_is_skipped() {
    let mut client = session(Version::V1, Side::Client);
    feed(&mut client, "0100000003000000").unwrap();
    assert_eq!(client.open(), Ok(StreamId(5)));
}

#[test]
fn both_ways_then_both_close() {
    for version in VERSIONS {
        let mut pair = Pair::new(&config(version));
        pair.server.on_accept = || Task::writing(pattern(2, 300_000));
        let id = pair.client.open(Task::writing(pattern(1, 300_000)));
        pair.settle();
        assert!(pair.client.task(id).received == pattern(2, 300_000));
        assert!(pair.server.task(id).received == pattern(1, 300_000));

        pair.client.session.finish(id).unwrap();
        pair.settle();
        assert!(pair.server.task(id).ended);
        assert_eq!(pair.server.events.last(), Some(&Event::Finished(id)));
        assert_eq!(
            pair.server.session.write(id, b"x"),
            Err(StreamError::PeerFinished)
        );
        assert!(!pair.client.task(id).ended);

        pair.server.release(id);
        pair.settle();
        assert!(pair.client.task(id).ended);
        pair.client.release(id);
        for end in [&mut pair.client, &mut pair.server] {
            assert_eq!(end.session.stats(), gost_smux::Stats::default());
            assert_eq!(end.emit_all(), b"");
        }
    }
}

#[test]
fn fin_is_sent_once_and_behind_the_data() {
    let mut client = End::new(config(Version::V1), Side::Client, Instant::now());
    let id = client.open(Task::new());
    client.session.write(id, b"hello").unwrap();
    client.session.finish(id).unwrap();
    client.session.finish(id).unwrap();
    assert_eq!(client.session.write(id, b"x"), Err(StreamError::Finished));
    client.release(id);
    assert_eq!(
        hex::encode(client.emit_all()),
        "0100000003000000\
         010205000300000068656c6c6f\
         0101000003000000"
    );
    assert_eq!(client.session.write(id, b"x"), Err(StreamError::Unknown));
    assert_eq!(
        client.session.read_chunk(id, 9).unwrap_err(),
        StreamError::Unknown
    );
}

#[test]
fn what_was_sent_before_fin_can_be_read_after_it() {
    let mut server = session(Version::V1, Side::Server);
    feed(
        &mut server,
        "0100000003000000 010203000300000061626301010000 03000000"
            .replace(' ', "")
            .as_str(),
    )
    .unwrap();
    assert_eq!(events(&mut server), [Event::Opened]);
    let id = server.accept().unwrap();
    assert_eq!(server.write(id, b"x"), Err(StreamError::PeerFinished));
    let mut two = [0; 2];
    assert_eq!(server.read(id, &mut &mut two[..]), Ok(2));
    assert_eq!(&two, b"ab");
    assert_eq!(server.read(id, &mut &mut two[..]), Ok(1));
    assert_eq!(server.read(id, &mut &mut two[..]), Ok(0));
    assert_eq!(server.read_chunk(id, 10), Ok(None));
    // Data behind FIN is dropped, a second FIN is no news.
    feed(&mut server, "0102010003000000780101000003000000").unwrap();
    assert_eq!(server.read(id, &mut &mut two[..]), Ok(0));
    assert_eq!(events(&mut server), []);
}

#[test]
fn duplicate_syn_is_ignored_and_unknown_streams_are_dropped() {
    let mut server = session(Version::V2, Side::Server);
    feed(&mut server, "0200000003000000").unwrap();
    feed(
        &mut server,
        "02020100030000006102000000030000000202010003000000 62"
            .replace(' ', "")
            .as_str(),
    )
    .unwrap();
    // PSH, FIN and UPD for a stream that was never opened.
    feed(
        &mut server,
        "0202010009000000780201000009000000\
         02040800090000000100000000000100",
    )
    .unwrap();
    assert_eq!(server.accept(), Some(StreamId(3)));
    assert_eq!(server.accept(), None);
    let mut data = Vec::new();
    server.read(StreamId(3), &mut data).unwrap();
    assert_eq!(data, b"ab");
    assert_eq!(server.stats().streams, 1);
}

#[test]
fn a_full_backlog_answers_with_fin() {
    let mut server = End::new(
        Config {
            accept_backlog: 2,
            ..config(Version::V1)
        },
        Side::Server,
        Instant::now(),
    );
    for id in ["03", "05", "07"] {
        feed(&mut server.session, &format!("01000000{id}000000")).unwrap();
    }
    assert_eq!(hex::encode(server.emit_all()), "0101000007000000");
    assert_eq!(server.tasks.len(), 2, "accepted meanwhile");
    feed(&mut server.session, "0100000009000000").unwrap();
    assert_eq!(server.session.accept(), Some(StreamId(9)));
}

#[test]
fn a_refused_stream_ends_for_its_opener() {
    let config = Config {
        accept_backlog: 0,
        ..config(Version::V2)
    };
    let mut pair = Pair::new(&config);
    let id = pair.client.open(Task::new());
    pair.settle();
    assert!(pair.client.task(id).ended);
    assert_eq!(
        pair.client.session.write(id, b"x"),
        Err(StreamError::PeerFinished)
    );
}

#[test]
fn opened_is_told_once_until_all_were_accepted() {
    let mut server = session(Version::V1, Side::Server);
    feed(&mut server, "01000000030000000100000005000000").unwrap();
    assert_eq!(events(&mut server), [Event::Opened]);
    feed(&mut server, "0100000007000000").unwrap();
    assert_eq!(events(&mut server), []);
    for id in [3, 5, 7] {
        assert_eq!(server.accept(), Some(StreamId(id)));
    }
    assert_eq!(server.accept(), None);
    feed(&mut server, "0100000009000000").unwrap();
    assert_eq!(events(&mut server), [Event::Opened]);
}

#[test]
fn readable_is_told_once_until_all_was_read() {
    let mut server = session(Version::V1, Side::Server);
    feed(&mut server, "0100000003000000").unwrap();
    let id = server.accept().unwrap();
    events(&mut server);
    let data = "010201000300000061";
    feed(&mut server, data).unwrap();
    feed(&mut server, data).unwrap();
    assert_eq!(events(&mut server), [Event::Readable(id)]);
    feed(&mut server, data).unwrap();
    assert_eq!(events(&mut server), []);
    let mut sink = Vec::new();
    assert_eq!(server.read(id, &mut sink), Ok(3));
    assert_eq!(server.read(id, &mut sink), Err(StreamError::Blocked));
    feed(&mut server, data).unwrap();
    assert_eq!(events(&mut server), [Event::Readable(id)]);
}

#[test]
fn a_released_stream_has_no_events() {
    let mut server = session(Version::V1, Side::Server);
    feed(&mut server, "0100000003000000").unwrap();
    let id = server.accept().unwrap();
    feed(&mut server, "0102010003000000610101000003000000").unwrap();
    server.release(id);
    assert_eq!(events(&mut server), [Event::Opened]);
}

#[test]
fn a_closed_session_still_gives_what_arrived_and_sends_what_was_queued() {
    let mut pair = Pair::new(&config(Version::V2));
    pair.server.on_accept = Task::stalled;
    let id = pair.client.open(Task::new());
    pair.client.session.write(id, b"hello").unwrap();
    pair.carry(Direction::ToServer, 1000);
    pair.server.session.write(id, b"bye").unwrap();
    pair.server.session.close();
    assert_eq!(pair.server.session.error(), Some(SessionError::Closed));
    assert_eq!(pair.server.session.next_timeout(), None);
    assert_eq!(
        pair.server.session.open(),
        Err(OpenError::Session(SessionError::Closed))
    );
    assert_eq!(
        hex::encode(pair.server.emit_all()),
        "0202030003000000627965"
    );
    pair.server.resume(id);
    let task = pair.server.task(id);
    assert_eq!(task.received, b"hello");
    assert_eq!(
        task.read_error,
        Some(StreamError::Session(SessionError::Closed))
    );
}

/// The connection is cut after each possible number of bytes.
#[test]
fn connection_loss_at_every_byte() {
    for version in VERSIONS {
        let mut total = usize::MAX;
        for cut in 0.. {
            if cut > total {
                break;
            }
            let mut pair = Pair::new(&config(version));
            pair.server.on_accept = || Task::writing(b"answer".to_vec());
            let id = pair.client.open(Task::sending(b"question".to_vec()));
            let mut left = cut;
            loop {
                let there = pair.carry(Direction::ToServer, left.min(3));
                left -= there;
                let back = pair.carry(Direction::ToClient, left.min(3));
                left -= back;
                if there + back == 0 {
                    break;
                }
            }
            if left > 0 {
                total = cut;
            }
            for end in [&mut pair.client, &mut pair.server] {
                end.session.connection_lost();
                end.take_input();
                assert!(end.events.contains(&Event::Closed));
                assert_eq!(
                    end.session.error(),
                    Some(SessionError::ConnectionLost),
                    "first reason counts"
                );
                for (id, task) in &end.tasks {
                    let cut_off =
                        task.read_error == Some(StreamError::Session(SessionError::ConnectionLost));
                    // Never an end that the peer did not send.
                    assert_ne!(task.ended, cut_off, "stream {id} cut at {cut}");
                }
            }
            let task = pair.client.task(id);
            assert!(!task.ended, "the server never finished");
            assert!(b"answer".starts_with(&task.received));
            if let Some(task) = pair.server.tasks.get(&id) {
                assert!(b"question".starts_with(&task.received));
                assert!(!task.ended || task.received == b"question");
            }
        }
        assert!(total > 40 && total < 200, "{total} bytes were exchanged");
    }
}

#[test]
fn thousands_of_streams_at_once() {
    for version in VERSIONS {
        let mut pair = Pair::new(&Config {
            accept_backlog: 5000,
            ..config(version)
        });
        pair.server.on_accept = || Task::sending(pattern(9, 700));
        let ids: Vec<_> = (0..5000)
            .map(|n| pair.client.open(Task::writing(pattern(n, 300))))
            .collect();
        pair.settle();
        assert_eq!(pair.server.session.stats().streams, 5000);
        for (n, &id) in (0..).zip(&ids) {
            assert!(pair.server.task(id).received == pattern(n, 300));
            let task = pair.client.task(id);
            assert!(task.ended && task.received == pattern(9, 700));
            pair.client.release(id);
        }
        pair.settle();
        for id in ids {
            assert!(pair.server.task(id).ended);
            pair.server.release(id);
        }
        assert_eq!(pair.server.session.stats(), gost_smux::Stats::default());
    }
}
