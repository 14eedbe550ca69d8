//! Datagrams, as raw clients send them.

use gost_core::prelude::*;
use gost_testbed::{Forbid, Running, serve};
use gost_testkit::soon;
use gost_testkit::udp::{Behaviour, Server};
use tokio::net::UdpSocket;

use crate::support::{Raw, WATCH, address_hex, handler, open, unhex};

/// An association and the client's socket, connected to the server's.
struct Association {
    control: Raw,
    socket: UdpSocket,
}

async fn associate(server: &Running) -> Association {
    let mut control = Raw::connect(server).await;
    control.send("05010005030001000000000000").await;
    let reply = control.take(12).await;
    assert!(reply.starts_with("0500050000017f000001"), "{reply}");
    let port = u16::from_str_radix(&reply[20..], 16).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(("127.0.0.1", port)).await.unwrap();
    Association { control, socket }
}

async fn say(socket: &UdpSocket, hex: &str) {
    socket.send(&unhex(hex)).await.unwrap();
}

async fn hear(socket: &UdpSocket) -> String {
    let mut room = vec![0; 65_536];
    let len = soon(socket.recv(&mut room)).await.unwrap();
    hex::encode(&room[..len])
}

#[tokio::test]
async fn datagrams_of_an_association() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let server = open("socks5", "udp=true").await;
    let association = associate(&server).await;
    let socket = &association.socket;
    let from = address_hex(target.address());
    let port = &from[10..];

    say(socket, &format!("000000{from}616263")).await;
    assert_eq!(hear(socket).await, format!("000000{from}616263"));
    // By name, and with an RSV that nobody looks at.
    say(socket, &format!("00030003096c6f63616c686f7374{port}646566")).await;
    assert_eq!(hear(socket).await, format!("000000{from}646566"));
    // An empty one.
    say(socket, &format!("000000{from}")).await;
    assert_eq!(hear(socket).await, format!("000000{from}"));
    // As long as they get.
    let long = "5a".repeat(60_000);
    say(socket, &format!("000000{from}{long}")).await;
    assert_eq!(hear(socket).await, format!("000000{from}{long}"));
}

/// Each of these ends an association of the original, all later datagrams are lost.
#[tokio::test]
async fn bad_datagrams_end_nothing() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let server = open("socks5", "udp=true").await;
    let association = associate(&server).await;
    let socket = &association.socket;
    let from = address_hex(target.address());
    for bad in [
        "",
        "00",
        "000000",
        "000000017f",
        "000000097f0000010050616263",
        "000000017f0000010000616263",
        "00000003000050616263",
        "000000030a6e6f2e696e76616c69640050616263",
    ] {
        say(socket, bad).await;
        say(socket, &format!("000000{from}616263")).await;
        assert_eq!(hear(socket).await, format!("000000{from}616263"), "{bad}");
    }
}

#[tokio::test]
async fn the_association_ends_with_its_connection() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let server = open("socks5", "udp=true").await;
    let Association { control, socket } = associate(&server).await;
    let from = address_hex(target.address());
    say(&socket, &format!("000000{from}616263")).await;
    hear(&socket).await;
    drop(control);
    // The socket is closed: the system says so to whoever sends there.
    soon(async {
        let mut room = [0; 64];
        loop {
            let sent = socket.send(&unhex(&format!("000000{from}78"))).await;
            let heard = tokio::time::timeout(WATCH, socket.recv(&mut room)).await;
            if sent.is_err() || matches!(heard, Ok(Err(_))) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn only_the_clients_host_is_heard() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let server = open("socks5", "udp=true").await;
    let association = associate(&server).await;
    let relay = association.socket.peer_addr().unwrap();
    let stranger = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let datagram = |text: &str| {
        format!(
            "000000{}{}",
            address_hex(target.address()),
            hex::encode(text)
        )
    };
    stranger
        .send_to(&unhex(&datagram("stranger")), relay)
        .await
        .unwrap();
    say(&association.socket, &datagram("client")).await;
    assert_eq!(hear(&association.socket).await, datagram("client"));
    let seen: Vec<_> = target.received().into_iter().map(|r| r.data).collect();
    assert_eq!(seen, [b"client"]);
}

#[tokio::test]
async fn rules_are_asked_about_targets_and_not_about_the_client() {
    // The client is at the forbidden address, and so is one of the targets.
    let forbidden = Server::start(Behaviour::Echo).await.unwrap();
    let allowed = Server::start_on([127, 0, 0, 3].into(), Behaviour::Echo)
        .await
        .unwrap();
    for command in ["03", "f3"] {
        let server = serve(handler("socks5", "udp=true").await, |serving| {
            serving.policies.bypass = Some(Arc::new(Forbid(|addr| addr.host() == "127.0.0.1")));
        })
        .await;
        let (bad, good) = (
            address_hex(forbidden.address()),
            address_hex(allowed.address()),
        );
        let name = format!("03096c6f63616c686f7374{}", &bad[10..]);
        if command == "03" {
            let association = associate(&server).await;
            let socket = &association.socket;
            say(socket, &format!("000000{bad}61")).await;
            say(socket, &format!("000000{name}61")).await;
            say(socket, &format!("000000{good}62")).await;
            assert_eq!(hear(socket).await, format!("000000{good}62"));
        } else {
            let mut client = Raw::connect(&server).await;
            client.send("05010005f30001000000000000").await;
            client.take(12).await;
            client
                .send(&format!("0001ff{bad}610001ff{name}610001ff{good}62"))
                .await;
            assert_eq!(client.take(11).await, format!("0001ff{good}62"));
        }
    }
    assert_eq!(forbidden.received(), []);
}

#[tokio::test]
async fn datagrams_of_a_tunnel() {
    let target = Server::start(Behaviour::Echo).await.unwrap();
    let server = open("socks5", "udp=true").await;
    let mut client = Raw::connect(&server).await;
    client.send("05010005f30001000000000000").await;
    let reply = client.take(12).await;
    assert!(reply.starts_with("0500050000"), "{reply}");
    let from = address_hex(target.address());
    client.send(&format!("0003ff{from}616263")).await;
    assert_eq!(client.take(13).await, format!("0003ff{from}616263"));
    // An empty one has no form on the stream: it is dropped, and what follows is not harmed.
    client
        .send(&format!("0000ff{from}0003ff{from}646566"))
        .await;
    assert_eq!(client.take(13).await, format!("0003ff{from}646566"));
    // What cannot be followed any further ends the tunnel.
    client.send("0001ff0900").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_port_of_the_range_is_opened() {
    let first = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = first.local_addr().unwrap().port();
    let query = format!("udp=true&udp.bindRange.min={port}&udp.maxPort={port}");
    let server = open("socks5", &query).await;
    // Somebody has it.
    let mut client = Raw::connect(&server).await;
    client.send("05010005030001000000000000").await;
    assert_eq!(client.rest().await, "050005010001000000000000");
    drop(first);
    let association = associate(&server).await;
    assert_eq!(association.socket.peer_addr().unwrap().port(), port);
}

#[tokio::test]
async fn the_public_address_has_to_be_an_ip_address() {
    for (public, told) in [("192.0.2.7", "c0000207"), ("a.example", "7f000001")] {
        let server = open("socks5", &format!("udp=true&publicAddr={public}")).await;
        let mut client = Raw::connect(&server).await;
        client.send("05010005030001000000000000").await;
        let reply = client.take(12).await;
        assert_eq!(
            &reply[..20],
            format!("0500050000 01{told}").replace(' ', "")
        );
    }
}

/// A way out whose datagrams come back from a name.
struct FromName(&'static str);

#[gost_core::prelude::async_trait]
impl gost_core::outbound::Outbound for FromName {
    async fn connect(&self, _: &Target, _: &Ask) -> Result<Conn> {
        let (near, far) = tokio::io::duplex(1024);
        let name = self.0;
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(far);
            let mut said = [0; 64];
            while let Ok(1..) = tokio::io::AsyncReadExt::read(&mut reader, &mut said).await {
                let frame = format!("0003ff03{:02x}{}0035616263", name.len(), hex::encode(name));
                let frame = unhex(&frame);
                let _ = tokio::io::AsyncWriteExt::write_all(&mut writer, &frame).await;
            }
        });
        let packet = gost_net::framed::Framed::addressed(Box::new(near));
        Ok(Conn::packet(packet, Meta::default()))
    }

    async fn bind(&self, _: &Target, _: &Ask, _: &BindOptions) -> Result<Box<dyn Listener>> {
        Err(Error::new(Why::Unsupported, "bind"))
    }

    fn path(&self) -> gost_core::outbound::PathId {
        gost_core::outbound::PathId::direct()
    }
}

#[tokio::test]
async fn sources_that_are_names_are_resolved_where_that_is_wanted() {
    for (query, wanted) in [
        ("udp=true", "00000003096c6f63616c686f73740035616263"),
        (
            "udp=true&udp.resolveDomain=true",
            "000000017f0000010035616263",
        ),
    ] {
        let server = serve(handler("socks5", query).await, |serving| {
            serving.out = Arc::new(FromName("localhost"));
        })
        .await;
        let association = associate(&server).await;
        for _ in 0..2 {
            say(&association.socket, "000000017f000001003578").await;
            assert_eq!(hear(&association.socket).await, wanted, "{query}");
        }
    }
}
