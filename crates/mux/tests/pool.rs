//! Sessions that are kept: how many are opened, when, and who waits for whom.

#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::{
    future::{Future, pending},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gost_core::{
    addr::Addr,
    conn::Conn,
    error::{Error, Result, Why},
    listener::{Accepted, Listener},
    outbound::PathId,
    stream::Stream,
};
use gost_mux::{Pool, PoolKey, PoolOptions, Session, Streams, Version};
use parking_lot::Mutex;
use support::{conn, pattern, settings, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::Instant,
};

/// A node in memory: it counts the sessions that are opened with it, and how many streams each
/// has at most.
#[derive(Clone, Default)]
struct Node {
    dials: Arc<AtomicUsize>,
    /// The streams that are open, of each session.
    streams: Arc<Mutex<Vec<usize>>>,
    most: Arc<AtomicUsize>,
    /// Ends all sessions.
    kill: Arc<Notify>,
}

impl Node {
    fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    /// What a pool calls to open a session.
    fn dial(&self, version: Version) -> impl Future<Output = Result<Session>> + Send + 'static {
        self.dials.fetch_add(1, Ordering::SeqCst);
        let node = self.clone();
        async move {
            let (near, far) = tokio::io::duplex(64 << 10);
            let streams = gost_mux::server(conn(far), &settings(version))?;
            tokio::spawn(node.serve(streams));
            gost_mux::client(conn(near), &settings(version))
        }
    }

    async fn serve(self, mut streams: Streams) {
        let number = {
            let mut all = self.streams.lock();
            all.push(0);
            all.len() - 1
        };
        let mut tasks = JoinSet::new();
        loop {
            let incoming = tokio::select! {
                incoming = streams.accept() => incoming,
                () = self.kill.notified() => return,
            };
            let Ok(incoming) = incoming else { return };
            let Ok(Accepted::One(conn)) = incoming.finish().await else {
                return;
            };
            let open = {
                let mut all = self.streams.lock();
                all[number] += 1;
                all[number]
            };
            self.most.fetch_max(open, Ordering::SeqCst);
            let counts = self.streams.clone();
            tasks.spawn(async move {
                echo(conn.into_stream().unwrap().0).await;
                counts.lock()[number] -= 1;
            });
        }
    }
}

async fn echo(mut stream: Box<dyn Stream>) {
    let mut buffer = [0; 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

fn pool(max_streams: usize, idle: Duration) -> Pool {
    Pool::new(&PoolOptions {
        max_streams,
        idle_timeout: idle,
    })
}

fn key(port: u16) -> PoolKey {
    PoolKey {
        addr: Addr::from_host("192.0.2.7", port),
        path: PathId::direct(),
    }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(15)
}

async fn get(pool: &Pool, node: &Node, key: &PoolKey) -> Result<Conn> {
    pool.open(key, later(), || node.dial(Version::V2)).await
}

async fn ping(conn: Conn) -> Box<dyn Stream> {
    let (mut stream, _) = conn.into_stream().unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    soon(stream.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"ping");
    stream
}

/// Waits until a session was seen to be over.
async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_session_for_each_address_and_way() {
    let (pool, node) = (pool(0, Duration::ZERO), Node::default());
    let detour = PoolKey {
        path: PathId::direct().and("gateway"),
        ..key(1)
    };
    for (key, dials) in [(key(1), 1), (key(2), 2), (detour, 3)] {
        for _ in 0..5 {
            ping(get(&pool, &node, &key).await.unwrap()).await;
        }
        assert_eq!(node.dials(), dials);
    }
    assert_eq!(pool.sessions(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_one_dial() {
    let (pool, node) = (Arc::new(pool(0, Duration::ZERO)), Node::default());
    let gate = Arc::new(Semaphore::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let (pool, node, gate) = (pool.clone(), node.clone(), gate.clone());
        callers.spawn(async move {
            let make = || {
                let (gate, dial) = (gate.clone(), node.dial(Version::V2));
                async move {
                    let _open = gate.acquire().await;
                    dial.await
                }
            };
            ping(pool.open(&key(1), later(), make).await.unwrap()).await
        });
    }
    until(|| node.dials() > 0).await;
    gate.add_permits(1);
    assert_eq!(soon(callers.join_all()).await.len(), 200);
    assert_eq!(node.dials(), 1);
}

#[tokio::test]
async fn those_who_wait_are_served_though_the_first_gives_up() {
    let (pool, node) = (Arc::new(pool(0, Duration::ZERO)), Node::default());
    let gate = Arc::new(Semaphore::new(0));
    let caller = || {
        let (pool, node, gate) = (pool.clone(), node.clone(), gate.clone());
        tokio::spawn(async move {
            let make = || {
                let (gate, dial) = (gate.clone(), node.dial(Version::V2));
                async move {
                    let _open = gate.acquire().await;
                    dial.await
                }
            };
            pool.open(&key(1), later(), make).await
        })
    };
    let first = caller();
    until(|| node.dials() == 1).await;
    let second = caller();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.add_permits(1);
    ping(soon(second).await.unwrap().unwrap()).await;
    assert_eq!(node.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_delays_nobody_else_and_is_given_up() {
    let (pool, node) = (Arc::new(pool(0, Duration::ZERO)), Node::default());
    let start = Instant::now();
    let dead = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.open(&key(1), later(), pending).await })
    };
    for _ in 0..10 {
        tokio::task::yield_now().await;
        ping(get(&pool, &node, &key(2)).await.unwrap()).await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    let error = dead.await.unwrap().unwrap_err();
    assert_eq!(error.why(), Why::TimedOut);
    assert_eq!(start.elapsed(), Duration::from_secs(15));
}

#[tokio::test]
async fn a_dial_that_fails_fails_for_all_who_wait_and_the_next_one_dials_again() {
    let (pool, node) = (pool(0, Duration::ZERO), Node::default());
    let dials = AtomicUsize::new(0);
    let refuse = || {
        dials.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::task::yield_now().await;
            Err(Error::new(Why::Refused, "dial 192.0.2.7:1"))
        }
    };
    let place = key(1);
    let callers = [1, 2, 3].map(|_| pool.open(&place, later(), refuse));
    let [a, b, c] = callers;
    let (a, b, c) = tokio::join!(a, b, c);
    for result in [a, b, c] {
        assert_eq!(result.unwrap_err().why(), Why::Refused);
    }
    assert_eq!(dials.load(Ordering::SeqCst), 1);
    ping(get(&pool, &node, &place).await.unwrap()).await;
}

#[tokio::test]
async fn a_dial_that_panics_hurts_nobody_later() {
    let (pool, node) = (pool(0, Duration::ZERO), Node::default());
    let panic = || async { panic!("a bug in a dialer") };
    let error = soon(pool.open(&key(1), later(), panic)).await.unwrap_err();
    assert_eq!(error.why(), Why::Other);
    ping(get(&pool, &node, &key(1)).await.unwrap()).await;
}

#[tokio::test]
async fn a_session_that_died_is_replaced_unnoticed() {
    let (pool, node) = (pool(0, Duration::ZERO), Node::default());
    for dials in 1..=5 {
        drop(ping(get(&pool, &node, &key(1)).await.unwrap()).await);
        assert_eq!(node.dials(), dials);
        node.kill.notify_waiters();
        until(|| pool.sessions() == 0).await;
    }
}

#[tokio::test]
async fn a_node_that_closes_whatever_connects_is_not_dialed_for_ever() {
    let pool = pool(0, Duration::ZERO);
    let dials = AtomicUsize::new(0);
    let make = || {
        dials.fetch_add(1, Ordering::SeqCst);
        async {
            let (near, far) = tokio::io::duplex(64);
            drop(far);
            let session = gost_mux::client(conn(near), &settings(Version::V2))?;
            session.closed().await;
            Ok(session)
        }
    };
    let error = soon(pool.open(&key(1), later(), make)).await.unwrap_err();
    assert_eq!(error.why(), Why::Reset);
    assert_eq!(dials.load(Ordering::SeqCst), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_a_session_are_bounded_and_more_sessions_opened_for_more() {
    let (pool, node) = (Arc::new(pool(10, Duration::ZERO)), Node::default());
    let mut callers = JoinSet::new();
    for _ in 0..205 {
        let (pool, node) = (pool.clone(), node.clone());
        callers.spawn(async move { ping(get(&pool, &node, &key(1)).await.unwrap()).await });
    }
    let held = soon(callers.join_all()).await;
    assert_eq!(node.most.load(Ordering::SeqCst), 10);
    assert_eq!(pool.sessions(), 21);
    drop(held);
    until(|| node.streams.lock().iter().sum::<usize>() == 0).await;
    // Room again, without a dial.
    let dials = node.dials();
    ping(get(&pool, &node, &key(1)).await.unwrap()).await;
    assert_eq!(node.dials(), dials);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_bounded_too() {
    let (pool, node) = (Arc::new(pool(1, Duration::ZERO)), Node::default());
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let (pool, node) = (pool.clone(), node.clone());
        callers.spawn(async move { ping(get(&pool, &node, &key(1)).await.unwrap()).await });
    }
    let held = soon(callers.join_all()).await;
    assert_eq!((held.len(), pool.sessions()), (200, 64));
    // Those beyond are spread.
    let most = node.most.load(Ordering::SeqCst);
    assert!((4..=8).contains(&most), "{most}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_held_up_gets_a_sibling_which_goes_when_it_is_idle() {
    let (pool, node) = (pool(0, Duration::ZERO), Node::default());
    let place = key(1);
    let get = || pool.open(&place, later(), || node.dial(Version::V1));
    // A stream that is not read fills the receive buffer.
    let (mut writer, reader) = (get().await.unwrap(), get().await.unwrap());
    drop(reader);
    let (stuck, _) = writer.into_stream().unwrap();
    let (mut rest, mut to) = tokio::io::split(stuck);
    let flood = tokio::spawn(async move {
        let chunk = pattern(1, 64 << 10);
        while to.write_all(&chunk).await.is_ok() {}
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(node.dials(), 1);
    // What comes now goes on beside it, and is not held up.
    for _ in 0..3 {
        ping(get().await.unwrap()).await;
    }
    assert_eq!((node.dials(), pool.sessions()), (2, 2));
    // Once it is read it is the first choice again, and the sibling ends.
    flood.abort();
    let drain = tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(1..) = rest.read(&mut buffer).await {}
    });
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(pool.sessions(), 2);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(pool.sessions(), 1);
    writer = get().await.unwrap();
    ping(writer).await;
    assert_eq!(node.dials(), 2);
    drain.abort();
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_are_closed_only_when_that_is_asked_for() {
    for (idle, left) in [(Duration::ZERO, 1), (Duration::from_mins(5), 0)] {
        let (pool, node) = (pool(0, idle), Node::default());
        let held = ping(get(&pool, &node, &key(1)).await.unwrap()).await;
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(pool.sessions(), 1, "a session with a stream is not idle");
        drop(held);
        tokio::time::sleep(Duration::from_secs(299)).await;
        assert_eq!(pool.sessions(), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(pool.sessions(), left);
        ping(get(&pool, &node, &key(1)).await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_pool_that_is_dropped_ends_with_its_last_stream() {
    let (pool, node) = (pool(0, Duration::ZERO), Node::default());
    let (near, mut far) = tokio::io::duplex(1 << 10);
    let near = Mutex::new(Some(near));
    let make = || {
        let near = near.lock().take().unwrap();
        async move { gost_mux::client(conn(near), &settings(Version::V1)) }
    };
    let stream = pool.open(&key(1), later(), make).await.unwrap();
    // And one that is still being opened.
    let opening = Arc::new(());
    let held = opening.clone();
    let make = || {
        let held = held.clone();
        async move {
            pending::<()>().await;
            drop(held);
            unreachable!("it never ends")
        }
    };
    {
        let other = key(2);
        let mut waiting = std::pin::pin!(pool.open(&other, later(), make));
        assert!(support::poll_once(waiting.as_mut()).await.is_pending());
    }
    drop((pool, held));
    until(|| Arc::strong_count(&opening) == 1).await;
    let (mut stream, _) = stream.into_stream().unwrap();
    stream.write_all(b"!").await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    let mut sent = Vec::new();
    soon(far.read_to_end(&mut sent)).await.unwrap();
    assert_eq!(sent.last_chunk::<8>().map(|fin| fin[1]), Some(1));
    assert_eq!(node.dials(), 0);
}
