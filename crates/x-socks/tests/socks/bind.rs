//! Ports that a server opens for its client.

use gost_core::prelude::*;
use gost_testbed::Through;
use gost_testkit::soon;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};

use crate::support::{Raw, WATCH, open, via};

fn port(reply: &str) -> u16 {
    u16::from_str_radix(&reply[reply.len() - 4..], 16).unwrap()
}

#[tokio::test]
async fn one_connection_comes_in() {
    let server = open("socks5", "bind=true").await;
    let mut client = Raw::connect(&server).await;
    client.send("050100050200017f0000010000").await;
    let reply = client.take(12).await;
    assert!(reply.starts_with("0500050000017f000001"), "{reply}");

    let mut peer = TcpStream::connect(("127.0.0.1", port(&reply)))
        .await
        .unwrap();
    let from = peer.local_addr().unwrap();
    assert_eq!(
        client.take(10).await,
        format!("050000{}", crate::support::address_hex(from))
    );
    peer.write_all(b"hi").await.unwrap();
    assert_eq!(client.take(2).await, "6869");
    client.send("686f").await;
    let mut got = [0; 2];
    soon(peer.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"ho");
    // There is no second one.
    assert!(
        TcpStream::connect(("127.0.0.1", port(&reply)))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_the_client_says_early_is_for_the_peer() {
    let server = open("socks5", "bind=true").await;
    let mut client = Raw::connect(&server).await;
    client.send("050100050200017f00000100006561726c79").await;
    let reply = client.take(12).await;
    client.send("2121").await;
    let mut peer = TcpStream::connect(("127.0.0.1", port(&reply)))
        .await
        .unwrap();
    let mut got = [0; 7];
    soon(peer.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"early!!");
}

#[tokio::test]
async fn the_port_closes_with_the_clients_connection() {
    let server = open("socks5", "bind=true").await;
    let mut client = Raw::connect(&server).await;
    client.send("050100050200017f0000010000").await;
    let port = port(&client.take(12).await);
    drop(client);
    soon(async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_port_in_use_is_refused() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = crate::support::address_hex(taken.local_addr().unwrap());
    let server = open("socks5", "bind=true").await;
    for command in ["02", "f2"] {
        let mut client = Raw::connect(&server).await;
        client.send(&format!("05010005{command}00{at}")).await;
        assert_eq!(client.rest().await, "050005010001000000000000");
    }
}

#[tokio::test]
async fn the_public_address_is_what_clients_are_told() {
    let server = open("socks5", "bind=true&publicAddr=192.0.2.7").await;
    let mut client = Raw::connect(&server).await;
    client.send("050100050200017f0000010000").await;
    assert!(client.take(12).await.starts_with("050005000001c0000207"));

    let server = open("socks5", "bind=true&publicAddr=a.example").await;
    let mut client = Raw::connect(&server).await;
    client.send("050100050200017f0000010000").await;
    let name = hex::encode("a.example");
    assert!(
        client
            .take(18)
            .await
            .starts_with(&format!("05000500000309{name}"))
    );
}

#[tokio::test]
async fn our_connector_gets_the_one_connection() {
    let server = open("socks5", "bind=true").await;
    let way = via("socks5", "", None, server.addr).await;
    let at = Target::tcp(Addr::parse("127.0.0.1:0").unwrap());
    let mut listener = soon(way.bind(&at, &Ask::default(), &BindOptions::default()))
        .await
        .unwrap();
    let bound = listener.addr().ip().unwrap();
    // Whoever asks and gives up loses nothing.
    assert!(
        tokio::time::timeout(WATCH, listener.accept())
            .await
            .is_err()
    );
    let mut peer = TcpStream::connect(bound).await.unwrap();
    peer.write_all(b"hi").await.unwrap();
    let incoming = soon(listener.accept()).await.unwrap();
    assert_eq!(incoming.peer, peer.local_addr().unwrap().into());
    let Accepted::One(conn) = incoming.finish().await.unwrap() else {
        panic!("a session")
    };
    assert_eq!(conn.meta.local, bound.into());
    let (mut stream, _) = conn.into_stream().unwrap();
    let mut got = [0; 2];
    soon(stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"hi");
    assert_eq!(listener.accept().await.unwrap_err().why(), Why::Closed);
}

#[tokio::test]
async fn a_bound_udp_port_gives_a_flow_for_each_peer() {
    let server = open("socks5", "bind=true").await;
    let way = via("socks5", "", None, server.addr).await;
    let at = Target::udp(Addr::parse(&format!("127.0.0.1:{}", free_port().await)).unwrap());
    let mut listener = soon(way.bind(&at, &Ask::default(), &BindOptions::default()))
        .await
        .unwrap();
    let bound = listener.addr().ip().unwrap();
    assert_eq!(bound.port(), at.addr.port());
    let mut flows = Vec::new();
    for name in [&b"a"[..], b"b"] {
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        peer.connect(bound).await.unwrap();
        peer.send(name).await.unwrap();
        let incoming = soon(listener.accept()).await.unwrap();
        assert_eq!(incoming.peer, peer.local_addr().unwrap().into());
        let Accepted::One(conn) = incoming.finish().await.unwrap() else {
            panic!("a session")
        };
        flows.push((peer, conn.into_packet().unwrap().0, name));
    }
    for (peer, flow, name) in &mut flows {
        // The first datagram is still there; the answer goes to whose flow it is.
        let mut batch = gost_core::packet::Batch::with_capacity(gost_core::packet::MIN_ROOM);
        soon(std::future::poll_fn(|cx| flow.poll_recv(cx, &mut batch)))
            .await
            .unwrap();
        assert_eq!(batch.front().unwrap().0, *name);
        soon(std::future::poll_fn(|cx| flow.poll_send(cx, &mut batch)))
            .await
            .unwrap();
        let mut got = [0; 8];
        let len = soon(peer.recv(&mut got)).await.unwrap();
        assert_eq!(&got[..len], *name);
    }
}

/// A UDP port that the system has just given to us and that we gave back.
async fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap().port()
}

/// Binds a port at a server, and lets two visitors at once talk through it.
async fn two_visitors(way: &Through) {
    let how = BindOptions {
        mux: true,
        ..BindOptions::default()
    };
    let at = Target::tcp(Addr::parse("127.0.0.1:0").unwrap());
    let mut listener = soon(way.bind(&at, &Ask::default(), &how)).await.unwrap();
    let bound = listener.addr().ip().unwrap();
    let mut visits = Vec::new();
    for name in [b"a", b"b"] {
        let mut visitor = TcpStream::connect(bound).await.unwrap();
        visitor.write_all(name).await.unwrap();
        let incoming = soon(listener.accept()).await.unwrap();
        let Accepted::One(conn) = soon(incoming.finish()).await.unwrap() else {
            panic!("a session")
        };
        assert_eq!(conn.meta.peer, visitor.local_addr().unwrap().into());
        assert_eq!(conn.meta.local, bound.into());
        visits.push((visitor, conn.into_stream().unwrap().0, name));
    }
    for (visitor, stream, name) in &mut visits {
        let mut got = [0; 1];
        soon(stream.read_exact(&mut got)).await.unwrap();
        assert_eq!(&got, *name);
        stream.write_all(&got).await.unwrap();
        soon(visitor.read_exact(&mut got)).await.unwrap();
        assert_eq!(&got, *name);
    }
    // The port closes with the session.
    drop((visits, listener));
    soon(async {
        while TcpStream::connect(bound).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn many_connections_come_in_over_one() {
    for query in ["", "mux.version=2"] {
        let server = open("socks5", &format!("bind=true&{query}")).await;
        two_visitors(&via("socks5", query, None, server.addr).await).await;
    }
}

#[tokio::test]
async fn the_original_binds_for_many() {
    let Some(program) = gost_testkit::peers::need("gost-reference") else {
        return;
    };
    for query in ["", "&mux.version=2"] {
        let line = format!("socks5://127.0.0.1:PORT?bind=true{query}");
        let (_process, addr) = crate::reference::server(&program, &line).await;
        two_visitors(&via("socks5", query, None, addr).await).await;
    }
}

#[tokio::test]
async fn in_the_old_way_a_stream_says_nothing_first() {
    let server = open("socks5", "bind=true&comp=true").await;
    let mut client = Raw::connect(&server).await;
    client.send("05010005f200017f0000010000").await;
    let mut peer = TcpStream::connect(("127.0.0.1", port(&client.take(12).await)))
        .await
        .unwrap();
    peer.write_all(b"hi").await.unwrap();
    // SYN, and a PSH of what the peer says alone.
    assert_eq!(client.take(8).await, "0100000003000000");
    assert_eq!(client.take(10).await, "01020200030000006869");
}
