//! Datagrams through our client and our server.

use std::{net::SocketAddr, sync::Arc};

use gost_core::{
    Side, Why,
    addr::{Addr, Target},
    build::Door,
    conn::Conn,
    listener::Listener,
    outbound::{Ask, BindOptions, Outbound},
    packet::{Batch, MIN_ROOM, Packet},
};
use gost_net::udp::FlowOptions;
use gost_service::{Service, Serving};
use gost_testbed::{Forbid, Running, To};
use gost_testkit::soon;
use gost_testkit::{
    PATIENCE,
    payload::payload,
    udp::{Behaviour, MAX_DATAGRAM, Server, client, receive},
};
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket},
};

use crate::support::{
    failed, golden, read, read_all, server, serving, start, transcript, unhex, way,
};

const UDP_BIND: &str = golden!("relay-udp-bind");

/// A local UDP port whose clients all reach one target through a relay node.
async fn forward(node: SocketAddr, target: SocketAddr, options: &[&str]) -> (Service, SocketAddr) {
    let out = Arc::new(way(node, options, None).await);
    let flows = FlowOptions::default();
    let door = Door::default();
    let listener = gost_net::udp::listen("127.0.0.1:0", flows, &door);
    let serving = Serving::new(Arc::new(To(Target::udp(target.into()))), out);
    let service = Service::start("udp", listener.await.unwrap(), serving);
    let address = service.addr().ip().unwrap();
    (service, address)
}

pub(crate) async fn send(packet: &mut dyn Packet, payload: &[u8], to: &Addr) {
    let mut batch = Batch::with_capacity(MIN_ROOM);
    assert!(batch.push(payload, to.clone()));
    soon(std::future::poll_fn(|cx| packet.poll_send(cx, &mut batch)))
        .await
        .unwrap();
}

pub(crate) async fn recv(packet: &mut dyn Packet) -> (Vec<u8>, Addr) {
    let mut batch = Batch::with_capacity(MIN_ROOM);
    soon(std::future::poll_fn(|cx| packet.poll_recv(cx, &mut batch)))
        .await
        .unwrap();
    let (payload, addr) = batch.front().expect("the conversation has ended");
    (payload.to_vec(), addr.clone())
}

/// Where the server's association listens: a wildcard, so reached by loopback.
fn reachable(addr: &Addr) -> SocketAddr {
    ([127, 0, 0, 1], addr.port()).into()
}

#[tokio::test]
async fn datagrams_of_every_size_and_many_clients() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    for nodelay in [&[][..], &["nodelay=true"]] {
        let server = server(nodelay).await;
        let (_service, local) = forward(server.addr, echo.address(), nodelay).await;
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(client(local).await.unwrap());
        }
        for size in [1, 1000, 4096, 9000, MAX_DATAGRAM, 0, 3] {
            for (i, client) in clients.iter().enumerate() {
                let data = payload((size + i) as u64, size);
                client.send(&data).await.unwrap();
                assert!(receive(client, PATIENCE).await.unwrap() == data, "{size}");
            }
        }
    }
}

#[tokio::test]
async fn bursts_arrive_whole() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let server = server(&[]).await;
    let (_service, local) = forward(server.addr, echo.address(), &[]).await;
    let client = client(local).await.unwrap();
    for i in 0..50_u8 {
        client.send(&vec![i; 500]).await.unwrap();
    }
    for i in 0..50_u8 {
        assert_eq!(receive(&client, PATIENCE).await.unwrap(), vec![i; 500]);
    }
}

#[tokio::test]
async fn a_connected_conversation_is_on_the_wire_as_recorded() {
    let recorded = transcript(
        UDP_BIND,
        "udp forward through relay, server nodelay=False client nodelay=False",
    );
    let events = recorded["events"].as_array().unwrap();
    let data: Vec<&Value> = events.iter().filter(|e| e["kind"] == "data").collect();
    // A target that answers in capitals.
    let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = target.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 100];
        while let Ok((n, peer)) = target.recv_from(&mut buffer).await {
            buffer.make_ascii_uppercase();
            let _ = target.send_to(&buffer[..n], peer).await;
        }
    });
    let server = server(&["nodelay=false"]).await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let mut pairs = 0;
    for event in data {
        let mut bytes = unhex(&event["hex"]);
        if event["dir"] == "c2s" {
            if pairs == 0 {
                bytes[17..19].copy_from_slice(&port.to_be_bytes());
            }
            stream.write_all(&bytes).await.unwrap();
        } else {
            assert_eq!(read(&mut stream, bytes.len()).await, bytes);
            pairs += 1;
        }
    }
    assert_eq!(pairs, 3);
}

async fn associate(server: &Running) -> gost_core::Result<Conn> {
    let through = way(server.addr, &[], None).await;
    soon(through.open(&Target::udp(Addr::Any))).await
}

#[tokio::test]
async fn an_association_reaches_whom_it_names_and_is_reached_by_anybody() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let server = server(&["bind=true"]).await;
    let (mut packet, meta) = associate(&server).await.unwrap().into_packet().unwrap();
    let at = reachable(&meta.local);
    let echo_addr = Addr::from(echo.address());
    let by_name = Addr::Name("localhost".into(), echo.port());

    send(&mut *packet, b"by ip", &echo_addr).await;
    assert_eq!(
        recv(&mut *packet).await,
        (b"by ip".to_vec(), echo_addr.clone())
    );
    send(&mut *packet, b"by name", &by_name).await;
    assert_eq!(
        recv(&mut *packet).await,
        (b"by name".to_vec(), echo_addr.clone())
    );
    // Those that go nowhere are dropped, and end nothing.
    let nowhere = Addr::Name("no.such.name.invalid".into(), 9);
    send(&mut *packet, b"lost", &nowhere).await;
    send(&mut *packet, b"lost", &Addr::Any).await;
    let large = payload(1, 65_000);
    send(&mut *packet, &large, &echo_addr).await;
    assert!(recv(&mut *packet).await == (large.to_vec(), echo_addr));

    let stranger = client(at).await.unwrap();
    stranger.send(b"hello").await.unwrap();
    let peer = Addr::from(stranger.local_addr().unwrap());
    assert_eq!(recv(&mut *packet).await, (b"hello".to_vec(), peer.clone()));
    send(&mut *packet, b"back", &peer).await;
    assert_eq!(receive(&stranger, PATIENCE).await.unwrap(), b"back");
}

#[tokio::test]
async fn datagrams_to_forbidden_targets_are_dropped() {
    let (open, shut) = (
        Server::start(Behaviour::Echo).await.unwrap(),
        Server::start_on("127.0.0.2".parse().unwrap(), Behaviour::Echo)
            .await
            .unwrap(),
    );
    let mut serving = serving(&["bind=true"]).await;
    serving.policies.bypass = Some(Arc::new(Forbid(|addr| addr.host() == "127.0.0.2")));
    let server = start(serving).await;
    let (mut packet, _) = associate(&server).await.unwrap().into_packet().unwrap();
    send(&mut *packet, b"no", &shut.address().into()).await;
    send(&mut *packet, b"yes", &open.address().into()).await;
    assert_eq!(recv(&mut *packet).await.0, b"yes");
    assert_eq!(shut.received(), []);
}

#[tokio::test]
async fn an_association_ends_with_its_connection() {
    let server = server(&["bind=true"]).await;
    let (packet, meta) = associate(&server).await.unwrap().into_packet().unwrap();
    let port = meta.local.port();
    assert!(gost_testkit::process::udp_is_bound(port));
    drop(packet);
    let gone = async {
        while gost_testkit::process::udp_is_bound(port) {
            tokio::task::yield_now().await;
        }
    };
    soon(gone).await;
}

#[tokio::test]
async fn binding_has_to_be_switched_on() {
    let server = server(&[]).await;
    let error = failed(associate(&server).await);
    assert_eq!((error.why(), error.at_side()), (Why::Denied, Side::Target));
}

#[tokio::test]
async fn a_remote_port_has_a_flow_for_each_client() {
    let server = server(&["bind=true"]).await;
    let through = way(server.addr, &[], None).await;
    let at = Target::udp(Addr::parse("127.0.0.1:0").unwrap());
    let (ask, how) = (Ask::default(), BindOptions::default());
    let listener = through.bind(&at, &ask, &how);
    let mut listener: Box<dyn Listener> = soon(listener).await.unwrap();
    let address = listener.addr().ip().unwrap();
    let clients = [
        client(address).await.unwrap(),
        client(address).await.unwrap(),
    ];
    let mut flows = Vec::new();
    for client in &clients {
        client.send(b"first").await.unwrap();
        let incoming = soon(listener.accept()).await.unwrap();
        let peer = client.local_addr().unwrap();
        assert_eq!(incoming.peer, peer.into());
        match incoming.finish().await.unwrap() {
            gost_core::listener::Accepted::One(conn) => {
                flows.push(conn.into_packet().unwrap().0);
            }
            gost_core::listener::Accepted::Many(_) => panic!("a flow is one connection"),
        }
    }
    for (client, flow) in clients.iter().zip(&mut flows) {
        assert_eq!(recv(&mut **flow).await.0, b"first");
        for i in 0..100_u8 {
            client.send(&[i; 1000]).await.unwrap();
            assert_eq!(recv(&mut **flow).await.0, [i; 1000]);
            send(&mut **flow, &[i], &Addr::Any).await;
            assert_eq!(receive(client, PATIENCE).await.unwrap(), [i]);
        }
    }
}

#[tokio::test]
async fn the_requests_to_listen_are_those_of_the_original() {
    for (name, at) in [
        (
            "socks5 UDP ASSOCIATE in front, relay association behind",
            "",
        ),
        ("relay BIND udp (rudp), one client", "127.0.0.1:35505"),
    ] {
        let recorded = transcript(UDP_BIND, name);
        let wanted = unhex(&recorded["events"][1]["hex"]);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = listener.local_addr().unwrap();
        let through = way(node, &[], None).await;
        let at = Target::udp(Addr::parse(at).unwrap());
        let (ask, how) = (Ask::default(), BindOptions::default());
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_eq!(read(&mut stream, wanted.len()).await, wanted, "{name}");
            stream.write_all(&[1, 3, 0, 0]).await.unwrap();
            read_all(&mut stream).await
        };
        let (left, asked) = tokio::join!(answering, through.bind(&at, &ask, &how));
        assert_eq!(left, b"");
        assert_eq!(asked.err().unwrap().why(), Why::Denied);
    }
}

#[tokio::test]
async fn wildcards_may_be_spelt_in_the_way_of_the_original() {
    let server = server(&["bind=true"]).await;
    for address in ["", "0.0.0.0::0"] {
        let len = u8::try_from(address.len()).unwrap();
        let mut request = vec![1, 0x82, 0, 12 + len, 4, 0, 2, 0, 1, 2, 0, 4 + len, 3, len];
        request.extend_from_slice(address.as_bytes());
        request.extend_from_slice(&[0, 0]);
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(&request).await.unwrap();
        assert_eq!(read(&mut stream, 2).await, [1, 0], "{address:?}");
    }
}
