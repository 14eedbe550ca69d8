//! A bypass of 100,000 rules: how long a decision takes, and how much memory the list.

use divan::{Bencher, black_box};
use gost_core::{
    addr::{Addr, Target},
    policy::{Asker, Bypass as _, BypassQuery},
};
use gost_testkit::usage::Usage;
use gost_x_bypass::{Table, TableOptions};

fn main() {
    let resident = || Usage::of(std::process::id()).map_or(0, |usage| usage.rss / 1024);
    let before = resident();
    let table = table();
    let kibibytes = resident().saturating_sub(before);
    println!("100,000 rules, with what was needed to make them: {kibibytes} KiB");
    drop(table);
    divan::main();
}

/// Names, domains, networks and addresses with ports, in equal parts.
fn table() -> Table {
    let rule = |n: u32| match n % 4 {
        0 => format!("host{n}.example{}.com", n % 1000),
        1 => format!(".domain{n}.net:1-1023"),
        2 => format!("10.{}.{}.{}/30", n >> 14, (n >> 6) & 255, (n << 2) & 255),
        _ => format!("172.{}.{}.{}:443", n >> 16, (n >> 8) & 255, n & 255),
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

#[divan::bench(args = ["host4.example4.com:80", "a.b.domain5.net:443", "10.1.2.3:80", "172.0.0.3:443", "www.nobody.example:443", "8.8.8.8:53"])]
fn decision(bencher: Bencher<'_, '_>, target: &str) {
    let table = table();
    let query = BypassQuery {
        target: Target::tcp(Addr::parse(target).expect("an address")),
        ..BypassQuery::default()
    };
    let asker = Asker::default();
    bencher.bench_local(|| {
        let answer = table.contains(black_box(&query), &asker);
        black_box(answer);
    });
}
