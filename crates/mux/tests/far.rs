//! Sessions over a path of 200 ms, by a clock of their own: nothing here depends on how busy the
//! machine is.

#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gost_core::stream::Stream;
use gost_mux::{Session, Streams, Version};
use support::{accept, conn, open, settings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

/// One way.
const DELAY: Duration = Duration::from_millis(100);

/// Bytes that go along the path as one.
const BLOCK: usize = 16 << 10;

/// Blocks that may be underway in one direction before the sender must wait.
const UNDERWAY: usize = 1024;

/// Both ends of a session with a long way between them, that takes so many bytes each second.
fn far_apart(version: Version, rate: u32) -> (Session, Streams) {
    let ((near, here), (there, far)) = (tokio::io::duplex(BLOCK), tokio::io::duplex(BLOCK));
    let (from_near, to_near) = tokio::io::split(here);
    let (from_far, to_far) = tokio::io::split(there);
    tokio::spawn(carry(from_near, to_far, rate));
    tokio::spawn(carry(from_far, to_near, rate));
    let session = gost_mux::client(conn(near), &settings(version)).unwrap();
    let streams = gost_mux::server(conn(far), &settings(version)).unwrap();
    (session, streams)
}

/// Carries one direction.
async fn carry(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>, rate: u32) {
    let (sent, mut underway) = mpsc::channel::<(Instant, Vec<u8>)>(UNDERWAY);
    let send = async move {
        let mut free = Instant::now();
        let mut block = vec![0; BLOCK];
        while let Ok(length @ 1..) = from.read(&mut block).await {
            // One block after the other, and each as long on its way.
            free = free.max(Instant::now()) + Duration::from_secs(length as u64) / rate;
            let arrives = (free + DELAY, block[..length].to_vec());
            if sent.send(arrives).await.is_err() {
                return;
            }
        }
    };
    let arrive = async {
        while let Some((at, block)) = underway.recv().await {
            sleep_until(at).await;
            if to.write_all(&block).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(send, arrive);
}

async fn send_for_ever(mut stream: Box<dyn Stream>) {
    let block = vec![7; 64 << 10];
    while stream.write_all(&block).await.is_ok() {}
}

#[tokio::test(start_paused = true)]
async fn one_stream_is_not_held_to_a_window_in_each_round_trip() {
    const LENGTH: usize = 16 << 20;
    let (session, mut streams) = far_apart(Version::V2, 100_000_000);
    let mut near = open(&session).await;
    let sender = tokio::spawn(send_for_ever(accept(&mut streams).await));
    let read = async {
        let mut buffer = vec![0; 64 << 10];
        let mut left = LENGTH;
        while left > 0 {
            left = left.saturating_sub(near.read(&mut buffer).await.unwrap());
        }
    };
    // With windows of 64 KiB it takes 51 s; the original's default is as much.
    timeout(Duration::from_secs(5), read).await.unwrap();
    sender.abort();
}

#[tokio::test(start_paused = true)]
async fn a_hundred_streams_share_alike() {
    const STREAMS: usize = 100;
    for version in [Version::V1, Version::V2] {
        let (session, mut streams) = far_apart(version, 20_000_000);
        let mut opened = Vec::new();
        for _ in 0..STREAMS {
            opened.push(open(&session).await);
        }
        let mut work = JoinSet::new();
        let mut counts = Vec::new();
        for mut near in opened {
            work.spawn(send_for_ever(accept(&mut streams).await));
            let count = Arc::new(AtomicUsize::new(0));
            counts.push(count.clone());
            work.spawn(async move {
                let mut buffer = vec![0; 16 << 10];
                while let Ok(n @ 1..) = near.read(&mut buffer).await {
                    count.fetch_add(n, Ordering::Relaxed);
                }
            });
        }
        // Until what was sent before all were there has come.
        sleep(Duration::from_secs(2)).await;
        for count in &counts {
            count.store(0, Ordering::Relaxed);
        }
        sleep(Duration::from_secs(3)).await;
        let all: Vec<_> = counts.iter().map(|c| c.load(Ordering::Relaxed)).collect();
        let sum: usize = all.iter().sum();
        let squares: usize = all.iter().map(|n| n * n).sum();
        // Jain's index: 1 when all are alike.
        let percent = 100 * sum * sum / (STREAMS * squares.max(1));
        assert!(percent > 95, "{version:?}: {percent} %: {all:?}");
        // And the path is used: 20 MB/s for 3 s.
        assert!(sum > 50_000_000, "{version:?}: {sum} bytes");
        work.shutdown().await;
    }
}
