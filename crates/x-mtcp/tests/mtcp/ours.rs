//! Ours with ours.

use std::time::Duration;

use gost_core::error::Why;
use gost_testkit::{
    impair::{Impairment, TcpRelay},
    payload::{Digest, payload},
    tcp::{Behaviour, End, Server},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::support::{answers, client, dialer, echoed, listener, read, server, server_at, soon};

const KINDS: [&str; 3] = ["mux.version=1", "mux.version=2", "mux.type=yamux"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_are_streams_of_one() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    for kind in KINDS {
        let node = server(&[kind]).await;
        let counted = TcpRelay::start(node.address, Impairment::default(), None)
            .await
            .unwrap();
        let client = client(counted.address(), echo.address(), &[kind]).await;
        let mut work = JoinSet::new();
        for _ in 0..100 {
            work.spawn(echoed(client.address));
        }
        drop(soon(work.join_all()).await);
        assert_eq!(counted.connections(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard() {
    let banner = Behaviour::Banner("220 hello\r\n".into());
    let banner = Server::start(banner).await.unwrap();
    let node = server(&[]).await;
    let client = client(node.address, banner.address(), &[]).await;
    let mut stream = TcpStream::connect(client.address).await.unwrap();
    assert_eq!(read(&mut stream, 11).await, b"220 hello\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_comes_through_whole_both_ways() {
    const LEN: u64 = 3 << 20;
    let source = Behaviour::Source { seed: 7, len: LEN };
    let source = Server::start(source).await.unwrap();
    let sink = Server::start(Behaviour::Sink).await.unwrap();
    for kind in KINDS {
        let node = server(&[kind]).await;
        let down = client(node.address, source.address(), &[kind]).await;
        let mut stream = TcpStream::connect(down.address).await.unwrap();
        let all = read(&mut stream, LEN as usize).await;
        assert!(all == payload(7, LEN as usize), "{kind}: other bytes came");

        let up = client(node.address, sink.address(), &[kind]).await;
        let mut stream = TcpStream::connect(up.address).await.unwrap();
        soon(stream.write_all(&all)).await.unwrap();
        stream.shutdown().await.unwrap();
        let ended = sink.ended().await.unwrap();
        assert_eq!(ended.received, Digest::of_payload(7, LEN), "{kind}");
        assert_eq!(ended.end, End::Closed);
    }
}

#[tokio::test]
async fn a_session_that_is_cut_is_replaced() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let node = server(&[]).await;
    let path = TcpRelay::start(node.address, Impairment::default(), None)
        .await
        .unwrap();
    let client = client(path.address(), echo.address(), &[]).await;
    for round in 1..=3 {
        let mut stream = echoed(client.address).await;
        assert_eq!(path.connections(), round);
        path.reset_all();
        // Whoever had a connection hears of it; the next one is served.
        let cut = soon(tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1])).await;
        assert!(matches!(cut, Ok(0) | Err(_)), "{cut:?}");
    }
}

#[tokio::test]
async fn a_node_that_is_gone_is_refused_and_one_that_came_back_is_used() {
    let echo = Server::start(Behaviour::Echo).await.unwrap();
    let node = server(&[]).await;
    let client = client(node.address, echo.address(), &[]).await;
    echoed(client.address).await;
    let place = node.address;
    node.service.stop(Duration::ZERO).await;
    assert!(!answers(client.address).await);
    let _node = server_at(&place.to_string(), &[]).await;
    echoed(client.address).await;
}

#[tokio::test]
async fn each_end_tells_the_key_that_is_wrong() {
    for (pair, says) in [
        ("mux.version=3", "mux.version: "),
        ("mux.type=mplex", "mux.type: "),
        ("mux.maxFrameSize=65536", "mux.maxFrameSize: "),
        ("mux.keepaliveInterval=1h", "mux.keepaliveTimeout: "),
        ("mux.maxReceiveBuffer=3000000000", "mux.maxReceiveBuffer: "),
        ("mux.maxStreamBuffer=8388608", "mux.maxStreamBuffer: "),
    ] {
        let errors = [
            dialer(&[pair]).await.err().unwrap(),
            listener("mtcp", "127.0.0.1:0", &[pair])
                .await
                .err()
                .unwrap(),
        ];
        for error in errors {
            assert_eq!(error.why(), Why::BadInput);
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
