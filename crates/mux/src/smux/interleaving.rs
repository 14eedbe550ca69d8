//! Many schedules of those who share a session: nobody waits for ever, nothing is lost.
//!
//! All that is shared is under one lock, so what can differ is who takes it next. Shuttle, which
//! runs the tasks here one at a time, chooses at each [`point`] who goes on, and reports it when
//! everybody waits for somebody.

use std::{cell::Cell, future::poll_fn};

use gost_core::{
    addr::Addr,
    conn::{Conn, Meta},
    stream::Stream,
};
use gost_smux::{Side, Version};
use shuttle::{
    future::{JoinHandle, block_on, spawn},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Accepting, Handle};
use crate::options::{MuxOptions, MuxSettings};

thread_local! {
    /// Shuttle is at work on this thread.
    static CHOOSING: Cell<bool> = const { Cell::new(false) };
}

/// Lets somebody else go on, perhaps.
pub(super) fn point() {
    if CHOOSING.get() {
        // (To yield would also wake the task that does, and hide that nobody else does.)
        AtomicBool::new(false).load(SeqCst);
    }
}

/// Runs a scenario under so many schedules of two kinds: any, and those in which a few tasks are held up for long.
fn under_schedules(count: usize, scenario: fn(&MuxSettings)) {
    // Deadlines are set here, and never come.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _context = runtime.enter();
    CHOOSING.set(true);
    for version in [Version::V1, Version::V2] {
        let options = MuxOptions {
            keepalive_disabled: true,
            // Little, so that writers have to wait soon.
            max_receive_buffer: 1000,
            max_stream_buffer: 1000,
            ..MuxOptions::default()
        };
        let settings = options.settings(version).unwrap();
        let other = settings.clone();
        shuttle::check_random(move || scenario(&settings), count);
        shuttle::check_pct(move || scenario(&other), count, 3);
    }
    CHOOSING.set(false);
}

/// Both ends of a session over a narrow pipe, and what drives them.
struct Ends {
    near: Handle,
    far: Handle,
    drivers: [JoinHandle<()>; 2],
}

impl Ends {
    fn new(settings: &MuxSettings) -> Self {
        let conn = |stream| {
            let addr = Addr::from_host("192.0.2.1", 1);
            Conn::stream(stream, Meta::new(addr.clone(), addr))
        };
        let (near, far) = tokio::io::duplex(50);
        let (near, one) = Handle::new(conn(near), Side::Client, Accepting::No, settings).unwrap();
        let (far, two) = Handle::new(conn(far), Side::Server, Accepting::Yes, settings).unwrap();
        Self {
            near,
            far,
            drivers: [spawn(one.run()), spawn(two.run())],
        }
    }
}

fn open(handle: &Handle) -> Box<dyn Stream> {
    let conn = handle.open(usize::MAX).unwrap().unwrap();
    conn.into_stream().unwrap().0
}

async fn accept(handle: &Handle) -> Box<dyn Stream> {
    let conn = poll_fn(|cx| handle.poll_accept(cx)).await.unwrap();
    conn.into_stream().unwrap().0
}

#[test]
fn streams_carry_all_and_the_session_ends_with_them() {
    under_schedules(250, |settings| {
        let Ends { near, far, drivers } = Ends::new(settings);
        let clients: Vec<_> = (1..=2)
            .map(|number| {
                let near = near.clone();
                spawn(async move {
                    let mut stream = open(&near);
                    drop(near);
                    stream.write_all(&[number; 150]).await.unwrap();
                    let mut back = Vec::new();
                    stream.read_to_end(&mut back).await.unwrap();
                    assert_eq!(back, [number; 70]);
                })
            })
            .collect();
        drop(near);
        let server = spawn(async move {
            let mut work = Vec::new();
            for _ in 0..2 {
                let mut stream = accept(&far).await;
                work.push(spawn(async move {
                    let mut bytes = [0; 150];
                    stream.read_exact(&mut bytes).await.unwrap();
                    stream.write_all(&bytes[80..]).await.unwrap();
                    stream.shutdown().await.unwrap();
                }));
            }
            for work in work {
                work.await.unwrap();
            }
        });
        block_on(async {
            for task in clients.into_iter().chain([server]).chain(drivers) {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn whoever_waits_is_told_of_the_end() {
    under_schedules(100, |settings| {
        let Ends { near, far, drivers } = Ends::new(settings);
        // One waits for the end, one reads, one writes what nobody reads.
        let waits = near.clone();
        let waits = spawn(async move { drop(waits.closed().await) });
        let mut reads = open(&near);
        let reads = spawn(async move {
            let _ = reads.read(&mut [0]).await;
        });
        let mut writes = open(&near);
        let writes = spawn(async move { while writes.write_all(&[7; 16_000]).await.is_ok() {} });
        let [one, two] = drivers;
        let accepts = spawn(async move {
            let held = accept(&far).await;
            // The far end of the connection is gone.
            two.abort();
            (poll_fn(|cx| far.poll_accept(cx)).await.is_ok(), held)
        });
        block_on(async {
            for task in [waits, reads, writes, one] {
                task.await.unwrap();
            }
            accepts.await.unwrap();
        });
        drop(near);
    });
}
