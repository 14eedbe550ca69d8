//! What limits cost that are not reached: bytes per second for each step of a copy, and for the
//! connection itself, by one thread and by several.

use std::net::SocketAddr;

use divan::{Bencher, black_box};
use gost_core::{
    addr::Network,
    meter::{Allowance, Direction, Meter},
    policy::{Asker, LimitScope, TrafficLimiter as _},
};
use gost_x_limiter::{Traffic, TrafficRules};

fn main() {
    divan::main();
}

/// What is moved at once.
const STEP: usize = 64 * 1024;

/// More than anybody moves.
fn limiter() -> Traffic {
    let lines = ["$ 900TB 900TB", "$$ 900TB 900TB", "10.0.0.0/8 900TB 900TB"];
    let lines: Vec<_> = lines.into_iter().map(str::to_owned).collect();
    Traffic::new(TrafficRules::parse(&lines).unwrap_or_default())
}

fn meter(limiter: &Traffic) -> Meter {
    let asker = Asker::default();
    let client = SocketAddr::from(([10, 1, 2, 3], 1));
    let all = limiter.meter(LimitScope::Service(Network::Tcp), &asker);
    all.and(limiter.meter(LimitScope::Conn(client), &asker))
}

/// A step under three limits.
#[divan::bench(threads = [1, 2])]
fn step(bencher: Bencher<'_, '_>) {
    let limiter = limiter();
    bencher.with_inputs(|| meter(&limiter)).bench_refs(|meter| {
        for _ in 0..100 {
            let allowed = meter.allow(Direction::Out, STEP);
            assert_eq!(black_box(allowed), Allowance::Bytes(STEP));
            meter.count(Direction::Out, STEP);
        }
    });
}

/// The meter of a connection.
#[divan::bench(threads = [1, 2])]
fn connection(bencher: Bencher<'_, '_>) {
    let limiter = limiter();
    bencher.bench(|| black_box(meter(&limiter)));
}
