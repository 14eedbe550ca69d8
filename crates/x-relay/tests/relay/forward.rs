//! A relay server that forwards to nodes of its own, whatever the client asks for.

use std::{net::SocketAddr, sync::Arc};

use gost_core::{
    Result, Why,
    addr::{Addr, Target},
    error::Error,
    outbound::NodeAddr,
    policy::Answer,
    routing::{Choice, Hop, Node, Request},
};
use gost_testbed::Running;
use gost_testkit::{
    tcp::{Behaviour, Server},
    udp,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use crate::support::{read, read_all, serving, start};

/// One node at most.
struct Only(Option<Arc<Node>>);

impl Hop for Only {
    fn select<'a>(&'a self, _: &'a Request, tried: &'a [Arc<Node>]) -> Answer<'a, Result<Choice>> {
        let node = self.0.clone().filter(|_| tried.is_empty());
        Answer::Now(
            node.map(Choice::Node)
                .ok_or_else(|| Error::new(Why::NoRoute, "no node")),
        )
    }
}

async fn server(node: Option<SocketAddr>) -> Running {
    let mut serving = serving(&["nodelay=true"]).await;
    let node = node.map(|addr| Arc::new(Node::new(NodeAddr::new(addr.into()))));
    serving.forwarder = Some(Arc::new(Only(node)));
    start(serving).await
}

/// Requests with all sorts of targets: none of them matters.
const REQUESTS: [&[u8]; 4] = [
    &[1, 1, 0, 0],
    &[1, 1, 0, 7, 2, 0, 4, 3, 0, 0, 0],
    &[1, 1, 0, 10, 2, 0, 7, 1, 127, 0, 0, 1, 0, 1],
    &[1, 9, 0, 0],
];

#[tokio::test]
async fn the_node_is_reached_whatever_is_asked_for() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let server = server(Some(echo.address())).await;
    for request in REQUESTS {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream
            .write_all(&[request, b"ping"].concat())
            .await
            .unwrap();
        assert_eq!(read(&mut stream, 8).await, b"\x01\0\0\0ping");
    }
}

#[tokio::test]
async fn datagrams_reach_it_too() {
    let echo = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    let server = server(Some(echo.address())).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream
        .write_all(b"\x01\x81\0\x05\x04\0\x02\0\x01\0\x05hello")
        .await
        .unwrap();
    assert_eq!(read(&mut stream, 11).await, b"\x01\0\0\0\0\x05hello");
}

#[tokio::test]
async fn a_missing_node_and_a_dead_one_are_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = closed.local_addr().unwrap();
    drop(closed);
    for (node, status) in [(None, 5), (Some(dead), 6)] {
        let server = server(node).await;
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(REQUESTS[0]).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_all(&mut stream).await, [1, status, 0, 0]);
    }
}

#[tokio::test]
async fn a_client_without_a_target_sends_an_empty_name() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let server = server(Some(echo.address())).await;
    let target = Target::tcp(Addr::Name("".into(), 0));
    let client = crate::support::client(server.addr, target, &[]).await;
    let mut stream = TcpStream::connect(client.addr).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    assert_eq!(read(&mut stream, 4).await, b"ping");
}
