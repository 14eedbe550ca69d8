//! An authenticator of 100,000 users: how long a decision takes, and how much memory the table.

use divan::{Bencher, black_box};
use gost_core::policy::{Asker, Authenticator as _, Credentials};
use gost_testkit::usage::Usage;
use gost_x_auth::{LoadedTable, TableOptions, Users};

fn main() {
    let resident = || Usage::of(std::process::id()).map_or(0, |usage| usage.rss / 1024);
    let before = resident();
    let table = table();
    let kibibytes = resident().saturating_sub(before);
    println!("100,000 users, with what was needed to make them: {kibibytes} KiB");
    drop(table);
    divan::main();
}

fn user(n: u32) -> Credentials {
    Credentials {
        username: format!("user{n}"),
        password: format!("the password of user {n}"),
    }
}

fn table() -> LoadedTable {
    let options = TableOptions {
        auths: Users((0..100_000).map(user).collect()),
        ..TableOptions::default()
    };
    let making = LoadedTable::new("bench", &options);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let made = runtime.expect("a runtime").block_on(making);
    made.expect("nothing is loaded")
}

/// A known user, one with a wrong password, and one who is not there.
#[divan::bench(args = ["known", "wrong", "unknown"])]
fn decision(bencher: Bencher<'_, '_>, who: &str) {
    let table = table();
    let mut given = user(if who == "unknown" { 1_000_000 } else { 54_321 });
    if who == "wrong" {
        given.password.push('!');
    }
    let asker = Asker::default();
    bencher.bench_local(|| {
        let answer = table.authenticate(black_box(&given), &asker);
        black_box(answer);
    });
}
