//! The original at the other end.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gost_core::prelude::*;
use gost_testbed::{OneUser, Running, Through, serve};
use gost_testkit::soon;
use gost_testkit::{
    peers, ports,
    process::{Launch, Process},
    tcp, udp,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::{
    connectors::ask,
    support::{handler, open, via},
};

fn reference() -> Option<PathBuf> {
    peers::need("gost-reference")
}

fn start(program: &Path, args: &[&str]) -> Process {
    Launch::new(program).args(args).spawn().unwrap()
}

/// A process of the original that serves `line`, whose port is put in the place of `PORT`.
pub(crate) async fn server(program: &Path, line: &str) -> (Process, std::net::SocketAddr) {
    let port = ports::tcp();
    let line = line.replace("PORT", &port.to_string());
    let mut process = start(program, &["-L", &line]);
    process.ready(port).await.unwrap();
    (process, ([127, 0, 0, 1], port).into())
}

async fn echoes(conn: Conn) {
    let (mut stream, _) = conn.into_stream().unwrap();
    for word in [&b"ping"[..], b"pong"] {
        stream.write_all(word).await.unwrap();
        let mut got = [0; 4];
        soon(stream.read_exact(&mut got)).await.unwrap();
        assert_eq!(got, word);
    }
}

async fn connect(way: &Through, to: &Target) -> Conn {
    soon(way.connect(to, &Ask::default())).await.unwrap()
}

#[tokio::test]
async fn our_connector_at_its_server() {
    let Some(program) = reference() else { return };
    let target = tcp::Server::start(tcp::Behaviour::Echo).await.unwrap();
    let by_ip = Target::tcp(target.address().into());
    let by_name = Target::tcp(Addr::from_host("localhost", target.port()));
    for (scheme, line, query, auth) in [
        ("socks5", "socks5://127.0.0.1:PORT", "", None),
        (
            "socks5",
            "socks5://user:pass@127.0.0.1:PORT",
            "",
            Some(("user", "pass")),
        ),
        ("socks4", "socks4://127.0.0.1:PORT", "", None),
        (
            "socks4",
            "socks4://user@127.0.0.1:PORT",
            "",
            Some(("user", "")),
        ),
        ("socks4", "socks4://127.0.0.1:PORT", "disable4a=true", None),
    ] {
        let (_process, addr) = server(&program, line).await;
        let way = via(scheme, query, auth, addr).await;
        // It listens before it knows its users.
        let is_refused = async || way.connect(&by_ip, &Ask::default()).await.is_err();
        soon(async { while is_refused().await {} }).await;
        for to in [&by_ip, &by_name] {
            echoes(connect(&way, to).await).await;
        }
        let nobody = Target::tcp(Addr::parse("127.0.0.1:1").unwrap());
        let refused = soon(way.connect(&nobody, &Ask::default()))
            .await
            .unwrap_err();
        assert_eq!(refused.at_side(), Side::Target, "{line}");
    }
}

#[tokio::test]
async fn our_datagrams_at_its_server() {
    let Some(program) = reference() else { return };
    let target = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    let (_process, addr) = server(&program, "socks5://127.0.0.1:PORT?udp=true&bind=true").await;
    for query in ["", "relay=udp"] {
        let way = via("socks5", query, None, addr).await;
        // To one target, and to any.
        for to in [Addr::from(target.address()), Addr::Any] {
            let conn = connect(&way, &Target::udp(to)).await;
            let (mut packet, _) = conn.into_packet().unwrap();
            for word in [&b"one"[..], b"two", &[7; 4000]] {
                let answer = ask(&mut *packet, word, target.address().into()).await;
                assert_eq!(answer, word, "{query}");
            }
        }
    }
}

#[tokio::test]
async fn ports_that_its_server_binds_for_us() {
    let Some(program) = reference() else { return };
    let (_process, addr) = server(&program, "socks5://127.0.0.1:PORT?udp=true&bind=true").await;
    let way = via("socks5", "", None, addr).await;
    let (ask, how) = (Ask::default(), BindOptions::default());

    let at = Target::tcp(Addr::parse("127.0.0.1:0").unwrap());
    let mut listener = soon(way.bind(&at, &ask, &how)).await.unwrap();
    let mut peer = TcpStream::connect(listener.addr().ip().unwrap())
        .await
        .unwrap();
    peer.write_all(b"hi").await.unwrap();
    let Accepted::One(conn) = soon(listener.accept())
        .await
        .unwrap()
        .finish()
        .await
        .unwrap()
    else {
        panic!("a session")
    };
    let (mut stream, _) = conn.into_stream().unwrap();
    let mut got = [0; 2];
    soon(stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"hi");

    let at = Target::udp(Addr::parse(&format!("127.0.0.1:{}", ports::udp())).unwrap());
    let mut listener = soon(way.bind(&at, &ask, &how)).await.unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    peer.connect(listener.addr().ip().unwrap()).await.unwrap();
    peer.send(b"hi").await.unwrap();
    let Accepted::One(conn) = soon(listener.accept())
        .await
        .unwrap()
        .finish()
        .await
        .unwrap()
    else {
        panic!("a session")
    };
    let (mut flow, _) = conn.into_packet().unwrap();
    let mut batch = gost_core::packet::Batch::with_capacity(gost_core::packet::MIN_ROOM);
    soon(std::future::poll_fn(|cx| flow.poll_recv(cx, &mut batch)))
        .await
        .unwrap();
    soon(std::future::poll_fn(|cx| flow.poll_send(cx, &mut batch)))
        .await
        .unwrap();
    let mut got = [0; 8];
    let len = soon(peer.recv(&mut got)).await.unwrap();
    assert_eq!(&got[..len], b"hi");
}

/// A process of the original that forwards its local port through our server.
async fn client(program: &Path, listen: &str, node: &str, ours: &Running) -> (Process, u16) {
    let udp = listen.starts_with("udp");
    let port = if udp { ports::udp() } else { ports::tcp() };
    let listen = listen.replace("PORT", &port.to_string());
    let node = node.replace("OURS", &ours.addr.to_string());
    let mut process = start(program, &["-L", &listen, "-F", &node]);
    if udp {
        process.ready_udp(port).await.unwrap();
    } else {
        process.ready(port).await.unwrap();
    }
    (process, port)
}

#[tokio::test]
async fn its_connector_at_our_server() {
    let Some(program) = reference() else { return };
    let target = tcp::Server::start(tcp::Behaviour::Echo).await.unwrap();
    for (scheme, user, password, query) in [
        ("socks5", "", "", ""),
        ("socks5", "", "", "?notls=true"),
        ("socks5", "user", "pass", ""),
        ("socks4", "", "", ""),
        ("socks4", "user", "", ""),
        ("socks4", "", "", "?disable4a=true"),
    ] {
        let ours = serve(handler(scheme, "").await, |serving| {
            if user == "user" {
                let only = if password.is_empty() {
                    OneUser("user", "")
                } else {
                    OneUser("user", "pass")
                };
                serving.policies.auther = Some(Arc::new(only));
            }
        })
        .await;
        let listen = format!("tcp://127.0.0.1:PORT/{}", target.address());
        let who = match (user, password) {
            ("", _) => String::new(),
            (user, "") => format!("{user}@"),
            (user, password) => format!("{user}:{password}@"),
        };
        let node = format!("{scheme}://{who}OURS{query}");
        let (_process, port) = client(&program, &listen, &node, &ours).await;
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        echoes(Conn::stream(stream, Meta::default())).await;
    }
}

#[tokio::test]
async fn its_datagrams_at_our_server() {
    let Some(program) = reference() else { return };
    let target = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    let ours = open("socks5", "udp=true").await;
    for query in ["", "?relay=udp"] {
        let listen = format!("udp://127.0.0.1:PORT/{}?keepalive=true", target.address());
        let (_process, port) =
            client(&program, &listen, &format!("socks5://OURS{query}"), &ours).await;
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(("127.0.0.1", port)).await.unwrap();
        for word in [&b"one"[..], b"two", b"three"] {
            socket.send(word).await.unwrap();
            let mut got = [0; 64];
            let len = soon(socket.recv(&mut got)).await.unwrap();
            assert_eq!(&got[..len], word, "{query}");
        }
    }
}

#[tokio::test]
async fn a_udp_port_that_we_bind_for_it() {
    let Some(program) = reference() else { return };
    let target = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    let ours = open("socks5", "udp=true&bind=true").await;
    let port = ports::udp();
    let listen = format!("rudp://127.0.0.1:{port}/{}", target.address());
    let node = format!("socks5://{}", ours.addr);
    let process = start(&program, &["-L", &listen, "-F", &node]);
    // Our process opens the port.
    let bound = async {
        while !gost_testkit::process::udp_is_bound(port) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    soon(bound).await;
    // It reads on behind the answer that the port is bound, and so loses what comes that soon.
    let early = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    early.connect(("127.0.0.1", port)).await.unwrap();
    let is_up = async || {
        early.send(b"?").await.unwrap();
        let answer = timeout(Duration::from_millis(500), early.recv(&mut [0; 64])).await;
        answer.is_ok()
    };
    soon(async { while !is_up().await {} }).await;
    // Two clients at once, as many as the original can't serve.
    let mut clients = Vec::new();
    for _ in 0..2 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(("127.0.0.1", port)).await.unwrap();
        clients.push(socket);
    }
    for word in [&b"one"[..], b"two"] {
        for socket in &clients {
            socket.send(word).await.unwrap();
            let mut got = [0; 64];
            let len = soon(socket.recv(&mut got)).await.unwrap();
            assert_eq!(&got[..len], word);
        }
    }
    drop(process);
}

#[tokio::test]
async fn a_tcp_port_that_we_bind_for_it() {
    let Some(program) = reference() else { return };
    let target = tcp::Server::start(tcp::Behaviour::Echo).await.unwrap();
    for query in ["", "mux.version=2"] {
        let ours = open("socks5", &format!("bind=true&{query}")).await;
        let port = ports::tcp();
        let listen = format!("rtcp://127.0.0.1:{port}/{}", target.address());
        let node = format!("socks5://{}?{query}", ours.addr);
        let mut process = start(&program, &["-L", &listen, "-F", &node]);
        process.listening(port).await.unwrap();
        let connect = || TcpStream::connect(("127.0.0.1", port));
        // It reads on behind the answer that the port is bound, and so loses who comes that soon.
        let visit = async || {
            let mut stream = connect().await?;
            stream.write_all(b"?").await?;
            stream.read_u8().await
        };
        let is_up = async || {
            matches!(
                timeout(Duration::from_millis(500), visit()).await,
                Ok(Ok(_))
            )
        };
        soon(async { while !is_up().await {} }).await;
        let (first, second) = (connect().await.unwrap(), connect().await.unwrap());
        for stream in [second, first] {
            echoes(Conn::stream(stream, Meta::default())).await;
        }
    }
}
