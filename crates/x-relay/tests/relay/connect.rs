//! Byte streams through our client and our server.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gost_core::{
    Error, Side, Why,
    addr::{Addr, Network, Target},
};
use gost_testbed::{Forbid, OneUser, Running};
use gost_testkit::soon;
use gost_testkit::{
    payload::payload,
    tcp::{Behaviour, End, Server, reset},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener},
    time::Instant,
};

use crate::support::{client, failed, read, read_all, server, serving, start, way};

const NODELAY: [&[&str]; 3] = [&[], &["nodelay=false"], &["nodelay=true"]];

fn tcp(addr: SocketAddr) -> Target {
    Target::tcp(addr.into())
}

/// A client's connection through client and server to a target; what runs ends with the result.
async fn through(
    target: &Server,
    client_options: &[&str],
    server_options: &[&str],
) -> (TcpStream, Running, Running) {
    let server = server(server_options).await;
    let client = client(server.addr, tcp(target.address()), client_options).await;
    let stream = TcpStream::connect(client.addr).await.unwrap();
    (stream, client, server)
}

#[tokio::test]
async fn whoever_speaks_first_is_heard_whatever_nodelay_says() {
    let banner = Server::start(Behaviour::Banner("220 hello\r\n".into()));
    let banner = banner.await.unwrap();
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    for client in NODELAY {
        for server in NODELAY {
            let start = Instant::now();
            let (mut stream, _client, _server) = through(&banner, client, server).await;
            assert_eq!(read(&mut stream, 11).await, b"220 hello\r\n");
            stream.write_all(b"EHLO").await.unwrap();
            assert_eq!(read(&mut stream, 4).await, b"EHLO");

            let (mut stream, _client, _server) = through(&echo, client, server).await;
            stream.write_all(b"GET").await.unwrap();
            assert_eq!(read(&mut stream, 3).await, b"GET");
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{client:?} {server:?}"
            );
        }
    }
}

#[tokio::test]
async fn much_goes_both_ways() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    for options in NODELAY {
        let (stream, _client, _server) = through(&echo, options, options).await;
        let (mut reader, mut writer) = stream.into_split();
        let data = payload(7, 3_000_000);
        let sent = data.clone();
        let sending = tokio::spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        assert!(read_all(&mut reader).await == data);
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn a_half_close_leaves_the_answer_its_way() {
    let server = Server::start(Behaviour::AnswerAfterEnd).await.unwrap();
    for options in NODELAY {
        let (mut stream, _client, _server) = through(&server, options, options).await;
        stream.write_all(b"question").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_all(&mut stream).await, b"question");
    }
}

#[tokio::test]
async fn a_target_that_ends_first_still_hears_the_client() {
    let server = Server::start(Behaviour::EndFirst("bye".into()))
        .await
        .unwrap();
    let (mut stream, _client, _server) = through(&server, &[], &[]).await;
    assert_eq!(read_all(&mut stream).await, b"bye");
    stream.write_all(&payload(1, 100_000)).await.unwrap();
    stream.shutdown().await.unwrap();
    let ended = server.ended().await.unwrap();
    assert_eq!((ended.received.len, ended.end), (100_000, End::Closed));
}

#[tokio::test]
async fn who_leaves_without_a_word_still_reaches_the_target() {
    let server = Server::start(Behaviour::Sink).await.unwrap();
    let (stream, _client, _server) = through(&server, &[], &[]).await;
    drop(stream);
    let ended = server.ended().await.unwrap();
    assert_eq!((ended.received.len, ended.end), (0, End::Closed));
}

#[tokio::test]
async fn a_target_that_says_nothing_ends_in_order() {
    let server = Server::start(Behaviour::EndFirst("".into())).await.unwrap();
    let (mut stream, _client, _server) = through(&server, &[], &[]).await;
    let mut all = Vec::new();
    soon(stream.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all, b"");
}

#[tokio::test]
async fn resets_are_passed_on() {
    let server = Server::start(Behaviour::ResetAfter(4)).await.unwrap();
    let (mut stream, _client, _server) = through(&server, &[], &[]).await;
    stream.write_all(b"1234").await.unwrap();
    let error = soon(stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    let server = Server::start(Behaviour::Silent).await.unwrap();
    let (mut stream, _client, relay) = through(&server, &[], &[]).await;
    stream.write_all(b"1").await.unwrap();
    let connected = async {
        while relay.service.connections() == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(connected).await;
    reset(&stream).unwrap();
    drop(stream);
    let ended = async {
        while relay.service.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(ended).await;
}

#[tokio::test]
async fn unix_targets_are_opened_at_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let server = server(&[]).await;
    let through = way(server.addr, &[], None).await;
    let target = Target {
        network: Network::Unix,
        addr: Addr::path(path),
    };
    let (mut stream, _) = through.open(&target).await.unwrap().into_stream().unwrap();
    stream.write_all(b"hello").await.unwrap();
    let (mut accepted, _) = soon(listener.accept()).await.unwrap();
    assert_eq!(read(&mut accepted, 5).await, b"hello");
    accepted.write_all(b"there").await.unwrap();
    assert_eq!(read(&mut stream, 5).await, b"there");
}

/// A server that refuses in a way, the credentials to use, and what the client is to make of it.
async fn refusing(kind: &str) -> (Running, SocketAddr, Option<(&'static str, &'static str)>) {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = closed.local_addr().unwrap();
    drop(closed);
    let mut serving = serving(&["nodelay=true"]).await;
    let mut auth = None;
    match kind {
        "auth" => {
            serving.policies.auther = Some(Arc::new(OneUser("user", "pass")));
            auth = Some(("user", "bad"));
        }
        "bypass" => serving.policies.bypass = Some(Arc::new(Forbid(|_| true))),
        _ => {}
    }
    (start(serving).await, target, auth)
}

#[tokio::test]
async fn refusals_come_early_with_nodelay_and_late_without() {
    for (kind, why, side) in [
        ("auth", Why::Auth, Side::Node),
        ("bypass", Why::Denied, Side::Target),
        ("dial", Why::Unreachable, Side::Target),
    ] {
        let (server, target, auth) = refusing(kind).await;
        let options = ["nodelay=true", "connectTimeout=20s"];
        let early = way(server.addr, &options, auth).await;
        let error = failed(soon(early.open(&tcp(target))).await);
        assert_eq!((error.why(), error.at_side()), (why, side), "{error}");
        assert!(error.node().is_some());

        let late = way(server.addr, &[], auth).await;
        // More than the server reads with the request: what it leaves must not cut the answer off.
        for data in [&[][..], b"hello", &payload(7, 100_000)] {
            let conn = soon(late.open(&tcp(target))).await.unwrap();
            let (mut stream, _) = conn.into_stream().unwrap();
            if !data.is_empty() {
                stream.write_all(data).await.unwrap();
            }
            let error = Error::from(soon(stream.read_u8()).await.unwrap_err());
            assert_eq!((error.why(), error.at_side()), (why, side), "{error}");
        }
    }
}

#[tokio::test]
async fn right_credentials_are_let_in() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let mut serving = serving(&[]).await;
    serving.policies.auther = Some(Arc::new(OneUser("user", "pass")));
    let server = start(serving).await;
    let through = way(server.addr, &[], Some(("user", "pass"))).await;
    let conn = through.open(&tcp(echo.address())).await.unwrap();
    let (mut stream, _) = conn.into_stream().unwrap();
    stream.write_all(b"ping").await.unwrap();
    assert_eq!(read(&mut stream, 4).await, b"ping");
}

#[tokio::test]
async fn a_node_that_is_no_relay_is_at_fault() {
    for (answer, why) in [
        (&b"HTTP/1.1 400\r\n"[..], Why::BadInput),
        (b"", Why::Closed),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            read_all(&mut stream).await
        });
        let options = ["nodelay=true", "connectTimeout=20s"];
        let through = way(node, &options, None).await;
        let error = failed(soon(through.open(&tcp(node))).await);
        assert_eq!((error.why(), error.at_side()), (why, Side::Node), "{error}");
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_does_not_answer_does_not_hold_the_client_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = listener.local_addr().unwrap();
    let through = way(node, &["nodelay=true"], None).await;
    let target = tcp(node);
    let conn = soon(through.open(&target)).await.unwrap();
    let (mut stream, _) = conn.into_stream().unwrap();
    stream.write_all(b"x").await.unwrap();
    let (mut node, _) = listener.accept().await.unwrap();
    assert!(read(&mut node, 15).await.ends_with(b"x"));
    node.write_all(&[1, 7, 0, 0]).await.unwrap();
    let error = Error::from(soon(stream.read_u8()).await.unwrap_err());
    assert_eq!(error.why(), Why::Unreachable);
}

#[tokio::test]
async fn a_node_that_was_given_a_time_has_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = listener.local_addr().unwrap();
    let options = ["nodelay=true", "connectTimeout=50ms"];
    let through = way(node, &options, None).await;
    let error = failed(soon(through.open(&tcp(node))).await);
    assert_eq!(
        (error.why(), error.at_side()),
        (Why::TimedOut, Side::Node),
        "{error}"
    );
}

/// What the first read gives of a connection through our client, and through our server.
async fn first_segments(echo: &Server) -> (Vec<u8>, Vec<u8>) {
    let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(node.local_addr().unwrap(), tcp(echo.address()), &[]).await;
    let mut local = TcpStream::connect(client.addr).await.unwrap();
    local.write_all(b"ping").await.unwrap();
    let (mut near, _) = soon(node.accept()).await.unwrap();
    let mut request = vec![0; 100];
    let n = soon(near.read(&mut request)).await.unwrap();
    request.truncate(n);

    let server = server(&[]).await;
    let mut far = TcpStream::connect(server.addr).await.unwrap();
    far.write_all(&request).await.unwrap();
    let mut answer = vec![0; 100];
    let n = soon(far.read(&mut answer)).await.unwrap();
    answer.truncate(n);
    (request, answer)
}

#[tokio::test]
async fn message_and_first_payload_are_one_segment_each_way() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    // A machine that is busy for longer than the hold separates them.
    for _ in 0..20 {
        let (request, answer) = first_segments(&echo).await;
        if request.len() == 18 && request.ends_with(b"ping") && answer == b"\x01\0\0\0ping" {
            return;
        }
    }
    panic!("they were never one segment");
}
