//! Sessions over a path of 200 ms.

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
use gost_testkit::impair::{Impairment, TcpRelay};
use support::{accept, conn, open, settings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Both ends of a session with a long way between them.
async fn far_apart(version: Version, rate: Option<u64>) -> (TcpRelay, Session, Streams) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let path = Impairment {
        delay: Duration::from_millis(100),
        rate,
        ..Impairment::default()
    };
    let relay = TcpRelay::start(listener.local_addr().unwrap(), path, None)
        .await
        .unwrap();
    let near = TcpStream::connect(relay.address()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let session = gost_mux::client(conn(near), &settings(version)).unwrap();
    let streams = gost_mux::server(conn(far), &settings(version)).unwrap();
    (relay, session, streams)
}

async fn send_for_ever(mut stream: Box<dyn Stream>) {
    let block = vec![7; 64 << 10];
    while stream.write_all(&block).await.is_ok() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stream_is_not_held_to_a_window_in_each_round_trip() {
    const LENGTH: usize = 16 << 20;
    let (_path, session, mut streams) = far_apart(Version::V2, None).await;
    let mut near = open(&session).await;
    let sender = tokio::spawn(send_for_ever(accept(&mut streams).await));
    let read = async {
        let mut buffer = vec![0; 64 << 10];
        let mut left = LENGTH;
        while left > 0 {
            left = left.saturating_sub(near.read(&mut buffer).await.unwrap());
        }
    };
    // With windows of 64 KiB it takes 51 s.
    timeout(Duration::from_secs(40), read).await.unwrap();
    sender.abort();
}

/// Waits until so much was received altogether, and says how much of it on each stream.
async fn carried(counts: &[Arc<AtomicUsize>], altogether: usize) -> Vec<usize> {
    let enough = async {
        loop {
            let all: Vec<_> = counts.iter().map(|c| c.load(Ordering::Relaxed)).collect();
            if all.iter().sum::<usize>() >= altogether {
                return all;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_mins(2), enough).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_streams_share_alike() {
    const STREAMS: usize = 100;
    for version in [Version::V1, Version::V2] {
        let (_path, session, mut streams) = far_apart(version, Some(20_000_000)).await;
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
        // What was sent before all were there.
        let before = carried(&counts, 48 << 20).await;
        let after = carried(&counts, 128 << 20).await;
        let all: Vec<_> = before.iter().zip(after).map(|(b, a)| a - b).collect();
        let sum: usize = all.iter().sum();
        let squares: usize = all.iter().map(|n| n * n).sum();
        // Jain's index: 1 when all are alike. The scheduler of a busy machine has a part in it; by
        // an owned clock it is over 0.95 (`gost-smux`, `growth`).
        let percent = 100 * sum * sum / (STREAMS * squares.max(1));
        assert!(percent > 85, "{version:?}: {percent} %: {all:?}");
        work.shutdown().await;
    }
}
