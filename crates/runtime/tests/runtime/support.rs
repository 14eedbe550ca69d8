//! Runtimes of a text, servers that say who they are, and clients.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use gost_config::{Config, FileFormat, Problem, read_document};
use gost_core::registry::Registry;
use gost_runtime::{Changes, Runtime, Workers};
use gost_testkit::PATIENCE;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Waits, but not forever.
pub(crate) async fn soon<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

/// Asks again and again until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, asking).await;
    assert!(in_time.is_ok(), "not in time: {what}");
}

pub(crate) fn registry() -> Arc<Registry> {
    let mut registry = Registry::new();
    for register in [
        gost_x_auth::register,
        gost_x_direct::register,
        gost_x_forward::register,
        gost_x_http::register,
        gost_x_mtcp::register,
        gost_x_relay::register,
        gost_x_remote::register,
        gost_x_socks::register,
        gost_x_tcp::register,
        gost_x_udp::register,
        gost_x_unix::register,
    ] {
        register(&mut registry);
    }
    Arc::new(registry)
}

pub(crate) fn config(yaml: &str) -> Config {
    let read = read_document("test.yaml", FileFormat::Yaml, yaml.as_bytes());
    read.unwrap_or_else(|failure| panic!("{failure}\n{yaml}")).0
}

pub(crate) async fn start(yaml: &str) -> Runtime {
    let workers = Workers::current();
    let started = Runtime::start(&config(yaml), registry(), &workers).await;
    started.unwrap_or_else(|problems| panic!("{}\n{yaml}", text(&problems)))
}

/// A reload that has to succeed; what is gone is ended at once.
pub(crate) async fn reload(runtime: &mut Runtime, yaml: &str) -> Changes {
    let changed = runtime.reload(&config(yaml), Duration::ZERO).await;
    changed.unwrap_or_else(|problems| panic!("{}\n{yaml}", text(&problems)))
}

pub(crate) fn text(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// A server that says its name to everybody, and then gives back what it gets.
pub(crate) struct Named {
    pub(crate) addr: SocketAddr,
    peers: Arc<Mutex<Vec<SocketAddr>>>,
    _tasks: JoinSet<()>,
}

impl Named {
    pub(crate) async fn start(name: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let peers = Arc::<Mutex<Vec<_>>>::default();
        let seen = peers.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((mut stream, peer)) = listener.accept().await {
                seen.lock().unwrap().push(peer);
                clients.spawn(async move {
                    stream.write_all(&[name]).await?;
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
                while clients.try_join_next().is_some() {}
            }
        });
        Self {
            addr,
            peers,
            _tasks: tasks,
        }
    }

    /// How many have connected.
    pub(crate) fn accepted(&self) -> usize {
        self.peers.lock().unwrap().len()
    }

    /// Who connected last.
    pub(crate) fn last_peer(&self) -> SocketAddr {
        *self.peers.lock().unwrap().last().expect("somebody")
    }
}

/// A server that accepts and counts, and then says nothing or hangs up.
pub(crate) struct Dead {
    pub(crate) addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Dead {
    pub(crate) async fn silent() -> Self {
        Self::start(true).await
    }

    pub(crate) async fn closing() -> Self {
        Self::start(false).await
    }

    async fn start(silent: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, SeqCst);
                if silent {
                    held.push(stream);
                }
            }
        });
        Self {
            addr,
            accepted,
            _tasks: tasks,
        }
    }

    /// How many have connected.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }
}

/// A client of a [`Named`] server.
#[derive(Debug)]
pub(crate) struct Client(TcpStream);

impl Client {
    /// Connects, and gives the name of whom it reached; `None` when it is hung up on.
    pub(crate) async fn connect(to: SocketAddr) -> io::Result<(Self, Option<u8>)> {
        let mut stream = soon(TcpStream::connect(to)).await?;
        let name = soon(stream.read_u8()).await.ok();
        Ok((Self(stream), name))
    }

    /// True when the connection is there from end to end.
    pub(crate) async fn is_alive(&mut self) -> bool {
        let exchange = async {
            self.0.write_all(b"?").await.ok()?;
            self.0.read_u8().await.ok()
        };
        soon(exchange).await == Some(b'?')
    }
}

/// The name of whom one reaches by connecting to an address.
pub(crate) async fn name_at(addr: SocketAddr) -> Option<u8> {
    Client::connect(addr).await.expect("somebody listens").1
}

/// Waits until nobody listens at an address.
pub(crate) async fn refused(addr: SocketAddr) {
    until("refused", || async {
        TcpStream::connect(addr).await.is_err()
    })
    .await;
}
