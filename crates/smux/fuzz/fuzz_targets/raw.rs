//! Arbitrary bytes into a session: no panic, bounded memory, and however they
//! are cut the same outcome.

#![no_main]

use std::time::Instant;

use bytes::BytesMut;
use gost_smux::{Config, Session, Side, Stats, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else {
        return;
    };
    let config = Config {
        version: if first & 1 == 0 {
            Version::V1
        } else {
            Version::V2
        },
        accept_backlog: 4,
        ..Config::default()
    };
    let whole = feed(&config, bytes, bytes.len().max(1));
    let cut = feed(&config, bytes, usize::from(first >> 1) + 1);
    assert_eq!(whole, cut);
});

fn feed(config: &Config, bytes: &[u8], step: usize) -> (Option<String>, Stats) {
    let mut session = Session::new(config.clone(), Side::Server, Instant::now()).unwrap();
    session.open().unwrap();
    for piece in bytes.chunks(step) {
        let mut input = BytesMut::from(piece);
        if let Err(error) = session.receive(&mut input) {
            assert_eq!(session.error(), Some(error));
            break;
        }
        assert!(input.is_empty() || !session.wants_read());
    }
    let stats = session.stats();
    assert!(stats.backlog <= 4);
    assert!(stats.unread <= bytes.len());
    // How much of a payload was taken before an overrun depends on the cut.
    let unread = if session.error().is_some() {
        0
    } else {
        stats.unread
    };
    (
        session.error().map(|e| e.to_string()),
        Stats { unread, ..stats },
    )
}
