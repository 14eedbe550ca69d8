//! Ports and sockets that are listened on at the node, for us.

use std::{net::SocketAddr, path::Path, time::Duration};

use gost_core::{
    Error, Result, Side, Why,
    addr::{Addr, Network, Target},
    conn::Conn,
    listener::{Accepted, Listener},
    outbound::{Ask, BindOptions, Outbound},
};
use gost_testkit::soon;
use gost_testkit::{payload::payload, ports, tcp::reset};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
};

use crate::support::{golden, read, read_all, server, transcript, unhex, way};

const UDP_BIND: &str = golden!("relay-udp-bind");

async fn bind(node: SocketAddr, at: &Target, options: &[&str]) -> Result<Box<dyn Listener>> {
    let through = way(node, options, None).await;
    let (ask, how) = (Ask::default(), BindOptions::default());
    soon(through.bind(at, &ask, &how)).await
}

fn loopback() -> Target {
    Target::tcp(Addr::parse("127.0.0.1:0").unwrap())
}

/// The next visitor, with its handshake made.
async fn visitor(listener: &mut Box<dyn Listener>) -> Conn {
    let incoming = soon(listener.accept()).await.unwrap();
    match soon(incoming.finish()).await.unwrap() {
        Accepted::One(conn) => conn,
        Accepted::Many(_) => panic!("a visitor is one connection"),
    }
}

#[tokio::test]
async fn every_visitor_is_a_connection_that_says_who_it_is() {
    for version in ["mux.version=1", "mux.version=2"] {
        let server = server(&["bind=true", version]).await;
        let mut listener = bind(server.addr, &loopback(), &[version]).await.unwrap();
        let bound = listener.addr().ip().unwrap();
        let mut visits = Vec::new();
        for _ in 0..5 {
            let outside = TcpStream::connect(bound).await.unwrap();
            let inside = visitor(&mut listener).await;
            assert_eq!(inside.meta.client, Some(outside.local_addr().unwrap()));
            assert_eq!(inside.meta.local, bound.into());
            visits.push((outside, inside.into_stream().unwrap().0));
        }
        for (i, (outside, inside)) in visits.iter_mut().enumerate() {
            let data = payload(i as u64, 300_000);
            let (written, got) = tokio::join!(outside.write_all(&data), read(inside, data.len()));
            written.unwrap();
            assert!(got == data);
            let (written, got) = tokio::join!(inside.write_all(&data), read(outside, data.len()));
            written.unwrap();
            assert!(got == data);
        }
        // A stream has no half-close, so an end in order waits for the other direction; a cut
        // does not.
        let (outside, mut inside) = visits.pop().unwrap();
        reset(&outside).unwrap();
        drop(outside);
        assert_eq!(read_all(&mut inside).await, b"");
        let (mut outside, mut inside) = visits.pop().unwrap();
        inside.shutdown().await.unwrap();
        drop(inside);
        assert_eq!(read_all(&mut outside).await, b"");
    }
}

#[tokio::test]
async fn the_port_is_free_again_when_the_listener_is_gone() {
    let server = server(&["bind=true"]).await;
    let listener = bind(server.addr, &loopback(), &[]).await.unwrap();
    let bound = listener.addr().ip().unwrap();
    drop(TcpStream::connect(bound).await.unwrap());
    drop(listener);
    let free = async {
        while server.service.connections() > 0 || TcpListener::bind(bound).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(free).await;
}

#[tokio::test]
async fn the_listener_ends_with_the_node() {
    let server = server(&["bind=true"]).await;
    let mut listener = bind(server.addr, &loopback(), &[]).await.unwrap();
    drop(server);
    let error = soon(listener.accept()).await.err().unwrap();
    assert_eq!(error.why(), Why::Closed);
}

#[tokio::test]
async fn unix_sockets_are_bound_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let server = server(&["bind=true"]).await;
    let at = Target {
        network: Network::Unix,
        addr: Addr::path(&*path),
    };
    let mut listener = bind(server.addr, &at, &[]).await.unwrap();
    assert_eq!(listener.addr(), at.addr);
    let mut outside = UnixStream::connect(&path).await.unwrap();
    outside.write_all(b"hello").await.unwrap();
    let (mut inside, _) = visitor(&mut listener).await.into_stream().unwrap();
    assert_eq!(read(&mut inside, 5).await, b"hello");
    inside.write_all(b"there").await.unwrap();
    assert_eq!(read(&mut outside, 5).await, b"there");
}

#[tokio::test]
async fn refusals_say_why() {
    let failed = async |node, at: &Target| -> Error { bind(node, at, &[]).await.err().unwrap() };
    let shut = server(&[]).await;
    let error = failed(shut.addr, &loopback()).await;
    assert_eq!((error.why(), error.at_side()), (Why::Denied, Side::Target));

    let open = server(&["bind=true"]).await;
    let occupied = Target::tcp(open.addr.into());
    let error = failed(open.addr, &occupied).await;
    assert_eq!((error.why(), error.at_side()), (Why::NoRoute, Side::Node));
    let at = Target {
        network: Network::Unix,
        addr: Addr::path(Path::new("/no/such/directory/socket")),
    };
    assert_eq!(failed(open.addr, &at).await.why(), Why::NoRoute);
}

#[tokio::test]
async fn an_empty_host_is_bound_on_both_families() {
    let server = server(&["bind=true"]).await;
    let at = Target::tcp(Addr::Name("".into(), ports::tcp()));
    let mut listener = bind(server.addr, &at, &[]).await.unwrap();
    assert_eq!(listener.addr().port(), at.addr.port());
    for host in ["127.0.0.1", "[::1]"] {
        let Ok(outside) = TcpStream::connect(format!("{host}:{}", at.addr.port())).await else {
            assert_eq!(host, "[::1]", "a machine without IPv6 has only the other");
            continue;
        };
        let inside = visitor(&mut listener).await;
        assert_eq!(inside.meta.client, Some(outside.local_addr().unwrap()));
    }
}

/// Request, answer and the first visitor of a recording, with the ports of this run.
#[tokio::test]
async fn the_server_sends_the_bytes_of_the_original() {
    for (name, options) in [
        ("relay BIND tcp (rtcp), default smux v1", &["bind=true"][..]),
        (
            "relay BIND tcp (rtcp), smux v2 on both sides",
            &["bind=true", "mux.version=2"],
        ),
    ] {
        let recorded = transcript(UDP_BIND, name);
        let data: Vec<Vec<u8>> = recorded["events"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|event| event["kind"] == "data")
            .map(|event| unhex(&event["hex"]))
            .collect();
        let port = ports::tcp();
        let mut request = data[0].clone();
        let at = request.len() - 2;
        request[at..].copy_from_slice(&port.to_be_bytes());
        let mut answer = data[1].clone();
        let at = answer.len() - 2;
        answer[at..].copy_from_slice(&port.to_be_bytes());

        let server = server(options).await;
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(&request).await.unwrap();
        assert_eq!(read(&mut stream, answer.len()).await, answer, "{name}");

        let visitor = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        // The stream is opened, and its first bytes say who is there.
        let mut wanted = data[2..4].concat();
        wanted.truncate(8 + 8 + 14);
        let at = wanted.len() - 2;
        wanted[at..].copy_from_slice(&visitor.local_addr().unwrap().port().to_be_bytes());
        assert_eq!(read(&mut stream, wanted.len()).await, wanted, "{name}");
    }
}

#[tokio::test]
async fn a_node_that_ends_the_visit_early_is_an_error() {
    // An answer to the request, then a stream that ends where the greeting should be.
    let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = node.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = node.accept().await.unwrap();
        let mut request = [0; 19];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(&[1, 0, 0, 0]).await.unwrap();
        stream
            .write_all(b"\x01\0\0\0\x03\0\0\0\x01\x01\0\0\x03\0\0\0")
            .await
            .unwrap();
        read_all(&mut stream).await
    });
    let mut listener = bind(address, &loopback(), &[]).await.unwrap();
    // What it did not say it listens on is what was asked for.
    assert_eq!(listener.addr(), loopback().addr);
    let incoming = soon(listener.accept()).await.unwrap();
    let error = soon(incoming.finish()).await.err().unwrap();
    assert_eq!((error.why(), error.at_side()), (Why::Closed, Side::Node));
    drop(listener);
    soon(serving).await.unwrap();
}
