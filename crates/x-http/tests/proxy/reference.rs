//! The original at the other end.

use std::{net::SocketAddr, path::Path, sync::Arc};

use gost_core::prelude::*;
use gost_testbed::values;
use gost_testkit::soon;
use gost_testkit::{
    peers, ports,
    process::{Launch, Process},
    tcp, udp,
};
use tokio::net::{TcpStream, UdpSocket};

use crate::{
    connectors::{ask, echoes},
    support::{Raw, USER, serve, via},
};

async fn start(program: &Path, args: &[&str], port: u16) -> Process {
    let mut process = Launch::new(program).args(args).spawn().unwrap();
    if args[1].starts_with("udp") {
        process.ready_udp(port).await.unwrap();
    } else {
        process.ready(port).await.unwrap();
    }
    process
}

#[tokio::test]
async fn our_connector_at_its_server() {
    let Some(program) = peers::need("gost-reference") else {
        return;
    };
    let bytes = tcp::Server::start(tcp::Behaviour::Echo).await.unwrap();
    let datagrams = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    let port = ports::tcp();
    let line = format!("http://user:pass@127.0.0.1:{port}?udp=true");
    let _process = start(&program, &["-L", &line], port).await;
    let addr: SocketAddr = ([127, 0, 0, 1], port).into();
    let way = via(&values(""), true, addr).await;
    let asker = Ask::default();
    let to = Target::tcp(bytes.address().into());
    // It listens before it knows its users.
    let is_stranger = async || {
        let conn = way.connect(&to, &asker).await;
        conn.is_err_and(|error| error.why() == Why::Auth)
    };
    soon(async { while is_stranger().await {} }).await;
    for to in [
        bytes.address().into(),
        Addr::from_host("localhost", bytes.port()),
    ] {
        echoes(soon(way.connect(&Target::tcp(to), &asker)).await.unwrap()).await;
    }
    let at = Addr::from(datagrams.address());
    for (to, each) in [(at.clone(), Addr::Any), (Addr::Any, at)] {
        let conn = soon(way.connect(&Target::udp(to), &asker)).await.unwrap();
        let (mut packet, _) = conn.into_packet().unwrap();
        for payload in [&b"one"[..], b"two"] {
            assert_eq!(ask(&mut *packet, payload, each.clone()).await, payload);
        }
    }
    let nobody = Target::tcp(Addr::parse("127.0.0.1:1").unwrap());
    let error = soon(way.connect(&nobody, &asker)).await.unwrap_err();
    assert_eq!(error.at_side(), Side::Target, "{error}");
    let stranger = via(&values(""), false, addr).await;
    let error = soon(stranger.connect(&nobody, &asker)).await.unwrap_err();
    assert_eq!(
        (error.why(), error.at_side()),
        (Why::Auth, Side::Node),
        "{error}"
    );
}

#[tokio::test]
async fn its_connector_at_our_server() {
    let Some(program) = peers::need("gost-reference") else {
        return;
    };
    let bytes = tcp::Server::start(tcp::Behaviour::Echo).await.unwrap();
    let datagrams = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    let ours = serve(&values("udp=true"), |serving| {
        serving.policies.auther = Some(Arc::new(USER));
    })
    .await;
    let node = format!("http://user:pass@{}", ours.addr);

    let port = ports::tcp();
    let listen = format!("tcp://127.0.0.1:{port}/{}", bytes.address());
    let _forward = start(&program, &["-L", &listen, "-F", &node], port).await;
    let mut client = Raw(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    client.send("hello").await;
    client.expect("hello").await;

    let port = ports::udp();
    let listen = format!(
        "udp://127.0.0.1:{port}/{}?keepalive=true",
        datagrams.address()
    );
    let _forward = start(&program, &["-L", &listen, "-F", &node], port).await;
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(("127.0.0.1", port)).await.unwrap();
    for word in [&b"one"[..], b"two"] {
        client.send(word).await.unwrap();
        let mut got = [0; 8];
        let len = soon(client.recv(&mut got)).await.unwrap();
        assert_eq!(&got[..len], word);
    }
}
