//! The target is told who the client is, byte by byte.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use gost_core::{
    Error, Result, Why,
    build::Door,
    listener::Listener,
    outbound::NodeAddr,
    policy::Answer,
    routing::{Choice, Hop, Node, Request},
};
use gost_net::{
    listen::{self, TcpOptions},
    sockets::Sockets,
    udp::{self, FlowOptions},
};
use gost_service::{Service, Serving};
use gost_testkit::{PATIENCE, udp as datagrams};
use gost_x_forward::{Forward, ForwardOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
};

/// A hop with a single node.
struct Single(Arc<Node>);

impl Hop for Single {
    fn select<'a>(&'a self, _: &'a Request, tried: &'a [Arc<Node>]) -> Answer<'a, Result<Choice>> {
        Answer::Now(match tried {
            [] => Ok(Choice::Node(self.0.clone())),
            _ => Err(Error::new(Why::NoRoute, "the target failed")),
        })
    }
}

fn forward(listener: Box<dyn Listener>, target: SocketAddr, proxy_protocol: u8) -> Service {
    let options = ForwardOptions {
        proxy_protocol,
        ..ForwardOptions::default()
    };
    let mut serving = Serving::new(Forward::shared(options), Arc::new(Sockets::default()));
    let node = Node::new(NodeAddr::new(target.into()));
    serving.forwarder = Some(Arc::new(Single(Arc::new(node))));
    Service::start("forward", listener, serving)
}

async fn tcp(target: SocketAddr, version: u8, door: Door) -> (Service, SocketAddr) {
    let listener = listen::tcp("127.0.0.1:0", &TcpOptions::default(), &door).await;
    let listener = listener.unwrap();
    let local = listener.addr().ip().unwrap();
    (forward(Box::new(listener), target, version), local)
}

/// Connects from an address that no other client has.
async fn connect(from: [u8; 4], to: SocketAddr) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Everything that the next connection says.
async fn heard(target: TcpListener) -> Vec<u8> {
    let hear = async {
        let (mut stream, _) = target.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    };
    tokio::time::timeout(PATIENCE, hear).await.unwrap()
}

/// The binary header for two IPv4 addresses.
fn v2(kind: u8, client: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (client.ip(), local.ip()) else {
        panic!("not IPv4");
    };
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    header.extend([kind, 0, 12]);
    header.extend(from.octets());
    header.extend(to.octets());
    header.extend(client.port().to_be_bytes());
    header.extend(local.port().to_be_bytes());
    header
}

#[tokio::test]
async fn a_stream_begins_with_a_header() {
    for version in [0, 1, 2, 9] {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_service, local) = tcp(target.local_addr().unwrap(), version, Door::default()).await;
        let mut client = connect([127, 0, 0, 7], local).await;
        let from = client.local_addr().unwrap();
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        let mut wanted = match version {
            0 => Vec::new(),
            1 => format!(
                "PROXY TCP4 127.0.0.7 127.0.0.1 {} {}\r\n",
                from.port(),
                local.port()
            )
            .into_bytes(),
            _ => v2(0x11, from, local),
        };
        wanted.extend(b"hello");
        assert_eq!(heard(target).await, wanted, "version {version}");
    }
}

#[tokio::test]
async fn a_header_that_came_in_goes_on() {
    let mut door = Door::default();
    door.proxy_protocol = true;
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_service, local) = tcp(target.local_addr().unwrap(), 1, door).await;
    let mut client = connect([127, 0, 0, 7], local).await;
    let (from, to) = (
        "192.0.2.1:51234".parse().unwrap(),
        "198.51.100.2:443".parse().unwrap(),
    );
    client.write_all(&v2(0x11, from, to)).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(
        heard(target).await,
        b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\nhello"
    );
}

#[tokio::test]
async fn a_target_that_expects_a_header_gets_one_from_a_client_without_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.sock");
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = listen::unix(path.to_str().unwrap(), None, &Door::default()).unwrap();
    let _service = forward(listener, target.local_addr().unwrap(), 1);
    let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(heard(target).await, b"PROXY UNKNOWN\r\nhello");
}

#[tokio::test]
async fn over_udp_the_header_is_a_datagram() {
    for version in [1, 2] {
        let target = datagrams::Server::start(datagrams::Behaviour::Echo)
            .await
            .unwrap();
        let door = Door::default();
        let listener = udp::listen("127.0.0.1:0", FlowOptions::default(), &door)
            .await
            .unwrap();
        let local = listener.addr().ip().unwrap();
        let _service = forward(listener, target.address(), version);
        let client = datagrams::client(local).await.unwrap();
        for text in [b"one", b"two"] {
            client.send(text).await.unwrap();
        }
        let header = match version {
            1 => b"PROXY UNKNOWN\r\n".to_vec(),
            _ => v2(0x12, client.local_addr().unwrap(), local),
        };
        let got = target.received_at_least(3).await.unwrap();
        let got: Vec<_> = got.into_iter().map(|datagram| datagram.data).collect();
        assert_eq!(got, [header, b"one".to_vec(), b"two".to_vec()]);
    }
}
