//! An admission of 100,000 rules: how long a decision takes, and how much memory the list.

use divan::{Bencher, black_box};
use gost_core::{
    addr::{Addr, Network},
    policy::{Admission as _, Asker},
};
use gost_testkit::usage::Usage;
use gost_x_admission::{Table, TableOptions};

fn main() {
    let resident = || Usage::of(std::process::id()).map_or(0, |usage| usage.rss / 1024);
    let before = resident();
    let table = table();
    let kibibytes = resident().saturating_sub(before);
    println!("100,000 rules, with what was needed to make them: {kibibytes} KiB");
    drop(table);
    divan::main();
}

/// Networks and addresses of both families, none of which touch.
fn table() -> Table {
    let rule = |n: u32| match n % 3 {
        0 => format!("10.{}.{}.{}/31", n >> 14, (n >> 6) & 255, (n << 2) & 255),
        1 => format!("172.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255),
        _ => format!("2001:db8:{:x}:{:x}::/64", n >> 16, n & 0xffff),
    };
    let options = TableOptions {
        matchers: (0..100_000).map(rule).collect(),
        ..TableOptions::default()
    };
    let making = Table::new("bench", &options);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let made = runtime.expect("a runtime").block_on(making);
    made.expect("all rules are good")
}

#[divan::bench(args = ["10.1.2.4:80", "172.0.0.1:443", "[2001:db8:0:2::1]:1", "8.8.8.8:53"])]
fn decision(bencher: Bencher<'_, '_>, client: &str) {
    let table = table();
    let (from, asker) = (Addr::parse(client).expect("an address"), Asker::default());
    bencher.bench_local(|| {
        let answer = table.admit(Network::Tcp, black_box(&from), &asker);
        black_box(answer);
    });
}
