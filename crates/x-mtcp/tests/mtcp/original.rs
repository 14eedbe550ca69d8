//! Ours with the original at the other end, where that is at hand (`gost-reference` on PATH).

use std::net::SocketAddr;

use gost_testbed::{Targets, answers, echoed};
use gost_testkit::{
    PATIENCE, peers, ports,
    process::{Launch, Process},
    tcp::{Behaviour, Server},
};

use crate::support::{client, server};

/// The defaults, which must agree, and what else both know.
const KINDS: [&str; 4] = [
    "mux.type=smux",
    "mux.version=1",
    "mux.version=2",
    "mux.type=yamux",
];
const LEN: usize = 2 << 20;

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

#[tokio::test]
async fn our_client_at_a_server_of_the_original() {
    let to = Targets::start(LEN).await;
    for kind in KINDS {
        let Some((_process, node)) = original_server(kind).await else {
            return;
        };
        for target in to.all() {
            let local = client(node, target.address(), kind).await;
            to.carried(local.addr, target).await;
        }
    }
}

#[tokio::test]
async fn a_client_of_the_original_at_our_server() {
    let to = Targets::start(LEN).await;
    for kind in KINDS {
        let node = server(kind).await;
        for target in to.all() {
            let local = original_client(node.addr, target.address(), kind).await;
            let Some((_process, local)) = local else {
                return;
            };
            if target.port() == to.echo.port() {
                echoed(local).await;
            }
            to.carried(local, target).await;
        }
    }
}

#[tokio::test]
async fn versions_that_differ_end_in_a_refusal_on_both_sides() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let Some((_process, node)) = original_server("mux.version=1").await else {
        return;
    };
    let ours = client(node, echo.address(), "mux.version=2").await;
    assert!(!answers(ours.addr, PATIENCE).await);
    let node = server("mux.version=2").await;
    let (_process, local) = original_client(node.addr, echo.address(), "mux.version=1")
        .await
        .unwrap();
    assert!(!answers(local, PATIENCE).await);
    // Which harms nobody else.
    echoed(client(node.addr, echo.address(), "").await.addr).await;
}
