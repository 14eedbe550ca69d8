//! Two ends and a path between them that loses, delays, repeats and reorders.

use proptest::prelude::*;

use super::*;
use crate::{Cipher, CipherKind, Envelope, Key, Mode};

mod path;

use path::{Path, run, run_slowly, text};

#[test]
fn without_loss_nothing_is_sent_twice() {
    for shards in [None, Some((10, 3))] {
        let config = Config {
            shards,
            ..Config::default()
        };
        let (one, two) = (text(1_000_000, 1), text(300_000, 2));
        let mut path = Path::new(1, 0, 20, 0);
        let outcome = run([&config, &config], &mut path, [&one, &two]);
        for stats in outcome.stats {
            assert_eq!((stats.timed_out, stats.resent_early), (0, 0));
            assert_eq!((stats.repeated, stats.recovered), (0, 0));
        }
        // 32 segments for each round trip.
        let round_trips = 1_000_000 / (32 * 1348);
        assert!(outcome.took < (round_trips + 10) * 40, "{}", outcome.took);
    }
}

#[test]
fn bad_paths() {
    for (mode, loss, delay, jitter, shards) in [
        (None, 2, 50, 10, Some((10, 3))),
        (Some(Mode::Fast), 2, 50, 10, Some((10, 3))),
        (Some(Mode::Normal), 10, 30, 30, None),
        (Some(Mode::Fast2), 20, 10, 50, Some((4, 4))),
        (Some(Mode::Fast3), 30, 0, 5, Some((1, 1))),
    ] {
        let mut config = Config {
            send_window: 256,
            receive_window: 256,
            shards,
            ..Config::default()
        };
        if let Some(mode) = mode {
            config = config.with_mode(mode);
        }
        let (one, two) = (text(600_000, 3), text(200_000, 4));
        let mut path = Path::new(5, loss, delay, jitter);
        let outcome = run([&config, &config], &mut path, [&one, &two]);
        let [stats, _] = outcome.stats;
        let again = stats.timed_out + stats.resent_early;
        assert!(again + stats.recovered > 0, "{mode:?} {stats:?}");
        assert!(again < stats.sent * 2, "{mode:?} {stats:?}");
        assert_eq!(stats.recovered > 0, shards.is_some(), "{stats:?}");
    }
}

#[test]
fn what_is_late_is_not_taken_for_lost() {
    for shards in [None, Some((10, 3))] {
        let config = Config {
            send_window: 512,
            receive_window: 512,
            shards,
            ..Config::default()
        }
        .with_mode(Mode::Fast);
        let one = text(1_000_000, 3);
        let outcome = run(
            [&config, &config],
            &mut Path::new(5, 2, 50, 10),
            [&one, b""],
        );
        let stats = outcome.stats[0];
        let again = stats.timed_out + stats.resent_early;
        assert!(again < stats.sent / 10, "{stats:?}");
        // Two windows, and what was lost.
        assert!(outcome.took < 700, "{} ms", outcome.took);
    }
}

#[test]
fn what_is_recovered_late_does_not_slow_down_what_is_lost_later() {
    let config = Config::default();
    for seed in 0..5 {
        let one = text(50_000, seed);
        let path = &mut Path::new(seed, 10, 30, 5);
        // Ten messages, which are needed to recover one, take seconds.
        let outcome = run_slowly([&config, &config], path, [&one, b""], (100, 300));
        assert!(outcome.stats[1].recovered > 0);
        let latest = outcome.lateness.into_iter().max().unwrap();
        assert!(latest < 1000, "a message took {latest} ms");
    }
}

#[test]
fn ends_with_different_options_understand_each_other() {
    let client = Config {
        mtu: 576,
        send_window: 50,
        receive_window: 3,
        shards: None,
        ..Config::default()
    };
    let server = Config {
        shards: Some((5, 2)),
        ..Config::default()
    }
    .with_mode(Mode::Fast);
    let (one, two) = (text(300_000, 5), text(100_000, 6));
    let outcome = run(
        [&client, &server],
        &mut Path::new(2, 5, 10, 4),
        [&one, &two],
    );
    assert!(outcome.stats[0].recovered > 0);
}

#[test]
fn millions_of_datagrams() {
    let config = Config {
        send_window: 1024,
        receive_window: 1024,
        ..Config::default()
    }
    .with_mode(Mode::Fast);
    let all = if cfg!(debug_assertions) { 5 } else { 1000 };
    let one = text(all * 1_000_000, 7);
    let outcome = run([&config, &config], &mut Path::new(3, 1, 5, 1), [&one, b""]);
    assert!(outcome.datagrams > all as u64 * 1000);
}

#[test]
fn one_packet_in_each_direction_is_enough_for_a_question() {
    let config = Config {
        shards: None,
        ..Config::default()
    };
    let outcome = run(
        [&config, &config],
        &mut Path::new(1, 0, 10, 0),
        [b"ask", b""],
    );
    assert_eq!(outcome.datagrams, 2);
}

#[test]
fn recorded_packets_open_and_are_written_the_same_way() {
    let recorded: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/packets.json")).unwrap();
    let transcripts = recorded["transcripts"].as_array().unwrap();
    assert!(!transcripts.is_empty());
    for transcript in transcripts {
        let name = transcript["name"].as_str().unwrap();
        let kind = transcript["crypt"].as_str().unwrap();
        let kind: CipherKind = kind.trim_end_matches("-256").parse().unwrap();
        let key = Key::derive(transcript["key_text"].as_str().unwrap());
        let envelope = Envelope::new(std::sync::Arc::new(Cipher::new(kind, &key)));
        let (mut server, mut read) = (None::<Session>, Vec::new());
        let events = transcript["events"].as_array().unwrap();
        for event in events.iter().filter(|e| e["dir"] == "c2s") {
            let mut packet = hex::decode(event["hex"].as_str().unwrap()).unwrap();
            let body = envelope.open(&mut packet).expect(name);
            let now = Instant::now();
            let session = server.get_or_insert_with(|| {
                let opening = Opening::find(body, 32).expect(name);
                assert!(opening.first);
                Session::new(opening.conversation, Config::default(), now).unwrap()
            });
            session.receive(now, body);
            while !session.peek().is_empty() {
                read.extend_from_slice(session.peek());
                session.consume(session.peek().len());
            }
            // Segments are written as they were read.
            let segments = Mark::find(body).map_or(body, |_| &body[fec::HEADER..]);
            if Mark::find(body).is_none_or(|mark| !mark.parity) {
                let (header, ..) = Header::split(segments).expect(name);
                assert_eq!(header.encode(), segments[..crate::segment::HEADER]);
            }
        }
        let mut stream = Vec::new();
        if transcript["nocomp"] == true {
            stream = read;
        } else {
            let mut snappy = crate::snappy::Decompressor::new();
            snappy.decompress(&read, &mut stream).expect(name);
        }
        // The SYN of an smux stream.
        assert_eq!(stream[1..8], [0, 0, 0, 3, 0, 0, 0], "{name}");
    }
}

#[test]
fn what_could_not_begin_a_conversation_begins_none() {
    let push = |number: u32| {
        Header {
            conversation: 5,
            command: Command::Push,
            fragment: 0,
            window: 32,
            time: 0,
            number,
            expected: 0,
            length: 0,
        }
        .encode()
        .to_vec()
    };
    let opening = |first| {
        Some(Opening {
            conversation: 5,
            first,
        })
    };
    assert_eq!(Opening::find(&push(0), 32), opening(true));
    assert_eq!(Opening::find(&push(31), 32), opening(false));
    assert_eq!(Opening::find(&push(32), 32), None);
    let mut ack = push(0);
    ack[4] = 82;
    assert_eq!(Opening::find(&ack, 32), None);
    assert_eq!(Opening::conversation(&ack), Some(5));
    let with_mark = |kind: u8| [&[1, 0, 0, 0, kind, 0, 26, 0], &push(0)[..]].concat();
    assert_eq!(Opening::find(&with_mark(0xf1), 32), opening(true));
    assert_eq!(Opening::find(&with_mark(0xf2), 32), None);
    assert_eq!(Opening::conversation(&with_mark(0xf2)), None);
}

#[test]
fn a_window_that_opens_again_is_heard_of_soon_whatever_is_lost() {
    let config = Config {
        receive_window: 4,
        shards: None,
        ..Config::default()
    };
    let start = Instant::now();
    let mut ends = [(); 2].map(|()| Session::new(7, config.clone(), start).unwrap());
    let (mut left, mut read, mut now) = (30_000, 0, 0);
    while read < 30_000 {
        assert!(now < 5000, "only {read} bytes were read");
        let at = start + Duration::from_millis(now);
        let some = ends[0].writable().min(left);
        ends[0].write(&vec![1; some]);
        left -= some;
        while now >= 2000 && !ends[1].peek().is_empty() {
            let piece = ends[1].peek().len();
            ends[1].consume(piece);
            read += piece;
        }
        for from in 0..2 {
            let due = ends[from].next_timeout().is_some_and(|t| t <= at);
            let mut room = [0; 1500];
            while (due || ends[from].wants_send())
                && let Some(length) = ends[from].transmit(at, &mut room)
            {
                // Nothing arrives in the moment in which the reader is back.
                if !(2000..2100).contains(&now) {
                    ends[1 - from].receive(at, &room[packet::HEADER..length]);
                }
            }
        }
        now += 10;
    }
}

#[test]
fn a_session_at_rest_is_small_and_wakes_up() {
    let config = Config::default();
    let now = Instant::now();
    let mut end = Session::new(1, config, now).unwrap();
    end.write(b"x");
    let mut room = [0; 1500];
    assert!(end.transmit(now, &mut room).is_some());
    end.rest();
    assert!(end.next_timeout().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_stream_survives_any_path(
        seed: u64,
        // With more, twenty losses of the same segment, which end a session, do happen.
        loss in 0_u8..25,
        delay in 0_u64..200,
        jitter in 0_u64..100,
        mode in proptest::option::of(proptest::sample::select(
            vec![Mode::Normal, Mode::Fast, Mode::Fast2, Mode::Fast3])),
        windows in proptest::collection::vec(1_u32..200, 4),
        mtus in proptest::collection::vec(120_usize..1500, 2),
        shards in proptest::collection::vec((0_usize..12, 0_usize..5), 2),
        lengths in proptest::collection::vec(0_usize..30_000, 2),
    ) {
        let configs: Vec<Config> = (0..2).map(|i| {
            let config = Config {
                send_window: windows[i],
                receive_window: windows[i + 2],
                mtu: mtus[i],
                ..Config::default()
            };
            let config = mode.map_or(config.clone(), |mode| config.with_mode(mode));
            config.with_shards(shards[i].0, shards[i].1).unwrap()
        }).collect();
        let texts = [text(lengths[0], seed), text(lengths[1], seed ^ 1)];
        let mut path = Path::new(seed, loss, delay, jitter);
        run([&configs[0], &configs[1]], &mut path, [&texts[0], &texts[1]]);
    }

    #[test]
    fn anything_may_come(datagrams in proptest::collection::vec(
        (0_u8..6, any::<u32>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..200)), 0..100,
    )) {
        let now = Instant::now();
        let mut end = Session::new(3, Config::default(), now).unwrap();
        end.write(&vec![1; 50_000]);
        let mut room = [0; 1500];
        for (kind, number, other, data) in datagrams {
            let header = Header {
                conversation: 3,
                command: [Command::Push, Command::Ack, Command::AskWindow, Command::TellWindow]
                    [usize::from(kind % 4)],
                fragment: 0,
                window: other as u16,
                time: other,
                number: if kind > 3 { number } else { number % 50 },
                expected: if kind > 3 { other } else { other % 50 },
                length: data.len() as u32,
            };
            end.receive(now, &[&header.encode()[..], &data].concat());
            end.receive(now, &data);
            end.consume(end.peek().len());
            while end.transmit(now, &mut room).is_some() {}
        }
    }
}
