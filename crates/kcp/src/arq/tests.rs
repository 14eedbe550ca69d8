//! Segments as they are on the wire.

use super::*;

fn arq(config: Config) -> Arq {
    Arq::new(7, config)
}

fn config() -> Config {
    Config {
        no_congestion_control: true,
        ..Config::default()
    }
}

/// What is sent now to a peer so near that nothing is spread over the round trip: the segments
/// without their data.
fn sent(arq: &mut Arq, now: Millis) -> Vec<Header> {
    for _ in 0..64 {
        arq.pace.measure(0);
    }
    leaving(arq, now)
}

/// What is sent now.
fn leaving(arq: &mut Arq, now: Millis) -> Vec<Header> {
    let mut headers = Vec::new();
    arq.prepare(now);
    loop {
        let mut room = [0; 1372];
        let length = arq.emit(now, &mut room);
        if length == 0 {
            return headers;
        }
        let mut rest = &room[..length];
        while let Some((header, _, more)) = Header::split(rest) {
            headers.push(header);
            rest = more;
        }
        assert!(rest.is_empty());
    }
}

fn numbers(arq: &mut Arq, now: Millis) -> Vec<u32> {
    let sent = sent(arq, now);
    assert!(sent.iter().all(|h| h.command == Command::Push));
    sent.iter().map(|h| h.number).collect()
}

fn segment(command: Command, number: u32, time: u32, expected: u32) -> Header {
    Header {
        conversation: 7,
        command,
        fragment: 0,
        window: 32,
        time,
        number,
        expected,
        length: 0,
    }
}

fn acks(arq: &mut Arq, now: Millis, numbers: &[u32], time: u32, expected: u32) {
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|n| segment(Command::Ack, *n, time, expected).encode())
        .collect();
    assert!(arq.receive(now, &bytes, Origin::Wire));
}

fn write(arq: &mut Arq, segments: usize) {
    let bytes = vec![0; arq.segment * segments];
    arq.write(&bytes);
}

#[test]
fn small_writes_share_a_segment() {
    let mut arq = arq(config());
    arq.write(b"one");
    arq.write(b"two");
    let sent = sent(&mut arq, 5);
    let expected = Header {
        length: 6,
        time: 5,
        ..segment(Command::Push, 0, 0, 0)
    };
    assert_eq!(sent, [expected]);
    assert!(!arq.wants_send());
    assert_eq!(arq.next_timeout(), Some(5 + 200));
}

#[test]
fn as_much_is_sent_as_the_windows_allow() {
    let mut arq = arq(config());
    write(&mut arq, 40);
    assert_eq!(numbers(&mut arq, 0), (0..32).collect::<Vec<_>>());
    acks(&mut arq, 1, &[0], 0, 2);
    assert_eq!(numbers(&mut arq, 1), [32, 33]);
    let closed = Header {
        window: 0,
        ..segment(Command::TellWindow, 0, 0, 10)
    };
    arq.receive(2, &closed.encode(), Origin::Wire);
    assert!(numbers(&mut arq, 2).is_empty());
    // What was recovered may say what is no longer so.
    arq.receive(
        3,
        &segment(Command::TellWindow, 0, 0, 10).encode(),
        Origin::Recovered,
    );
    assert!(numbers(&mut arq, 3).is_empty());
}

#[test]
fn a_closed_window_is_asked_for() {
    let mut arq = arq(config());
    let closed = Header {
        window: 0,
        ..segment(Command::TellWindow, 0, 0, 0)
    };
    arq.receive(0, &closed.encode(), Origin::Wire);
    assert!(sent(&mut arq, 0).is_empty());
    for at in [500, 500 + 750, 500 + 750 + 1125] {
        assert_eq!(arq.next_timeout(), Some(at));
        let asked = sent(&mut arq, at);
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].command, Command::AskWindow);
    }
    let mut peer = self::arq(config());
    peer.receive(
        0,
        &segment(Command::AskWindow, 0, 0, 0).encode(),
        Origin::Wire,
    );
    assert_eq!(sent(&mut peer, 0)[0].command, Command::TellWindow);
}

#[test]
fn the_congestion_window_opens_with_what_arrives_and_closes_with_what_does_not() {
    let mut arq = arq(Config::default());
    write(&mut arq, 100);
    assert_eq!(numbers(&mut arq, 0), [0]);
    acks(&mut arq, 10, &[0], 0, 1);
    assert_eq!(numbers(&mut arq, 10), [1, 2]);
    acks(&mut arq, 20, &[1, 2], 10, 3);
    assert_eq!(numbers(&mut arq, 20), [3, 4, 5, 6]);
    let timeout = arq.next_timeout().unwrap();
    assert_eq!(numbers(&mut arq, timeout), [3, 4, 5, 6]);
    acks(&mut arq, timeout + 1, &[6], 0, 7);
    // One, and one more for what has arrived, up to half of what was too much.
    assert_eq!(numbers(&mut arq, timeout + 2), [7, 8, 9]);
}

#[test]
fn what_was_overtaken_is_sent_again_at_once_and_later_only_by_time() {
    let config = Config {
        fast_resend: 2,
        ..config()
    };
    let mut arq = arq(config);
    write(&mut arq, 100);
    assert_eq!(numbers(&mut arq, 0).len(), 32);
    // One that is overtaken once may just be late, while there is other data to send.
    acks(&mut arq, 1, &[0, 2], 0, 1);
    assert_eq!(numbers(&mut arq, 1), [32]);
    acks(&mut arq, 2, &[3], 0, 1);
    assert_eq!(numbers(&mut arq, 2), [1]);
    acks(&mut arq, 3, &[4, 5, 6], 2, 1);
    assert!(numbers(&mut arq, 3).is_empty());
    assert_eq!(arq.stats.resent_early, 1);
    let timeout = arq.next_timeout().unwrap();
    assert_eq!((timeout, numbers(&mut arq, timeout)), (101, vec![32]));
    assert_eq!(numbers(&mut arq, 102), [1]);
}

#[test]
fn timeouts_follow_the_round_trip_time() {
    for (no_delay, fast, slow) in [(false, 100, 300 + 600), (true, 30, 300 + 600)] {
        let config = Config {
            no_delay,
            ..config()
        };
        for (time, expected) in [(3, fast), (300, slow)] {
            let mut arq = arq(config.clone());
            write(&mut arq, 2);
            assert_eq!(numbers(&mut arq, 0), [0, 1]);
            acks(&mut arq, time, &[0, 1], 0, 2);
            assert_eq!(arq.timeout, expected);
        }
    }
}

#[test]
fn timeouts_grow_until_the_session_is_dead() {
    let mut arq = arq(config());
    arq.write(b"x");
    let (mut now, mut gaps) = (0, Vec::new());
    assert_eq!(numbers(&mut arq, 0), [0]);
    while !arq.is_dead() {
        let next = arq.next_timeout().unwrap();
        gaps.push(next - now);
        now = next;
        assert_eq!(numbers(&mut arq, now), [0]);
    }
    assert_eq!(gaps.len(), 20);
    assert_eq!(gaps[..3], [200, 400, 600]);
    assert_eq!(arq.stats.timed_out, 20);
}

#[test]
fn a_peer_that_takes_one_segment_at_a_time_gets_all() {
    let mut arq = arq(config());
    write(&mut arq, 32);
    assert_eq!(numbers(&mut arq, 0).len(), 32);
    for number in 0..32 {
        let now = 60_000 * u64::from(number + 1);
        // The peer drops all but the first, so that the last is sent 32 times.
        assert_eq!(numbers(&mut arq, now), (number..32).collect::<Vec<_>>());
        assert!(!arq.is_dead());
        acks(&mut arq, now, &[number], now as u32, number + 1);
    }
    assert!(arq.is_delivered());
}

#[test]
fn data_is_acknowledged_and_read_in_order() {
    let mut arq = arq(config());
    let push = |number: u32, data: &[u8]| {
        let header = Header {
            length: data.len() as u32,
            ..segment(Command::Push, number, 90 + number, 0)
        };
        [&header.encode()[..], data].concat()
    };
    for (number, data) in [(1, b"cd"), (0, b"ab"), (1, b"xx"), (3, b"gh"), (31, b"zz")] {
        assert!(arq.receive(50, &push(number, data), Origin::Wire));
    }
    // Beyond the window.
    assert!(arq.receive(50, &push(34, b"zz"), Origin::Wire));
    assert_eq!(arq.next_timeout(), Some(60));
    let sent = sent(&mut arq, 51);
    let acked: Vec<_> = sent
        .iter()
        .map(|h| (h.number, h.time, h.expected, h.window))
        .collect();
    assert_eq!(acked, [(3, 93, 2, 30), (31, 121, 2, 30)]);
    let mut read = Vec::new();
    while !arq.peek().is_empty() {
        read.push(arq.peek()[0]);
        arq.consume(1);
    }
    assert_eq!(read, b"abcd");
    assert_eq!((arq.stats.received, arq.stats.repeated), (4, 1));
}

#[test]
fn a_window_that_opens_is_told() {
    let config = Config {
        receive_window: 1,
        ..config()
    };
    let mut arq = arq(config);
    let push = |number| {
        let header = Header {
            length: 1,
            ..segment(Command::Push, number, 0, 0)
        };
        [&header.encode()[..], b"x"].concat()
    };
    arq.receive(0, &push(0), Origin::Wire);
    assert_eq!(sent(&mut arq, 0)[0].window, 0);
    arq.consume(1);
    let told = sent(&mut arq, 0);
    assert_eq!((told[0].command, told[0].window), (Command::TellWindow, 1));
    // It may have been lost: again, until the peer goes on or will ask itself.
    let mut times = Vec::new();
    while let Some(at) = arq.next_timeout() {
        assert_eq!(sent(&mut arq, at)[0].command, Command::TellWindow);
        times.push(at);
    }
    assert_eq!(times, [200, 400, 600]);
    arq.receive(600, &push(1), Origin::Wire);
    sent(&mut arq, 600);
    arq.consume(1);
    assert_eq!(sent(&mut arq, 700)[0].command, Command::TellWindow);
    arq.receive(710, &push(2), Origin::Wire);
    sent(&mut arq, 710);
    assert_eq!(arq.next_timeout(), None, "it has gone on");
}

#[test]
fn what_does_not_belong_here_changes_nothing() {
    let mut arq = arq(config());
    write(&mut arq, 3);
    assert_eq!(numbers(&mut arq, 0), [0, 1, 2]);
    let other = Header {
        conversation: 8,
        ..segment(Command::Ack, 0, 0, 1)
    };
    assert!(!arq.receive(1, &other.encode(), Origin::Wire));
    assert!(!arq.receive(1, b"short", Origin::Wire));
    // Acknowledgements of what was never sent.
    for (number, expected) in [(3, 4), (u32::MAX, u32::MAX), (1 << 31, 1 << 31)] {
        acks(&mut arq, 1, &[number], 0, expected);
    }
    assert_eq!(arq.flight.len(), 3);
    assert!(arq.flight.iter().all(|s| !s.acknowledged && s.passed == 0));
}

#[test]
fn a_window_does_not_leave_at_once() {
    let mut arq = arq(Config {
        send_window: 1024,
        ..config()
    });
    let open = Header {
        window: 1024,
        ..segment(Command::TellWindow, 0, 0, 0)
    };
    arq.receive(1, &open.encode(), Origin::Wire);
    for _ in 0..40 {
        arq.pace.measure(100);
    }
    write(&mut arq, 1024);
    let (mut now, mut most, mut all) = (1, 0, 0);
    loop {
        let count = leaving(&mut arq, now).len();
        (most, all) = (most.max(count), all + count);
        if all == 1024 {
            break;
        }
        assert!(!arq.wants_send());
        let next = arq.next_timeout().unwrap();
        assert!(next > now);
        now = next;
    }
    assert!(most <= 40, "{most}");
    assert!((40..=60).contains(&now), "half a round trip, not {now} ms");
    // Acknowledgements do not wait.
    let push = Header {
        length: 0,
        ..segment(Command::Push, 0, 0, 0)
    };
    write(&mut arq, 1);
    arq.receive(now, &push.encode(), Origin::Wire);
    assert!(arq.wants_send());
}

#[test]
fn what_was_recovered_is_acknowledged_with_the_newest_time() {
    let mut arq = arq(config());
    let push = |number, time| segment(Command::Push, number, time, 0).encode();
    assert!(arq.receive(10, &push(1, 5000), Origin::Wire));
    // Late on the wire is another matter: it took so long.
    assert!(arq.receive(11, &push(2, 4000), Origin::Wire));
    assert!(arq.receive(12, &push(0, 1000), Origin::Recovered));
    let acks = sent(&mut arq, 20);
    let last = acks.last().unwrap();
    assert_eq!(
        (last.command, last.number, last.time),
        (Command::Ack, 0, 5000)
    );
    assert!(arq.receive(13, &push(5, 4500), Origin::Wire));
    assert!(arq.receive(14, &push(4, 6000), Origin::Recovered));
    let times: Vec<_> = sent(&mut arq, 30)
        .iter()
        .map(|h| (h.number, h.time))
        .collect();
    assert_eq!(times, [(5, 4500), (4, 6000)]);
}
