//! Flow control and fairness.

use std::time::Instant;

use bytes::{Buf, BytesMut};
use gost_smux::{Config, Event, Outgoing, Session, Side, StreamError, StreamId, Version};

use crate::support::{Direction, End, Pair, Task, config, pattern};

/// In version 2 a reader that stalls holds up its own stream only.
#[test]
fn v2_a_stalled_reader_does_not_stop_others() {
    let mut pair = Pair::new(&config(Version::V2));
    pair.server.on_accept = Task::stalled;
    let stalled: Vec<_> = (0..10)
        .map(|n| pair.client.open(Task::sending(pattern(n, 1 << 20))))
        .collect();
    pair.settle();
    for &id in &stalled {
        assert_eq!(pair.client.task(id).written, 262_144, "one initial window");
    }
    assert_eq!(pair.server.session.stats().unread, 10 * 262_144);

    pair.server.on_accept = Task::new;
    let id = pair.client.open(Task::sending(pattern(99, 5 << 20)));
    pair.settle();
    let task = pair.server.task(id);
    assert!(task.ended && task.received == pattern(99, 5 << 20));

    for (n, id) in (0..).zip(stalled) {
        pair.server.resume(id);
        pair.settle();
        let task = pair.server.task(id);
        assert!(task.ended && task.received == pattern(n, 1 << 20));
    }
    assert_eq!(pair.server.session.stats().unread, 0);
}

/// In version 1 it stops everything once the receive buffer is full. That is
/// the protocol; nothing may be lost by it.
#[test]
fn v1_a_stalled_reader_stops_all_until_it_reads() {
    let mut pair = Pair::new(&Config {
        max_receive_buffer: 1 << 20,
        ..config(Version::V1)
    });
    pair.server.on_accept = Task::stalled;
    let stalled = pair.client.open(Task::sending(pattern(1, 3 << 20)));
    pair.settle();
    pair.server.on_accept = Task::new;
    let other = pair.client.open(Task::sending(pattern(2, 100_000)));
    pair.settle();
    assert!(!pair.server.session.wants_read());
    assert!(pair.server.session.stats().unread < (1 << 20) + 65_536);
    assert!(!pair.server.tasks.contains_key(&other));

    pair.server.resume(stalled);
    pair.settle();
    for (id, data) in [(stalled, pattern(1, 3 << 20)), (other, pattern(2, 100_000))] {
        let task = pair.server.task(id);
        assert!(task.ended && task.received == data);
    }
}

#[test]
fn releasing_an_unread_stream_returns_its_share() {
    let mut pair = Pair::new(&config(Version::V1));
    pair.server.on_accept = Task::stalled;
    let stalled = pair.client.open(Task::sending(pattern(1, 8 << 20)));
    pair.settle();
    assert!(!pair.server.session.wants_read());
    pair.server.on_accept = Task::new;
    let other = pair.client.open(Task::sending(pattern(2, 1 << 20)));
    pair.server.release(stalled);
    assert!(pair.server.session.wants_read());
    assert_eq!(pair.server.session.stats().unread, 0);
    pair.settle();
    assert!(pair.server.task(other).ended);
    // The writer of the released stream was told.
    assert_eq!(
        pair.client.task(stalled).write_error,
        Some(StreamError::PeerFinished)
    );
}

/// The UPD frames of version 2, byte for byte.
#[test]
fn updates_follow_the_first_read_and_each_half_window() {
    let mut server = End::new(config(Version::V2), Side::Server, Instant::now());
    server.on_accept = Task::stalled;
    server.inbox.extend_from_slice(b"\x02\0\0\0\x03\0\0\0");
    server.take_input();
    for _ in 0..20 {
        server
            .inbox
            .extend_from_slice(b"\x02\x02\x10\x27\x03\0\0\0");
        server.inbox.extend_from_slice(&[7; 10_000]);
    }
    server.take_input();
    let mut updates = Vec::new();
    for (read, expected) in [
        (4, Some("0204080003000000".to_owned() + "0400000000000100")),
        (9_996, None),
        (22_771, None),
        (1, Some("0204080003000000".to_owned() + "0480000000000100")),
        (
            65_536,
            Some("0204080003000000".to_owned() + "0480010000000100"),
        ),
    ] {
        let mut left = read;
        while left > 0 {
            let chunk = server.session.read_chunk(StreamId(3), left).unwrap();
            left -= chunk.unwrap().len();
        }
        let sent = hex::encode(server.emit_all());
        // Updates that are not written yet are merged into the latest.
        updates.push((read, sent.clone()));
        assert_eq!(sent, expected.unwrap_or_default(), "{updates:?}");
    }
}

/// After the first UPD the window shrinks from 256 KiB to what the peer says.
#[test]
fn the_window_follows_the_peer() {
    let mut client = Session::new(config(Version::V2), Side::Client, Instant::now()).unwrap();
    let mut out = Outgoing::new();
    let id = client.open().unwrap();
    let mut sent = 0;
    let mut drain = |client: &mut Session| {
        while client.transmit(&mut out) {
            out.advance(out.remaining());
        }
    };
    loop {
        match client.write(id, &vec![0; 100_000]) {
            Ok(length) => sent += length,
            Err(error) => {
                assert_eq!(error, StreamError::Blocked);
                drain(&mut client);
                if client.poll_event().is_none() {
                    break;
                }
            }
        }
    }
    assert_eq!(sent, 262_144);

    let update = |client: &mut Session, consumed: u32, window: u32| {
        let mut frame = BytesMut::from(&b"\x02\x04\x08\0\x03\0\0\0"[..]);
        frame.extend_from_slice(&consumed.to_le_bytes());
        frame.extend_from_slice(&window.to_le_bytes());
        client.receive(&mut frame).unwrap();
        client.poll_event()
    };
    // 262,144 are in flight: a window of 65,536 leaves no room before 196,608
    // were consumed.
    assert_eq!(update(&mut client, 4, 65_536), None);
    assert_eq!(client.write(id, b"x"), Err(StreamError::Blocked));
    assert_eq!(update(&mut client, 196_608, 65_536), None);
    assert_eq!(
        update(&mut client, 196_618, 65_536),
        Some(Event::Writable(id))
    );
    assert_eq!(client.write(id, &[0; 100]), Ok(10));
    assert_eq!(client.write(id, &[0; 100]), Err(StreamError::Blocked));
    drain(&mut client);
    assert_eq!(client.poll_event(), None, "room alone does not help");

    // More consumed than sent: this stream is lost, others are not.
    assert_eq!(
        update(&mut client, 262_155, 65_536),
        Some(Event::Writable(id))
    );
    assert_eq!(client.write(id, b"x"), Err(StreamError::PeerConsumed));
    let other = client.open().unwrap();
    assert_eq!(client.write(other, b"x"), Ok(1));
}

/// Streams that all have more to send than fits get equal shares.
#[test]
fn writers_take_turns_frame_by_frame() {
    for version in [Version::V1, Version::V2] {
        let mut pair = Pair::new(&Config {
            max_stream_buffer: 4 << 20,
            ..config(version)
        });
        let ids: Vec<_> = (0..20)
            .map(|_| pair.client.open(Task::writing(vec![0; 8 << 20])))
            .collect();
        let mut carried = 0;
        while carried < 10 << 20 {
            carried += pair.carry(Direction::ToServer, 100_000);
            pair.carry(Direction::ToClient, 100_000);
        }
        let received: Vec<_> = ids
            .iter()
            .map(|id| pair.server.tasks.get(id).map_or(0, |t| t.received.len()))
            .collect();
        let least = received.iter().min().unwrap();
        let most = received.iter().max().unwrap();
        // A frame is 32 KiB; the first comers could fill the empty buffer.
        assert!(most - least <= 6 * 32_768, "{received:?}");
    }
}

/// A short message does not wait until a bulk transfer has nothing to send.
#[test]
fn a_short_message_overtakes_bulk() {
    let mut pair = Pair::new(&config(Version::V1));
    let bulk: Vec<_> = (0..4)
        .map(|_| pair.client.open(Task::writing(vec![0; 16 << 20])))
        .collect();
    pair.carry(Direction::ToServer, 500_000);
    let short = pair.client.open(Task::writing(b"hello".to_vec()));
    let mut carried = 0;
    while pair
        .server
        .tasks
        .get(&short)
        .is_none_or(|t| t.received.is_empty())
    {
        carried += pair.carry(Direction::ToServer, 5_000);
        assert!(carried < 50_000, "behind no more than a frame");
    }
    assert_eq!(pair.server.task(short).received, b"hello");
    assert!(bulk.iter().all(|&id| !pair.client.task(id).all_written()));
}

/// Short messages overtake others only, never their own stream's data; and
/// they do not crowd out bulk.
#[test]
fn express_keeps_the_order_of_each_stream() {
    let mut pair = Pair::new(&config(Version::V1));
    pair.capacity = 20_000;
    let bulk: Vec<_> = (0..3)
        .map(|n| pair.client.open(Task::writing(pattern(n, 2 << 20))))
        .collect();
    let chats: Vec<_> = (0..200)
        .map(|n| pair.client.open(Task::writing(pattern(n, 10))))
        .collect();
    // Each chat goes on in uneven pieces while the connection crawls.
    for step in 1..60 {
        for (n, &id) in (0..200).zip(&chats) {
            let length = (n as usize * 37 + step * 101) % 1900 + 1;
            let more = pattern(n + step as u32, length);
            pair.client.task(id).to_write.extend_from_slice(&more);
        }
        pair.client.run_tasks();
        pair.carry(Direction::ToServer, 7_000);
        let moved: usize = bulk
            .iter()
            .map(|id| pair.server.tasks.get(id).map_or(0, |t| t.received.len()))
            .sum();
        let share = step * 7_000 / 2;
        assert!(moved + 40_000 > share, "{moved} of {share}");
    }
    for &id in &chats {
        pair.client.session.finish(id).unwrap_or_default();
    }
    pair.settle();
    for id in chats {
        let sent = std::mem::take(&mut pair.client.task(id).to_write);
        let task = pair.server.task(id);
        assert!(sent.starts_with(&task.received) && task.ended);
    }
}

/// A writer that was given its turn and does not come must not stop others.
#[test]
fn a_writer_that_misses_its_turn_stops_nobody() {
    let mut client = Session::new(
        Config {
            send_buffer: 1000,
            max_frame_size: 500,
            ..config(Version::V1)
        },
        Side::Client,
        Instant::now(),
    )
    .unwrap();
    let mut out = Outgoing::new();
    let ids: Vec<_> = (0..50).map(|_| client.open().unwrap()).collect();
    assert_eq!(client.write(ids[0], &[0; 5000]), Ok(1000));
    for &id in &ids {
        assert_eq!(client.write(id, &[0; 500]), Err(StreamError::Blocked));
    }
    assert_eq!(client.stats().waiting_writers, 50);
    // Nobody reacts to the events; still all of them are called in the end.
    while client.transmit(&mut out) {
        out.advance(out.remaining());
    }
    let events: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
    let expected: Vec<_> = ids.iter().map(|&id| Event::Writable(id)).collect();
    assert_eq!(events, expected);
    assert_eq!(client.write(ids[49], &[0; 5000]), Ok(500));
    assert_eq!(client.stats().waiting_writers, 0);
}

/// A peer that never reads costs a bounded amount of memory.
#[test]
fn the_send_buffer_is_bounded() {
    let mut client = Session::new(config(Version::V1), Side::Client, Instant::now()).unwrap();
    let mut out = Outgoing::new();
    let ids: Vec<_> = (0..100).map(|_| client.open().unwrap()).collect();
    assert!(client.transmit(&mut out));
    for _ in 0..10 {
        for &id in &ids {
            while client.write(id, &vec![0; 65_536]).is_ok() {}
        }
        client.transmit(&mut out);
    }
    let limit = (128 << 10) + 32_768 + 8;
    assert!(client.stats().queued <= limit);
    assert!(out.remaining() <= limit + 100 * 8);
}

/// A slow reader of short reads, a tiny window and tiny frames: no deadlock.
#[test]
fn tiny_everything() {
    for version in [Version::V1, Version::V2] {
        let mut pair = Pair::new(&Config {
            max_frame_size: 1,
            max_receive_buffer: 3,
            max_stream_buffer: 1,
            send_buffer: 1,
            copy_below: 2,
            ..config(version)
        });
        pair.capacity = 11;
        pair.server.on_accept = || Task {
            read_step: 1,
            ..Task::writing(pattern(7, 700))
        };
        let ids: Vec<_> = (0..5)
            .map(|n| pair.client.open(Task::writing(pattern(n, 500))))
            .collect();
        pair.settle();
        for (n, id) in (0..).zip(ids) {
            assert_eq!(pair.server.task(id).received, pattern(n, 500));
            assert_eq!(pair.client.task(id).received, pattern(7, 700));
        }
    }
}
