//! Channels of sessions over TCP: a listener and a dialer, as a service and a chain use them.

#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gost_core::{
    addr::Addr,
    build::Door,
    error::Why,
    listener::{Accepted, Listener},
    outbound::{Ask, Dialer, NodeAddr, Outbound},
    stream::Stream,
};
use gost_mux::{MuxDialer, MuxListener, PoolOptions, Version};
use gost_net::{channel::ChannelDialer, listen, sockets::Sockets};
use gost_testkit::{ports, usage::Usage};
use support::{VERSIONS, exchange, pattern, poll_once, settings, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

/// A listener of sessions over TCP, and where it is.
async fn listener(version: Version) -> (MuxListener, SocketAddr) {
    let (options, door) = (listen::TcpOptions::default(), Door::default());
    let tcp = listen::tcp("127.0.0.1:0", &options, &door).await.unwrap();
    let listener = MuxListener::new(tcp, settings(version));
    let addr = listener.addr().ip().unwrap();
    (listener, addr)
}

/// A listener whose streams come out of a channel, those of all connections together.
struct Node {
    addr: SocketAddr,
    streams: mpsc::UnboundedReceiver<Box<dyn Stream>>,
    _task: JoinHandle<()>,
}

impl Node {
    async fn start(version: Version) -> Self {
        let (mut listener, addr) = listener(version).await;
        let (to, streams) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok(incoming) = listener.accept().await {
                let to = to.clone();
                sessions.spawn(async move {
                    let Ok(Accepted::Many(mut session)) = incoming.finish().await else {
                        // It has ended before its first stream.
                        return;
                    };
                    while let Ok(stream) = session.accept().await {
                        let Ok(Accepted::One(conn)) = stream.finish().await else {
                            panic!("a stream is one connection");
                        };
                        let _ = to.send(conn.into_stream().unwrap().0);
                    }
                });
            }
        });
        Self {
            addr,
            streams,
            _task: task,
        }
    }

    /// Sends back what comes on each stream.
    fn echo(mut self) -> SocketAddr {
        tokio::spawn(async move {
            while let Some(stream) = self.streams.recv().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                    let _ = to.shutdown().await;
                });
            }
        });
        self.addr
    }
}

fn dialer(version: Version) -> MuxDialer {
    MuxDialer::new(
        ChannelDialer::new(),
        settings(version),
        &PoolOptions::default(),
    )
}

fn sockets() -> Arc<dyn Outbound> {
    Arc::new(Sockets::default())
}

async fn dial(dialer: &MuxDialer, addr: SocketAddr) -> Box<dyn Stream> {
    let node = NodeAddr::new(addr.into());
    let conn = soon(dialer.dial(&node, &sockets(), &Ask::default())).await;
    conn.unwrap().into_stream().unwrap().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_share_a_connection() {
    for version in VERSIONS {
        let addr = Node::start(version).await.echo();
        let dialer = Arc::new(dialer(version));
        let mut work = JoinSet::new();
        for n in 0..500 {
            let dialer = dialer.clone();
            work.spawn(async move { exchange(dial(&dialer, addr).await, &pattern(n, 3000)).await });
        }
        soon(work.join_all()).await;
        assert_eq!(dialer.pool().sessions(), 1);
    }
}

#[tokio::test]
async fn the_end_of_a_direction_is_the_end_of_the_stream() {
    for version in VERSIONS {
        let mut node = Node::start(version).await;
        let dialer = dialer(version);
        let mut near = dial(&dialer, node.addr).await;
        assert!(!near.half_close());
        near.write_all(b"request").await.unwrap();
        near.shutdown().await.unwrap();
        let mut far = soon(node.streams.recv()).await.unwrap();
        let mut all = String::new();
        soon(far.read_to_string(&mut all)).await.unwrap();
        assert_eq!(all, "request");
        let error = far.write_all(b"answer").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        // The session goes on.
        let mut other = dial(&dialer, node.addr).await;
        other.write_all(b"!").await.unwrap();
        let mut far = soon(node.streams.recv()).await.unwrap();
        assert_eq!(soon(far.read_u8()).await.unwrap(), b'!');
    }
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    let addr = Node::start(Version::V2).await.echo();
    let dialer = dialer(Version::V2);
    let mut good = dial(&dialer, addr).await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        // Version 1 at a port of version 2; an unknown command.
        b"\x01\x00\x00\x00\x03\x00\x00\x00",
        b"\x02\x09\x00\x00\x03\x00\x00\x00",
    ] {
        let mut bad = TcpStream::connect(addr).await.unwrap();
        bad.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(bad.read_to_end(&mut answer)).await;
        assert_eq!(answer, b"");
        good.write_all(b"ping").await.unwrap();
        let mut back = [0; 4];
        soon(good.read_exact(&mut back)).await.unwrap();
    }
    assert_eq!(dialer.pool().sessions(), 1);
}

#[tokio::test]
async fn the_first_stream_ends_the_handshake() {
    let (mut listener, addr) = listener(Version::V1).await;
    let mut idle = TcpStream::connect(addr).await.unwrap();
    let mut handshake = Box::pin(soon(listener.accept()).await.unwrap().finish());
    // Signs of life are no stream.
    idle.write_all(b"\x01\x03\0\0\0\0\0\0").await.unwrap();
    assert!(poll_once(handshake.as_mut()).await.is_pending());
    // Whoever keeps the time gives up.
    drop(handshake);
    assert_eq!(soon(idle.read(&mut [0; 1])).await.unwrap(), 0);

    let mut good = TcpStream::connect(addr).await.unwrap();
    let handshake = soon(listener.accept()).await.unwrap().finish();
    good.write_all(b"\x01\0\0\0\x03\0\0\0").await.unwrap();
    let Accepted::Many(mut streams) = soon(handshake).await.unwrap() else {
        panic!("one stream")
    };
    assert!(soon(streams.accept()).await.is_ok());

    // What is wrong is told to who waits.
    let mut bad = TcpStream::connect(addr).await.unwrap();
    let handshake = soon(listener.accept()).await.unwrap().finish();
    bad.write_all(b"\x01\x09\0\0\x03\0\0\0").await.unwrap();
    let error = soon(handshake).await.err().unwrap();
    assert_eq!(error.why(), Why::BadInput);
    assert!(error.to_string().contains("command 9"), "{error}");
}

#[tokio::test]
async fn a_node_that_refuses_is_an_error_that_says_so() {
    let node = NodeAddr::new(SocketAddr::from(([127, 0, 0, 1], ports::tcp())).into());
    let error = soon(dialer(Version::V1).dial(&node, &sockets(), &Ask::default())).await;
    let error = error.unwrap_err();
    assert_eq!(error.why(), Why::Refused);
    assert!(
        error.to_string().contains(&node.addr.to_string()),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_caller_is_kept_though_the_dial_goes_on() {
    struct Nowhere;
    #[async_trait::async_trait]
    impl Outbound for Nowhere {
        async fn connect(
            &self,
            _: &gost_core::addr::Target,
            _: &Ask,
        ) -> gost_core::Result<gost_core::conn::Conn> {
            std::future::pending().await
        }
        async fn bind(
            &self,
            _: &gost_core::addr::Target,
            _: &Ask,
            _: &gost_core::outbound::BindOptions,
        ) -> gost_core::Result<Box<dyn Listener>> {
            std::future::pending().await
        }
        fn path(&self) -> gost_core::outbound::PathId {
            gost_core::outbound::PathId::direct()
        }
    }
    let start = Instant::now();
    let ask = Ask {
        deadline: Some((start + Duration::from_secs(3)).into_std()),
        ..Ask::default()
    };
    let below: Arc<dyn Outbound> = Arc::new(Nowhere);
    let node = NodeAddr::new(Addr::from_host("192.0.2.1", 1));
    let error = dialer(Version::V1).dial(&node, &below, &ask).await;
    assert_eq!(error.unwrap_err().why(), Why::TimedOut);
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_streams_cost_little() {
    const STREAMS: u64 = 10_000;
    let mut node = Node::start(Version::V1).await;
    let dialer = dialer(Version::V1);
    let mut held = Vec::with_capacity(2 * STREAMS as usize);
    // What is allocated once.
    held.push(dial(&dialer, node.addr).await);
    held.push(soon(node.streams.recv()).await.unwrap());
    let memory = || Usage::of(std::process::id()).unwrap().rss;
    let before = memory();
    for _ in 1..STREAMS {
        held.push(dial(&dialer, node.addr).await);
        held.push(soon(node.streams.recv()).await.unwrap());
    }
    let each = memory().saturating_sub(before) / STREAMS;
    assert!(each < 4096, "{each} bytes for both ends of a stream");
    assert_eq!(dialer.pool().sessions(), 10);
    // They still work.
    let far = held.pop().unwrap();
    let near = held.pop().unwrap();
    drop(far);
    let mut near = near;
    assert_eq!(soon(near.read(&mut [0; 1])).await.unwrap(), 0);
}
