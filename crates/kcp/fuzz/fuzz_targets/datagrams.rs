//! Arbitrary datagrams into a session that has something to send: no panic, bounded memory.

#![no_main]

use std::time::{Duration, Instant};

use gost_kcp::{Config, Opening, Session};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagrams: Vec<(u8, Vec<u8>)>| {
    let config = Config::default();
    let mut now = Instant::now();
    let mut session = Session::new(0x0101_0101, config.clone(), now).unwrap();
    session.write(&[7; 20_000]);
    let mut room = [0; 1500];
    for (wait, datagram) in &datagrams {
        now += Duration::from_millis(u64::from(*wait) * 8);
        let _ = Opening::find(datagram, config.receive_window);
        session.receive(now, datagram);
        if wait % 2 == 0 {
            session.consume(session.peek().len());
        }
        let mut sent = 0;
        while let Some(length) = session.transmit(now, &mut room) {
            assert!(length <= config.mtu);
            sent += 1;
            // All that is in flight, its parity, and acknowledgements.
            assert!(sent < 200);
        }
        assert!(session.next_timeout().is_none_or(|at| at > now));
    }
});
