//! Two sessions and a path that does what the fuzzer says: what is read is what was written.

#![no_main]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use gost_kcp::{Config, Session, packet};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Script {
    shards: [(u8, u8); 2],
    windows: [u8; 4],
    no_delay: bool,
    fast_resend: u8,
    steps: Vec<(bool, Step)>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Write { length: u16 },
    Read { most: u16 },
    Wait { time: u8 },
    Send,
    Deliver { which: u8 },
    Repeat { which: u8 },
    Lose { which: u8 },
}

#[derive(Default)]
struct Way {
    datagrams: Vec<Vec<u8>>,
    written: VecDeque<u8>,
}

fuzz_target!(|script: Script| {
    let mut now = Instant::now();
    let config = |i: usize| {
        let (data, parity) = script.shards[i];
        Config {
            send_window: u32::from(script.windows[i]).max(1),
            receive_window: u32::from(script.windows[i + 2]).max(1),
            no_delay: script.no_delay,
            fast_resend: script.fast_resend.into(),
            ..Config::default()
        }
        .with_shards((data % 16).into(), (parity % 8).into())
        .unwrap()
    };
    let mut ends = [0, 1].map(|i| Session::new(1, config(i), now).unwrap());
    let mut ways = [Way::default(), Way::default()];
    let mut counter = 0_u8;
    for (second, step) in &script.steps {
        let i = usize::from(*second);
        match *step {
            Step::Write { length } => {
                let length = usize::from(length).min(ends[i].writable());
                let data: Vec<u8> = (0..length)
                    .map(|_| {
                        counter = counter.wrapping_add(1);
                        counter
                    })
                    .collect();
                ends[i].write(&data);
                ways[i].written.extend(&data);
            }
            Step::Read { most } => {
                let length = ends[i].peek().len().min(most.into());
                for byte in &ends[i].peek()[..length] {
                    assert_eq!(ways[1 - i].written.pop_front(), Some(*byte));
                }
                ends[i].consume(length);
            }
            Step::Wait { time } => now += Duration::from_millis(u64::from(time) * 4),
            Step::Send => {
                let mut room = [0; 1500];
                while let Some(length) = ends[i].transmit(now, &mut room) {
                    ways[i]
                        .datagrams
                        .push(room[packet::HEADER..length].to_vec());
                }
            }
            Step::Deliver { which } | Step::Repeat { which } | Step::Lose { which } => {
                let way = &mut ways[1 - i].datagrams;
                if way.is_empty() {
                    continue;
                }
                let at = usize::from(which) % way.len();
                let datagram = match step {
                    Step::Repeat { .. } => way[at].clone(),
                    _ => way.remove(at),
                };
                if !matches!(step, Step::Lose { .. }) {
                    ends[i].receive(now, &datagram);
                }
            }
        }
    }
});
