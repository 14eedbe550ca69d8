//! Ours with the original at the other end, where that is at hand (`gost-reference` on PATH).

use std::net::SocketAddr;

use gost_testkit::{
    payload::{Digest, payload},
    peers, ports,
    process::{Launch, Process},
    tcp::{Behaviour, Server},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::support::{answers, client, echoed, read, server, soon};

/// The defaults, which must agree, and what else both know.
const KINDS: [&str; 4] = [
    "mux.type=smux",
    "mux.version=1",
    "mux.version=2",
    "mux.type=yamux",
];
const LEN: u64 = 2 << 20;

fn launch(arguments: &[&str]) -> Option<Process> {
    let program = peers::need("gost-reference")?;
    Some(Launch::new(program).args(arguments).spawn().unwrap())
}

/// A `relay+mtcp` server of the original.
async fn original_server(options: &str) -> Option<(Process, SocketAddr)> {
    let port = ports::tcp();
    let mut process = launch(&["-L", &format!("relay+mtcp://127.0.0.1:{port}?{options}")])?;
    process.ready(port).await.unwrap();
    Some((process, ([127, 0, 0, 1], port).into()))
}

/// A client of the original: a local port that leads to `target` through `node`.
///
/// Its first client has to be alone: of several that find no session, each dials one, the last one
/// replaces the others, and whoever waits for those is reset. (Between two of the original it is
/// the same: [docs/compatibility.md] has the count.) So nobody asks by connecting whether it
/// listens.
async fn original_client(
    node: SocketAddr,
    target: SocketAddr,
    options: &str,
) -> Option<(Process, SocketAddr)> {
    let port = ports::tcp();
    let local = format!("tcp://127.0.0.1:{port}/{target}");
    // Without nodelay it sends no request before it has data.
    let node = format!("relay+mtcp://{node}?nodelay=true&{options}");
    let mut process = launch(&["-L", &local, "-F", &node])?;
    process.listening(port).await.unwrap();
    Some((process, ([127, 0, 0, 1], port).into()))
}

/// Many connections at once, each with its own bytes.
async fn many(local: SocketAddr) {
    let mut work = JoinSet::new();
    for _ in 0..50 {
        work.spawn(echoed(local));
    }
    soon(work.join_all()).await;
}

async fn downloaded(local: SocketAddr) {
    let mut stream = TcpStream::connect(local).await.unwrap();
    let all = read(&mut stream, LEN as usize).await;
    assert!(all == payload(3, LEN as usize), "other bytes came");
}

async fn uploaded(local: SocketAddr, sink: &Server) {
    let mut stream = TcpStream::connect(local).await.unwrap();
    let all = payload(4, LEN as usize);
    soon(stream.write_all(&all)).await.unwrap();
    stream.shutdown().await.unwrap();
    // Whoever asks our client whether it listens reaches the sink, too.
    let mut received = sink.ended().await.unwrap().received;
    while received.len == 0 {
        received = sink.ended().await.unwrap().received;
    }
    assert_eq!(received, Digest::of(&all));
}

struct Targets {
    echo: Server,
    source: Server,
    sink: Server,
}

impl Targets {
    async fn start() -> Self {
        let start = async |behaviour| Server::start(behaviour).await.unwrap();
        Self {
            echo: start(Behaviour::Echo).await,
            source: start(Behaviour::Source { seed: 3, len: LEN }).await,
            sink: start(Behaviour::Sink).await,
        }
    }
}

#[tokio::test]
async fn our_client_at_a_server_of_the_original() {
    let to = Targets::start().await;
    for kind in KINDS {
        let Some((_process, node)) = original_server(kind).await else {
            return;
        };
        many(client(node, to.echo.address(), &[kind]).await.address).await;
        downloaded(client(node, to.source.address(), &[kind]).await.address).await;
        let client = client(node, to.sink.address(), &[kind]).await;
        uploaded(client.address, &to.sink).await;
    }
}

#[tokio::test]
async fn a_client_of_the_original_at_our_server() {
    let to = Targets::start().await;
    for kind in KINDS {
        let node = server(&[kind]).await;
        for target in [&to.echo, &to.source, &to.sink] {
            let local = original_client(node.address, target.address(), kind).await;
            let Some((_process, local)) = local else {
                return;
            };
            if target.port() == to.echo.port() {
                echoed(local).await;
                many(local).await;
            } else if target.port() == to.source.port() {
                downloaded(local).await;
            } else {
                uploaded(local, target).await;
            }
        }
    }
}

#[tokio::test]
async fn versions_that_differ_end_in_a_refusal_on_both_sides() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let Some((_process, node)) = original_server("mux.version=1").await else {
        return;
    };
    let ours = client(node, echo.address(), &["mux.version=2"]).await;
    assert!(!answers(ours.address).await);
    let node = server(&["mux.version=2"]).await;
    let (_process, local) = original_client(node.address, echo.address(), "mux.version=1")
        .await
        .unwrap();
    assert!(!answers(local).await);
    // Which harms nobody else.
    echoed(client(node.address, echo.address(), &[]).await.address).await;
}
