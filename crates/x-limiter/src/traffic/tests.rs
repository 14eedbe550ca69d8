use std::{net::SocketAddr, time::Duration};

use gost_core::addr::Network;
use gost_loader::FileSource;
use tokio::time::Instant;

use super::*;
use crate::{TrafficOptions, lines};

fn limiter(lines: &[&str]) -> Traffic {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    Traffic::new(TrafficRules::parse(&lines).unwrap())
}

fn conn(limiter: &Traffic, ip: &str) -> Meter {
    let addr = SocketAddr::new(ip.parse().unwrap(), 1);
    limiter.meter(LimitScope::Conn(addr), &Asker::default())
}

/// Moves as much as the meters let it for so long, and says how much each has moved.
async fn pump(meters: &[Meter], direction: Direction, time: Duration) -> Vec<usize> {
    let end = Instant::now() + time;
    let work = meters.iter().map(async |meter| {
        let mut moved = 0;
        while Instant::now() < end {
            match meter.allow(direction, 1 << 20) {
                Allowance::Bytes(n) => {
                    meter.count(direction, n);
                    moved += n;
                    // Nothing moves in no time.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Allowance::After(wait) => tokio::time::sleep(wait).await,
                Allowance::Over => unreachable!("a limit, not a quota"),
            }
        }
        moved
    });
    futures_util::future::join_all(work).await
}

#[track_caller]
fn assert_about(moved: usize, wanted: usize) {
    assert!(
        moved.abs_diff(wanted) * 50 <= wanted,
        "{moved} is not {wanted}"
    );
}

const TEN: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_service_is_limited_as_a_whole_and_each_way_by_itself() {
    let limiter = limiter(&["$ 1MB 2MB"]);
    let door = limiter.meter(LimitScope::Service(Network::Tcp), &Asker::default());
    let meters: Vec<_> = (0..50).map(|_| door.of_one()).collect();
    let (input, output) = tokio::join!(
        pump(&meters, Direction::In, TEN),
        pump(&meters, Direction::Out, TEN)
    );
    assert_about(input.iter().sum(), 10 << 20);
    assert_about(output.iter().sum(), 20 << 20);
}

#[tokio::test(start_paused = true)]
async fn connections_addresses_and_networks_have_limits_of_their_own() {
    let limiter = limiter(&["$ 1B", "$$ 1MB", "10.0.0.1 100KB", "10.1.0.0/16 300KB"]);
    let ips = [
        "127.0.0.1",
        "127.0.0.1",
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "10.1.0.1",
        "10.1.0.2",
    ];
    let meters: Vec<_> = ips.iter().map(|ip| conn(&limiter, ip)).collect();
    let moved = pump(&meters, Direction::In, TEN).await;
    assert_about(moved[0], 10 << 20);
    assert_about(moved[1], 10 << 20);
    assert_about(moved[2] + moved[3], 1000 << 10);
    assert_about(moved[4], 3000 << 10);
    assert_about(moved[5], 3000 << 10);
    // What is not named has no limit.
    let out = meters[0].allow(Direction::Out, 1 << 20);
    assert_eq!(out, Allowance::Bytes(1 << 20));
}

#[tokio::test(start_paused = true)]
async fn users_have_their_own_limit_or_that_of_each() {
    let limiter = limiter(&["$ 1B", "$$ 1MB", "bob 100KB"]);
    let of = |name| {
        let target = None;
        limiter.meter(LimitScope::Client { name, target }, &Asker::default())
    };
    let meters = [of("bob"), of("bob"), of("eve"), of("eve")];
    let moved = pump(&meters, Direction::In, TEN).await;
    assert_about(moved[0] + moved[1], 1000 << 10);
    assert_about(moved[2] + moved[3], 10 << 20);
}

#[tokio::test(start_paused = true)]
async fn rules_that_change_count_for_connections_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("limits");
    std::fs::write(&file, "10.0.0.1 100KB").unwrap();
    let mut options = TrafficOptions::default();
    options.sources.file = Some(FileSource { path: file.clone() });
    let limiter = Traffic::with(lines::load("test", &[], &options.sources).await.unwrap());
    let meters = [conn(&limiter, "10.0.0.1")];
    let rate = || limiter.0.rules.load().addresses.own([10, 0, 0, 1].into());
    let set = async |line: &str| {
        let before = rate();
        std::fs::write(&file, line).unwrap();
        while rate() == before {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert_about(pump(&meters, Direction::In, TEN).await[0], 1000 << 10);
    set("10.0.0.0/8 1MB").await;
    assert_about(pump(&meters, Direction::In, TEN).await[0], 10 << 20);
    set("10.0.0.2 1MB").await;
    let free = meters[0].allow(Direction::In, 1 << 20);
    assert_eq!(free, Allowance::Bytes(1 << 20));
}

#[tokio::test(start_paused = true)]
async fn a_debt_stays_with_the_address_and_is_forgotten_once_paid() {
    let limiter = limiter(&["10.0.0.0/8 1KB"]);
    conn(&limiter, "10.0.0.1").count(Direction::In, 10 << 10);
    // A new connection does not get around it.
    let again = conn(&limiter, "10.0.0.1");
    assert!(matches!(again.allow(Direction::In, 1), Allowance::After(_)));
    drop(again);
    tokio::time::sleep(Duration::from_mins(1)).await;
    for n in 0x0a00_0000..0x0a01_86a0_u32 {
        let ip = std::net::Ipv4Addr::from(n).to_string();
        let allowed = conn(&limiter, &ip).allow(Direction::In, 1);
        assert_eq!(allowed, Allowance::Bytes(1));
    }
    // Whom no rule is about is not remembered at all.
    let before = limiter.0.addresses.len();
    let free = conn(&limiter, "11.0.0.1");
    assert_eq!(free.allow(Direction::In, 9), Allowance::Bytes(9));
    free.count(Direction::In, 9);
    assert_eq!(limiter.0.addresses.len(), before);
    assert!(
        limiter.0.addresses.len() < 3000,
        "{}",
        limiter.0.addresses.len()
    );
}
