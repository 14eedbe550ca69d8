//! The connector.

use std::time::Instant;

use gost_core::{
    packet::{Batch, MIN_ROOM, Packet},
    prelude::*,
};
use gost_testbed::values;
use gost_testkit::soon;
use gost_testkit::{tcp, udp};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{Raw, guarded, proxy, serve, via, with_header};

pub(crate) async fn echoes(conn: Conn) {
    let (mut stream, _) = conn.into_stream().unwrap();
    for word in [&b"ping"[..], b"pong"] {
        stream.write_all(word).await.unwrap();
        let mut got = [0; 4];
        soon(stream.read_exact(&mut got)).await.unwrap();
        assert_eq!(got, word);
    }
}

/// Sends a datagram and gives the answer.
pub(crate) async fn ask(packet: &mut dyn Packet, payload: &[u8], to: Addr) -> Vec<u8> {
    let mut batch = Batch::with_capacity(MIN_ROOM);
    assert!(batch.push(payload, to));
    soon(std::future::poll_fn(|cx| packet.poll_send(cx, &mut batch)))
        .await
        .unwrap();
    batch.clear();
    soon(std::future::poll_fn(|cx| packet.poll_recv(cx, &mut batch)))
        .await
        .unwrap();
    batch.front().unwrap().0.to_vec()
}

#[tokio::test]
async fn tunnels_of_bytes_and_datagrams() {
    let bytes = tcp::Server::start(tcp::Behaviour::Echo).await.unwrap();
    let datagrams = udp::Server::start(udp::Behaviour::Echo).await.unwrap();
    let proxy = guarded("udp=true").await;
    let way = via(&values(""), true, proxy.addr).await;
    for to in [
        Addr::from(bytes.address()),
        Addr::from_host("localhost", bytes.port()),
    ] {
        echoes(
            soon(way.connect(&Target::tcp(to), &Ask::default()))
                .await
                .unwrap(),
        )
        .await;
    }
    let at = Addr::from(datagrams.address());
    for (to, each) in [(at.clone(), Addr::Any), (Addr::Any, at)] {
        let conn = soon(way.connect(&Target::udp(to), &Ask::default()))
            .await
            .unwrap();
        let (mut packet, _) = conn.into_packet().unwrap();
        for payload in [&b"one"[..], &vec![7; 20_000]] {
            assert!(ask(&mut *packet, payload, each.clone()).await == payload);
        }
    }
}

/// What the connector sends, and what it makes of an answer.
async fn converse(
    values: &gost_core::values::Values,
    login: bool,
    to: &Target,
    answer: &str,
) -> (String, Result<Conn>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let way = via(values, login, listener.local_addr().unwrap()).await;
    let node = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut node = Raw(stream);
        let head = node.head().await;
        node.send(answer).await;
        (head, node)
    };
    let ask = Ask::default();
    let ((head, _node), result) = soon(async { tokio::join!(node, way.connect(to, &ask)) }).await;
    (head, result)
}

#[tokio::test]
async fn requests_are_those_of_the_original() {
    let tcp = Target::tcp(Addr::parse("[::1]:443").unwrap());
    let udp = Target::udp(Addr::Any);
    let header = with_header(values(""), "user-agent", "x/1");
    let none = values("");
    let host = "Host: [::1]:443\r\n";
    let agent = "User-Agent: Go-http-client/1.1\r\n";
    let alive = "Proxy-Connection: keep-alive\r\n";
    for (values, login, to, expected) in [
        (
            &none,
            false,
            &tcp,
            format!("CONNECT [::1]:443 HTTP/1.1\r\n{host}{agent}{alive}\r\n"),
        ),
        (
            &none,
            true,
            &tcp,
            format!(
                "CONNECT [::1]:443 HTTP/1.1\r\n{host}{agent}{}{alive}\r\n",
                crate::support::LOGIN
            ),
        ),
        (
            &none,
            false,
            &udp,
            format!("CONNECT  HTTP/1.1\r\nHost: \r\n{agent}{alive}X-Gost-Protocol: udp\r\n\r\n"),
        ),
        (
            &header,
            false,
            &tcp,
            format!("CONNECT [::1]:443 HTTP/1.1\r\n{host}user-agent: x/1\r\n{alive}\r\n"),
        ),
    ] {
        let (head, result) = converse(values, login, to, "HTTP/1.1 200 OK\r\n\r\n").await;
        assert_eq!(head, expected);
        assert!(result.is_ok());
    }
}

#[tokio::test]
async fn bytes_behind_the_answer_are_kept() {
    let to = Target::tcp(Addr::parse("a:1").unwrap());
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbanner",
        "HTTP/1.0 200 Connection established\r\nContent-Length: 0\r\n\r\nbanner",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\n\nbanner",
    ] {
        let (_, result) = converse(&values(""), false, &to, answer).await;
        let (mut stream, _) = result.unwrap().into_stream().unwrap();
        let mut banner = [0; 6];
        soon(stream.read_exact(&mut banner)).await.unwrap();
        assert_eq!(&banner, b"banner");
    }
}

#[tokio::test]
async fn refusals_say_what_was_attempted_and_whose_fault_it_is() {
    let to = Target::tcp(Addr::parse("example.com:80").unwrap());
    for (answer, why, side, text) in [
        (
            "407 Proxy Authentication Required",
            Why::Auth,
            Side::Node,
            "http: 407 Proxy Authentication Required",
        ),
        (
            "403 Forbidden",
            Why::Denied,
            Side::Target,
            "http: 403 Forbidden",
        ),
        (
            "502 Bad Gateway",
            Why::Unreachable,
            Side::Target,
            "http: 502 Bad Gateway",
        ),
        ("503", Why::Unreachable, Side::Target, "http: 503"),
        (
            "504 Gateway Timeout",
            Why::TimedOut,
            Side::Target,
            "http: 504 Gateway Timeout",
        ),
        (
            "404 Not Found",
            Why::Unsupported,
            Side::Node,
            "http: 404 Not Found",
        ),
        ("204 No", Why::Other, Side::Node, "http: 204 No"),
    ] {
        let answer = format!("HTTP/1.1 {answer}\r\n\r\n");
        let (_, result) = converse(&values(""), false, &to, &answer).await;
        let error = result.unwrap_err();
        assert_eq!((error.why(), error.at_side()), (why, side), "{answer}");
        assert_eq!(
            error.to_string(),
            format!("connect example.com:80/tcp: {text}")
        );
        assert_eq!(error.node().is_some(), side == Side::Node);
    }
    let (_, result) = converse(&values(""), false, &to, "SSH-2.0-x\r\n\r\n").await;
    assert_eq!(result.unwrap_err().why(), Why::BadInput);
    let (_, result) = converse(&values(""), false, &to, &"x".repeat(70_000)).await;
    assert_eq!(result.unwrap_err().why(), Why::BadInput);
}

#[tokio::test]
async fn a_silent_node_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let to = Target::tcp(Addr::parse("a:1").unwrap());
    let brief = std::time::Duration::from_millis(100);
    for (query, deadline) in [("timeout=100ms", None), ("", Some(brief))] {
        let way = via(&values(query), false, addr).await;
        let ask = Ask {
            deadline: deadline.map(|wait| Instant::now() + wait),
            ..Ask::default()
        };
        let error = soon(way.connect(&to, &ask)).await.unwrap_err();
        assert_eq!(
            (error.why(), error.at_side()),
            (Why::TimedOut, Side::Node),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_way_over_two_proxies() {
    let target = tcp::Server::start(tcp::Behaviour::Echo).await.unwrap();
    let far = proxy("").await;
    let mut second = via(&values(""), false, far.addr).await;
    let near = proxy("").await;
    second.sockets = Arc::new(via(&values(""), false, near.addr).await);
    let front = serve(&values(""), |serving| serving.out = Arc::new(second)).await;
    let mut client = Raw::connect(&front).await;
    client.tunnel(target.address()).await;
    client.send("hello").await;
    client.expect("hello").await;
}
